"""Bundles and revisions without a broker: for `vet`, `render` and `diff` on a laptop, and for tests of the flow.

They pass the same conformance suite as the adapters on JetStream (tests/integration/test_ports.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from knarr.pipeline.digest import sha256
from knarr.pipeline.names import AppName, SourceName
from knarr.pipeline.revision import BundleRef, CommitRendered, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.renderer.core.revision import Order, is_older, order_of
from knarr.renderer.counters import tally
from knarr.renderer.ports import FactsRead, Snapshot


class OfflineBundles:
    """Keeps plain bundles by digest; the address is the digest, since nothing is sealed."""

    def __init__(self) -> None:
        self.plain: dict[bytes, bytes] = {}
        self.stored = 0
        self.epoch = "offline"

    async def publish(self, plain: bytes, object_count: int) -> BundleRef:
        """Keeps `plain`."""
        digest = sha256(plain)
        if digest not in self.plain:
            self.plain[digest] = plain
            self.stored += 1
            tally().stored += 1
        size = len(plain)
        return BundleRef(
            digest=digest,
            address=digest,
            plain_size=size,
            sealed_size=size,
            object_count=object_count,
            chunk_count=1,
        )


class OfflineRevisions:
    """Keeps the newest of everything."""

    def __init__(self, published: Mapping[AppName, RevisionRendered] = MappingProxyType({})) -> None:
        self.revisions: dict[AppName, RevisionRendered] = dict(published)
        self.failures: dict[AppName, RenderFailed] = {}
        self.closed: dict[SourceName, CommitRendered] = {}

    async def published(self) -> Mapping[AppName, RevisionRendered]:
        """The newest revision of every app."""
        return dict(self.revisions)

    async def publish(self, revision: RevisionRendered) -> bool:
        """Keeps it unless a newer one of the same source is there."""
        name = AppName(revision.app)
        before = self.revisions.get(name)
        if before is not None and is_same_source(before, revision) and is_older(order_of(revision), order_of(before)):
            return False
        self.revisions[name] = revision
        return True

    async def publish_failure(self, failed: RenderFailed) -> None:
        """Keeps it, unless a newer one of the same source is there."""
        before = self.failures.get(AppName(failed.app))
        if before is not None and _source(before) == _source(failed) and is_older(_order(failed), _order(before)):
            return
        self.failures[AppName(failed.app)] = failed

    async def close(self, rendered: CommitRendered) -> None:
        """Keeps it, unless a newer one is there."""
        before = self.closed.get(_source(rendered))
        if before is None or not is_older(_order(rendered), _order(before)):
            self.closed[_source(rendered)] = rendered


class OfflineSnapshots:
    """Snapshots that the caller has made."""

    def __init__(self, snapshots: Mapping[SourceName, Snapshot]) -> None:
        self.snapshots = dict(snapshots)

    async def newest(self) -> Mapping[SourceName, Snapshot]:
        """As given."""
        return dict(self.snapshots)


class OfflineFacts:
    """Facts that the caller knows; none on a laptop."""

    def __init__(self, facts: FactsRead | None = None) -> None:
        self.facts = facts or FactsRead()

    async def newest(self) -> FactsRead:
        """As given."""
        return self.facts


def _source(value: RenderFailed | CommitRendered) -> SourceName:
    return SourceName(value.commit.source if value.commit else "")


def _order(value: RenderFailed | CommitRendered) -> Order:
    commit, fleet = value.commit or Commit(), value.fleet_commit or Commit()
    return (commit.number, fleet.number, value.facts_number)


def is_same_source(one: RevisionRendered, other: RevisionRendered) -> bool:
    """Whether both come from one source: numbers of different sources have no order."""
    return (one.commit.source if one.commit else "") == (other.commit.source if other.commit else "")
