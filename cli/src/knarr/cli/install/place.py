"""The state folder: what lies where, and what other commands find there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from knarr.pipeline.errors import rejected


def default_state() -> Path:
    """`$XDG_STATE_HOME/knarr`, by default ~/.local/state/knarr."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "knarr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where a running installation can be asked."""

    api: str
    page: str
    token_file: str
    pid: int
    webhook: str
    nats: str


@dataclass(frozen=True, slots=True)
class Place:
    """One state folder."""

    folder: Path

    @property
    def keys(self) -> Path:
        """The identity's folder."""
        return self.folder / "keys"

    @property
    def logs(self) -> Path:
        """Logs and pid records of the services."""
        return self.folder / "services"

    @property
    def clusters(self) -> Path:
        """State of simulated clusters."""
        return self.folder / "clusters"

    def part(self, name: str) -> Path:
        """A service's own folder."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def ports(self, wanted: tuple[str, ...]) -> dict[str, int]:
        """The ports of the first start, where they are free; else others, for this time only."""
        from knarr.local.ports import free_port, is_free

        kept_file = self.folder / "ports.json"
        kept: dict[str, int] = json.loads(kept_file.read_text()) if kept_file.exists() else {}
        ports = {name: kept[name] if name in kept and is_free(kept[name]) else free_port() for name in wanted}
        kept_file.write_text(json.dumps({**ports, **kept}))
        return ports

    def uids(self) -> dict[str, str]:
        """The UID of each real cluster at the last start, by name: a name must not slip to another cluster."""
        file = self.folder / "uids.json"
        found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def keep_uids(self, uids: Mapping[str, str]) -> None:
        """For the next start."""
        (self.folder / "uids.json").write_text(json.dumps(dict(uids)))

    def announce(self, running: Running) -> None:
        """Lets other commands find the installation."""
        (self.folder / "running.json").write_text(json.dumps(asdict(running)))

    def withdraw(self) -> None:
        """It runs no more."""
        (self.folder / "running.json").unlink(missing_ok=True)

    def running(self) -> Running:
        """Where to ask. KNR6205 when nothing runs on this folder."""
        file = self.folder / "running.json"
        if not file.exists():
            raise rejected("KNR6205", f"no installation runs on {self.folder}")
        return Running(**json.loads(file.read_text()))
