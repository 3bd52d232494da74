"""What the agent needs from the world.

Adapters: kubernetes and simulated (Cluster, Store), nats (Hub). The conformance suite of `Cluster` is
knarr.testkit.cluster_conformance; it runs on both adapters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from knarr.agent.core.objects import Kind, Ref
from knarr.bundle.canonical import Object
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.report import AppReport, ClusterReport, PlanReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterIdentity:
    """Which cluster this is: the UID of its kube-system namespace, and what it calls its version."""

    uid: str
    version: str


class EventType(Enum):
    """What a watch says."""

    CHANGED = "changed"
    DELETED = "deleted"
    BOOKMARK = "bookmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a watch. `found` is the object, or only its metadata where that was asked for."""

    type: EventType
    found: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list, and the version that the whole list was taken at."""

    items: tuple[Object, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The object as it is after an apply, and whether the apply created it."""

    found: Object
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to list or watch. An empty namespace means all of them; `label` is a label that objects must have."""

    kind: Kind
    namespace: str = ""
    label: str = ""
    metadata_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class As:
    """On whose behalf: a service account to impersonate (`namespace`, `name`), or nobody's but the agent's own."""

    namespace: str = ""
    service_account: str = ""


AGENT = As()


class WatchExpired(Exception):
    """The server no longer knows the version to watch from: list again."""


class Reading(Protocol):
    """Reading a cluster. Errors: KNR4010 for a kind it does not serve, else the numbers of core.refusals."""

    async def identity(self) -> ClusterIdentity:
        """Reads kube-system's UID and the version. Retryable when the API server does not answer."""
        ...

    async def capabilities(self) -> tuple[str, ...] | None:
        """`group/version/Kind` of what is served beyond Kubernetes' own groups, read now; None when incomplete."""
        ...

    async def serves(self, kind: Kind) -> bool:
        """Whether the kind is served now; asks again (not more than once a second) when it is not known."""
        ...

    async def get(self, ref: Ref, *, metadata_only: bool = False, who: As = AGENT) -> Object | None:
        """The object; None only when the server says that it does not exist."""
        ...

    def pages(self, what: Selection, *, who: As = AGENT) -> AsyncIterator[Page]:
        """Everything selected, at one version, one page or more. Complete only when it ends: a failure raises (I1)."""
        ...

    def watch(self, what: Selection, version: str) -> AsyncIterator[Event]:
        """Events after `version`, in order, until the server ends the watch. WatchExpired when it is too old."""
        ...


class Writing(Protocol):
    """Changing a cluster."""

    async def apply(self, manifest: Object, *, force: bool, dry_run: bool = False, who: As = AGENT) -> Applied:
        """Server-side apply as field manager `knarr`. KNR4023 on a conflict when not forced."""
        ...

    async def delete(self, ref: Ref, *, uid: str, who: As = AGENT) -> Object | None:
        """Deletes in the background, only the object with that UID. What remains of it (finalizers), None when gone."""
        ...

    async def replace_managers(
        self, ref: Ref, found: Object, managers: list[dict[str, Any]], *, who: As = AGENT
    ) -> None:
        """Writes managedFields of the object exactly as found; retryable KNR4026 when it changed meanwhile."""
        ...

    async def without(self, ref: Ref, pointers: Sequence[str], *, who: As = AGENT) -> Object:
        """A dry run: the object as it would be with these fields (JSON pointers) removed one after the other."""
        ...

    async def create_namespace(self, name: str) -> None:
        """Creates a namespace that nobody will own; well if it exists."""
        ...


class Cluster(Reading, Writing, Protocol):
    """One Kubernetes cluster."""


class Expressions(Protocol):
    """Evaluates the expressions of apps' health rules, under a budget."""

    def about(self, found: Mapping[str, Any]) -> Callable[[str], object]:
        """Asks of one live object, named `object`. The answer raises NotThereYet for a field that it lacks, KNR4042."""
        ...


class Store(Protocol):
    """What survives a restart: small values under keys of letters, digits, dots and hyphens."""

    async def load(self, prefix: str) -> Mapping[str, bytes]:
        """All values whose key begins so. Raises when they cannot all be read: absence is never guessed (I1)."""
        ...

    async def read(self, key: str) -> bytes | None:
        """One value; None only when it is not there."""
        ...

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Durable on return. None removes. Few writes whatever the number of keys."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Look again: something was stored at `sequence` (0: only a new connection, or time to look)."""

    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The newest assignment as stored: unverified bytes."""

    data: bytes = field(repr=False)
    sequence: int


Report = AppReport | ClusterReport | PlanReport


class Hub(Protocol):
    """The way to the hub. Every call has a deadline and raises Retryable when there is no answer."""

    async def newest_assignment(self) -> Delivered | None:
        """None only when the hub says that there is none."""
        ...

    async def blob(self, app: AssignedApp) -> bytes:
        """The sealed bytes, unchecked. Retryable KNR7013 when they are not there."""
        ...

    async def report(self, report: Report) -> int:
        """Stores a report; its sequence in the stream."""
        ...

    async def next_hint(self) -> Hint:
        """Waits for the next one; there is one after every connect. A newer hint replaces an unread older one."""
        ...
