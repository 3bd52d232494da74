"""A cluster whose document cannot be read stays with the bundle that it was last given (I1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline.names import ClusterName
from knarr.pipeline.revision import BundleRef, Index, RevisionRendered, Variant
from knarr.renderer.core.documents import Cluster
from knarr.renderer.core.fleet import FleetView
from knarr.renderer.core.unread import keep_unread

Placed = dict[str, int]


def _variants(placed: Placed) -> tuple[Variant, ...]:
    by_bundle: dict[int, list[str]] = {}
    for cluster, bundle in placed.items():
        by_bundle.setdefault(bundle, []).append(cluster)
    return tuple(Variant(bundle=BundleRef(digest=bytes([b])), clusters=tuple(sorted(c))) for b, c in by_bundle.items())


def _indexes(placed: Placed) -> tuple[Index, ...]:
    return tuple(Index(digest=bytes([b])) for b in sorted(set(placed.values())))


def _placed(variants: tuple[Variant, ...]) -> dict[str, bytes]:
    return {c: v.bundle.digest for v in variants if v.bundle for c in v.clusters}


def _fleet(names: set[str], *, complete: bool) -> FleetView:
    return FleetView(clusters=tuple(Cluster(name=ClusterName(n)) for n in sorted(names)), complete=complete)


PLACED = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3))


@given(before=PLACED, after=PLACED)
def test_an_unread_cluster_keeps_its_bundle_and_a_read_one_gets_the_new(before: Placed, after: Placed) -> None:
    old = RevisionRendered(variants=_variants(before), indexes=_indexes(before))
    variants, indexes = keep_unread(_variants(after), _indexes(after), old, _fleet(set(after), complete=False))
    kept = {c: b for c, b in before.items() if c not in after}
    assert _placed(variants) == {c: bytes([b]) for c, b in {**kept, **after}.items()}
    assert {v.bundle.digest for v in variants if v.bundle} <= {i.digest for i in indexes}
    assert len({v.bundle.digest for v in variants if v.bundle}) == len(variants)


@given(before=PLACED, after=PLACED)
def test_from_a_fleet_that_was_read_completely_absence_is_meant(before: Placed, after: Placed) -> None:
    old = RevisionRendered(variants=_variants(before), indexes=_indexes(before))
    variants, _ = keep_unread(_variants(after), _indexes(after), old, _fleet(set(after), complete=True))
    assert _placed(variants) == {c: bytes([b]) for c, b in after.items()}


def test_a_cluster_that_no_target_matches_any_more_is_let_go() -> None:
    old = RevisionRendered(variants=_variants({"a": 1, "b": 1}), indexes=_indexes({"a": 1}))
    variants, _ = keep_unread(_variants({"a": 1}), _indexes({"a": 1}), old, _fleet({"a", "b"}, complete=False))
    assert _placed(variants) == {"a": b"\x01"}
