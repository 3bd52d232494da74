"""What it means to follow a source: where it is, which ref, which part of it, whom to trust."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from knarr.pipeline.names import SourceName


class RefKind(Enum):
    """What a ref's text means."""

    DEFAULT = "default"  # the branch that the remote's HEAD names
    BRANCH = "branch"
    TAG = "tag"
    SEMVER = "semver"  # the highest tag in a range
    COMMIT = "commit"  # one commit for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Which commit of the repository is meant. `value` is empty for DEFAULT."""

    kind: RefKind = RefKind.DEFAULT
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """Keys that may sign commits. Both empty: signatures are not looked at."""

    ssh: tuple[str, ...] = ()  # lines as in an authorized_keys file
    openpgp: tuple[str, ...] = ()  # armoured certificates

    @property
    def pinned(self) -> bool:
        """Whether a commit must be signed."""
        return bool(self.ssh or self.openpgp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source to follow.

    `url` has passed core.address. `root`: the folder whose content is the snapshot; empty for the whole tree. `paths`:
    globs; when there are any, only commits that change a matching path count. `credentials`: the name of what the
    fetcher holds for it, empty for none. `poll_seconds`: 0 for the installation's own interval.
    """

    name: SourceName
    url: str
    ref: Ref = Ref()
    root: str = ""
    paths: tuple[str, ...] = ()
    credentials: str = ""
    signers: Signers = Signers()
    poll_seconds: float = 0.0
