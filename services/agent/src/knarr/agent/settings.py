"""The agent's settings: one agent from the environment, or many from lines of JSON (see host.py)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from knarr.agent.start import Trust
from knarr.bundle.budget import Budget
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import is_dns_label
from knarr.service.settings import Reader

_BUDGET = Budget()
_LONGEST_WINDOW = 366 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """One agent. Exactly one of `simulated_dir`, `kubeconfig` or neither (then in the cluster it runs in)."""

    cluster: str
    nats_urls: tuple[str, ...]
    nkey_seed_file: Path | None
    trust_file: Path
    simulated_dir: Path | None = None
    kubeconfig: Path | None = None
    context: str = ""
    adopt: bool = False
    namespace: str = "knarr-system"
    listen: str = ""
    trace_share: float = 1.0
    heartbeat_seconds: float = 60.0
    ready_after_seconds: float = 0.05
    requests_at_once: int = 12
    labels: tuple[tuple[str, str], ...] = ()
    budget: Budget = _BUDGET

    def nkey_seed(self) -> str:
        """The secret seed, read anew each time so that a rotated file is taken; empty without a file."""
        return self.nkey_seed_file.read_text().strip() if self.nkey_seed_file else ""

    def trust(self) -> Trust:
        """Whom to obey: `{"epoch": …, "verify_keys": [base64 of an Ed25519 public key, …]}`. KNR6001 when unusable."""
        try:
            found = orjson.loads(self.trust_file.read_bytes())
            keys = tuple(base64.b64decode(key, validate=True) for key in found["verify_keys"])
            epoch = str(found["epoch"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise rejected("KNR6001", f"the trust file cannot be used: {type(error).__name__}") from error
        if not epoch or not keys or any(len(key) != 32 for key in keys):
            raise rejected("KNR6001", "the trust file names no epoch, or a key that is not 32 bytes in base64")
        return Trust(epoch=epoch, keys=keys)


def from_environment(environment: Mapping[str, str]) -> AgentSettings:
    """KNR6001 with every mistake at once."""
    read = Reader(environment)
    cluster = read.text("KNARR_CLUSTER")
    if cluster and not is_dns_label(cluster):
        read.mistake(f"KNARR_CLUSTER={cluster[:63]!r} is not a DNS label")
    settings = AgentSettings(
        cluster=cluster,
        nats_urls=read.words("KNARR_NATS_URL"),
        nkey_seed_file=_optional(environment, "KNARR_NKEY_SEED_FILE"),
        trust_file=read.path("KNARR_TRUST_FILE"),
        simulated_dir=_optional(environment, "KNARR_SIMULATED_DIR"),
        kubeconfig=_optional(environment, "KNARR_KUBECONFIG"),
        context=read.text("KNARR_CONTEXT", ""),
        adopt=read.flag("KNARR_ADOPT"),
        namespace=read.text("KNARR_NAMESPACE", "knarr-system"),
        listen=read.text("KNARR_LISTEN", ""),
        trace_share=read.number("KNARR_TRACE_SHARE", 1.0),
        heartbeat_seconds=read.number("KNARR_HEARTBEAT_SECONDS", 60.0),
        ready_after_seconds=read.number("KNARR_SIMULATED_READY_SECONDS", 0.05),
        requests_at_once=read.whole("KNARR_REQUESTS_AT_ONCE", 12),
        labels=_labels(read.words("KNARR_LABELS", ())),
        budget=_budget(read),
    )
    if settings.simulated_dir and settings.kubeconfig:
        read.mistake("KNARR_SIMULATED_DIR and KNARR_KUBECONFIG exclude each other")
    read.done()
    return settings


def from_line(line: str) -> AgentSettings:
    """One line of a host's configuration. KNR6001 when it is not right."""
    try:
        found: dict[str, Any] = orjson.loads(line)
        return AgentSettings(
            cluster=found["cluster"],
            nats_urls=tuple(found["nats_url"].split(",")),
            nkey_seed_file=_path(found.get("nkey_seed_file")),
            trust_file=Path(found["trust_file"]),
            simulated_dir=_path(found.get("simulated_dir")),
            kubeconfig=_path(found.get("kubeconfig")),
            context=found.get("context", ""),
            adopt=bool(found.get("adopt", False)),
            namespace=found.get("namespace", "knarr-system"),
            trace_share=float(found.get("trace_share", 1.0)),
            heartbeat_seconds=float(found.get("heartbeat_seconds", 60.0)),
            ready_after_seconds=float(found.get("ready_after_seconds", 0.05)),
            labels=tuple(sorted(found.get("labels", {}).items())),
            budget=_budget_of(found.get("budget", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise rejected("KNR6001", f"a line of the host's configuration is wrong: {error!r}"[:300]) from error


def _budget(read: Reader) -> Budget:
    """The cluster owner's limits on deletions: no setting of the hub loosens them."""
    found = Budget(
        share=read.number("KNARR_BUDGET_SHARE", _BUDGET.share),
        at_least=read.whole("KNARR_BUDGET_AT_LEAST", _BUDGET.at_least),
        window_seconds=read.number("KNARR_BUDGET_WINDOW_SECONDS", _BUDGET.window_seconds),
        hold_removal=read.flag("KNARR_BUDGET_HOLD_REMOVAL", _BUDGET.hold_removal),
        hold_protected=read.flag("KNARR_BUDGET_HOLD_PROTECTED", _BUDGET.hold_protected),
    )
    for mistake in _mistakes(found):
        read.mistake(f"KNARR_BUDGET_{mistake}")
    return found


def _mistakes(budget: Budget) -> tuple[str, ...]:
    wrong = {
        "SHARE is not between 0 and 1": not 0 <= budget.share <= 1,
        "AT_LEAST is not at least 1": budget.at_least < 1,
        f"WINDOW_SECONDS is not between 0 and {_LONGEST_WINDOW:.0f}": not 0 < budget.window_seconds < _LONGEST_WINDOW,
    }
    return tuple(text for text, found in wrong.items() if found)


def _budget_of(found: Mapping[str, Any]) -> Budget:
    budget = Budget(**found)
    if wrong := _mistakes(budget):
        raise ValueError("; ".join(wrong))
    return budget


def _optional(environment: Mapping[str, str], name: str) -> Path | None:
    return _path(environment.get(name))


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _labels(words: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, _, value in (word.partition("=") for word in words))
