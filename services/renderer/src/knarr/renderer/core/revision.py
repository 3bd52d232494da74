"""Variants to a revision: its identity, and which of two revisions of an app is the newer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from knarr.pipeline.codec import encode
from knarr.pipeline.digest import digest_of
from knarr.pipeline.names import AppName
from knarr.pipeline.revision import ClusterFacts, Index, RevisionRendered, RolloutOptions, Variant
from knarr.pipeline.snapshot import Commit
from knarr.renderer.core.documents import App

Order = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a rendering was made from: the app's commit, the fleet's, and the facts up to a number."""

    commit: Commit
    fleet_commit: Commit
    facts_number: int = 0
    facts_digest: bytes = b""

    @property
    def order(self) -> Order:
        """(source commit number, fleet commit number, facts number)."""
        return (self.commit.number, self.fleet_commit.number, self.facts_number)


def facts_digest(facts: Iterable[ClusterFacts]) -> bytes:
    """A digest of everything that clusters say about themselves."""
    return digest_of(encode(f) for f in sorted(facts, key=lambda f: f.cluster))


def order_of(revision: RevisionRendered) -> Order:
    """The order of a published revision."""
    commit, fleet = revision.commit or Commit(), revision.fleet_commit or Commit()
    return (commit.number, fleet.number, revision.facts_number)


def is_older(one: Order, other: Order) -> bool:
    """Whether a result of `one` must not replace one of `other`: some part is older and none is newer."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def options_of(app: App) -> RolloutOptions:
    """What rollout needs to know of the app. Guards are the fleet's: CommitRendered has them."""
    return RolloutOptions(depends_on=tuple(app.depends_on))


def revision_of(
    name: AppName,
    folder: str,
    moment: Moment,
    variants: Iterable[Variant],
    indexes: Iterable[Index],
    options: RolloutOptions,
) -> RevisionRendered:
    """The revision, identified by app, commits, facts and variants. `rendered_at_ms` is the flow's to fill in."""
    ordered = tuple(sorted(variants, key=lambda v: v.bundle.digest if v.bundle else b""))
    unsigned = RevisionRendered(
        app=name,
        commit=moment.commit,
        fleet_commit=moment.fleet_commit,
        facts_number=moment.facts_number,
        facts_digest=moment.facts_digest,
        variants=ordered,
        indexes=tuple(sorted({i.digest: i for i in indexes}.values(), key=lambda i: i.digest)),
        options=options,
        path=folder,
    )
    return _with_id(unsigned)


def same_content(one: RevisionRendered, other: RevisionRendered) -> bool:
    """Whether both put the same bundles on the same clusters with the same options."""
    return _content(one) == _content(other)


def _content(revision: RevisionRendered) -> tuple[object, ...]:
    placed = {(v.bundle.digest if v.bundle else b"", tuple(sorted(v.clusters))) for v in revision.variants}
    return (placed, revision.options)


def _with_id(revision: RevisionRendered) -> RevisionRendered:
    commit, fleet = revision.commit or Commit(), revision.fleet_commit or Commit()
    parts: list[bytes] = [
        revision.app.encode(),
        commit.source.encode(),
        commit.sha.encode(),
        fleet.sha.encode(),
        revision.facts_digest,
        encode(revision.options),
    ]
    for variant in revision.variants:
        parts.append(variant.bundle.digest if variant.bundle else b"")
        parts.append("\0".join(sorted(variant.clusters)).encode())
    return replace(revision, revision=digest_of(parts).hex())
