"""Hooks: objects of a bundle that run at a point of its delivery instead of staying, ours and Helm's.

Pure: which hooks there are, which of them are due, and what a hook's object says of its run. `hooks` (the flow) acts.
A hook runs once per bundle digest. Hooks of Helm for which a control loop has no moment (tests, deletion, rollback)
are left out; `crd-install` is an ordinary object.

What a run creates carries a stamp, which only this agent can make: it tells whether a hook may delete an object (I2).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from knarr.agent.core.health import HealthStatus, health_of
from knarr.agent.core.objects import Kind, Ref, ref_of
from knarr.agent.core.ordering import stage_of, wave_of
from knarr.bundle.canonical import Object
from knarr.bundle.hooks import HELM_WEIGHT, LARGEST_WEIGHT, delete_policies, hook_words, is_hook
from knarr.pipeline.names import ObjectId

RUN_ANNOTATION = "knarr.dev/hook-run"
_RUN_TO_COMPLETION = frozenset({Kind("batch", "Job"), Kind("", "Pod")})


class Phase(Enum):
    """When a hook runs: before anything of the bundle is applied, or once all of it is."""

    PRE = "pre-apply"
    POST = "post-apply"


class Outcome(Enum):
    """What became of a hook's run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


# What an annotation's word means: the phase, and whether it runs at the first apply and at later ones.
_WORDS: Mapping[str, tuple[Phase, bool, bool]] = {
    Phase.PRE.value: (Phase.PRE, True, True),
    Phase.POST.value: (Phase.POST, True, True),
    "pre-install": (Phase.PRE, True, False),
    "pre-upgrade": (Phase.PRE, False, True),
    "post-install": (Phase.POST, True, False),
    "post-upgrade": (Phase.POST, False, True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook at one phase. `policies` say when its object is deleted."""

    phase: Phase
    weight: int
    policies: frozenset[str]
    manifest: Object

    @property
    def ref(self) -> Ref:
        """Its object."""
        return ref_of(self.manifest)

    @property
    def key(self) -> str:
        """Under which its run is remembered: an object may be a hook of both phases."""
        return f"{self.phase.value} {self.ref.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRun:
    """What is known of a hook's newest run. `uid` is empty when its object does not exist (any more)."""

    digest: str
    outcome: str
    object_id: str
    api_version: str
    uid: str = ""
    since_ms: int = 0
    message: str = ""
    late: bool = False
    policies: tuple[str, ...] = ()

    def is_over(self, digest: bytes) -> bool:
        """Whether it has succeeded for this bundle."""
        return self.digest == digest.hex() and self.outcome == Outcome.SUCCEEDED.value

    @property
    def leaves(self) -> bool:
        """Whether its delete policy wants its object gone now."""
        return bool(self.uid) and f"hook-{self.outcome}" in self.policies


def hooks_of(objects: Iterable[Object], *, installed: bool) -> tuple[Hook, ...]:
    """The hooks that are due for a bundle, in the order in which they run within their phase."""
    found = [
        _hook(manifest, phase)
        for manifest in objects
        if is_hook(manifest)
        for phase in Phase
        if any(_applies(word, phase, installed=installed) for word in _words(manifest))
    ]
    return tuple(sorted(found, key=lambda h: (h.weight, stage_of(h.ref.of_kind), h.ref.id)))


def runs_to_completion(ref: Ref) -> bool:
    """Whether the object's end is waited for; any other hook is done once it is applied."""
    return ref.of_kind in _RUN_TO_COMPLETION


def outcome_of(found: Mapping[str, Any], ref: Ref) -> tuple[Outcome, str]:
    """What a hook's live object says of its run, with a line for a person."""
    if not runs_to_completion(ref):
        return Outcome.SUCCEEDED, ""
    if ref.kind == "Pod" and (found.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
        return Outcome.RUNNING, health_of(found, "", "Pod").message
    health = health_of(found, ref.of_kind.group, ref.kind)
    match health.status:
        case HealthStatus.CURRENT:
            return Outcome.SUCCEEDED, ""
        case HealthStatus.FAILED:
            return Outcome.FAILED, health.message
    return Outcome.RUNNING, health.message


def marked(manifest: Object, mark: str) -> Object:
    """The manifest with the run that it belongs to: so that a run is recognised after a kill at any instant."""
    metadata = manifest.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), RUN_ANNOTATION: mark}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def mark_in(found: Mapping[str, Any]) -> str:
    """The run that a live object says it belongs to. Anybody may have written it: see `is_stamp`."""
    return str(_annotations(found).get(RUN_ANNOTATION, ""))


def run_name(digest: bytes, phase: Phase) -> str:
    """One run of a bundle's hooks. Alone it marks what a run applied and did not create."""
    return f"{digest.hex()[:32]}.{phase.value}"


def stamp(secret: bytes, identity: ObjectId, run: str) -> str:
    """The mark of what a run creates. `secret` never leaves the agent, so nobody writes such a mark into Git."""
    return f"{run}.{hmac.digest(secret, f'{identity} {run}'.encode(), hashlib.sha256).hex()[:32]}"


def is_stamp(secret: bytes, identity: ObjectId, mark: str) -> bool:
    """Whether a run of this agent created the object that carries the mark, whichever run it was."""
    run, _, _ = mark.rpartition(".")
    return bool(run) and hmac.compare_digest(stamp(secret, identity, run).encode(), mark.encode())


def runs_to_json(runs: Mapping[str, HookRun]) -> dict[str, Any]:
    """For the store."""
    return {key: asdict(run) for key, run in runs.items()}


def runs_from_json(found: Mapping[str, Any]) -> dict[str, HookRun]:
    """From the store."""
    return {key: HookRun(**{**run, "policies": tuple(run["policies"])}) for key, run in found.items()}


def ids_of(objects: Iterable[Object]) -> frozenset[ObjectId]:
    """The hooks among the objects, due or not."""
    return frozenset(ref_of(o).id for o in objects if is_hook(o))


def _hook(manifest: Object, phase: Phase) -> Hook:
    policies = delete_policies(_annotations(manifest))
    return Hook(phase=phase, weight=_weight(manifest), policies=policies, manifest=manifest)


def _weight(manifest: Mapping[str, Any]) -> int:
    said = _annotations(manifest).get(HELM_WEIGHT)
    if said is None:
        return wave_of(manifest)
    try:
        return max(-LARGEST_WEIGHT, min(LARGEST_WEIGHT, int(str(said))))
    except ValueError:
        return 0


def _applies(word: str, phase: Phase, *, installed: bool) -> bool:
    known = _WORDS.get(word)
    if known is None:
        return False
    at, first, later = known
    return at is phase and (later if installed else first)


def _words(manifest: Mapping[str, Any]) -> frozenset[str]:
    return hook_words(_annotations(manifest))


def _annotations(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    return (manifest.get("metadata") or {}).get("annotations") or {}
