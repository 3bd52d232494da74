"""Manifests and packs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from knarr.fetcher.core.manifest import Place, delta_of, is_time_to_restart, manifest_of, packs_of, places_in
from knarr.fetcher.core.tree import TreeDelta, TreeFile
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.snapshot import FileMode, Manifest, SealedAddress

_IDS = st.sampled_from([bytes([n]) * 20 for n in range(6)])
_PACKS = st.sampled_from([SealedAddress(address=bytes([n]) * 32, chunk_count=n + 1) for n in range(3)])
_FILES = st.builds(
    TreeFile,
    path=st.binary(min_size=1, max_size=8),
    mode=st.sampled_from([FileMode.REGULAR, FileMode.EXECUTABLE, FileMode.SYMLINK, FileMode.SUBMODULE]),
    content_id=_IDS,
)


@given(st.data(), st.lists(_FILES, max_size=8, unique_by=lambda f: f.path), st.booleans())
def test_a_manifest_on_the_wire_says_what_the_delta_said(
    data: st.DataObject, files: list[TreeFile], full: bool
) -> None:
    places = {f.content_id: data.draw(st.builds(Place, size=st.integers(0, 9), pack=st.none() | _PACKS)) for f in files}
    delta = TreeDelta(changed=tuple(sorted(files, key=lambda f: f.path)), removed=(b"x", b"y"), complete=full)
    manifest = decode(Manifest, encode(manifest_of(delta, places)))
    assert delta_of(manifest) == delta
    with_content = {f.content_id for f in files if f.mode is not FileMode.SUBMODULE}
    assert dict(places_in(manifest)) == {c: places[c] for c in with_content}
    assert len({pack.address for pack in manifest.packs}) == len(manifest.packs)


@given(st.lists(st.tuples(st.binary(min_size=20, max_size=20), st.integers(0, 100)), unique_by=lambda c: c[0]))
def test_packs_hold_everything_once_in_order_and_no_more_than_fits(contents: list[tuple[bytes, int]]) -> None:
    sizes = dict(contents)
    packs = list(packs_of(contents, 50))
    assert [content_id for pack in packs for content_id in pack] == [content_id for content_id, _ in contents]
    assert all(len(pack) == 1 or sum(sizes[c] for c in pack) <= 50 for pack in packs)
    assert all(packs)


def test_a_chain_begins_anew_after_32_deltas_or_when_they_outweigh_the_complete_one() -> None:
    def chain(complete: int, *deltas: int) -> tuple[SealedAddress, ...]:
        return tuple(SealedAddress(sealed_size=size) for size in (complete, *deltas))

    assert is_time_to_restart(())
    assert not is_time_to_restart(chain(100))
    assert not is_time_to_restart(chain(100, 50, 50))
    assert is_time_to_restart(chain(100, 50, 51))
    assert not is_time_to_restart(chain(1000, *[1] * 31))
    assert is_time_to_restart(chain(1000, *[1] * 32))
