"""One content, one byte string: order never matters, every difference does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.bundle.canonical import canonical_json, id_of
from knarr.bundle.header import Header, HealthRule, IgnoredField, Takeover, header_from_json, header_to_json
from knarr.bundle.packing import make_bundle, pack, unpack
from knarr.pipeline.errors import Rejected

NAMES = st.text(alphabet="abcdef", min_size=1, max_size=6)
OBJECTS = st.lists(NAMES, unique=True, max_size=8).map(
    lambda names: [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": n}, "data": {"k": n}} for n in names]
)
HEADERS = st.builds(
    Header,
    app=NAMES,
    prune=st.booleans(),
    takeover=st.sampled_from(Takeover),
    depends_on=st.lists(NAMES, max_size=2).map(tuple),
    service_account=st.none() | NAMES,
    ignored_fields=st.lists(st.builds(IgnoredField, kind=NAMES, pointers=st.just(("/spec/replicas",))), max_size=2).map(
        tuple
    ),
    health_rules=st.lists(st.builds(HealthRule, kind=NAMES, healthy=NAMES), max_size=2).map(tuple),
)


@given(HEADERS, OBJECTS, st.randoms())
def test_order_does_not_matter_and_nothing_is_lost(
    header: Header, objects: list[dict[str, object]], chance: object
) -> None:
    shuffled = list(objects)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    bundle = make_bundle(header, objects)
    assert make_bundle(header, shuffled).digest == bundle.digest
    assert unpack(pack(bundle)) == bundle


@given(HEADERS)
def test_a_header_survives_json_and_defaults_are_not_written(header: Header) -> None:
    assert header_from_json(header_to_json(header)) == header
    assert header_to_json(Header()) == {"format": 1}


def test_two_objects_of_one_id_are_refused() -> None:
    twice = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with pytest.raises(Rejected, match="KNR7008"):
        make_bundle(Header(), [twice, twice])


def test_the_api_version_is_not_part_of_the_identity() -> None:
    old = {"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"}}
    assert id_of(old) == id_of({**old, "apiVersion": "apps/v1"}) == "apps/Deployment/n/a"


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"format":2}\n', b'{"format":1,"x":1}\n', b"[]\n", b'{"format":1}\n5\n', b'{"format":1}\n{"a"'],
)
def test_bytes_that_are_no_bundle_are_refused(data: bytes) -> None:
    with pytest.raises(Rejected, match="KNR7008"):
        unpack(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_canonical_json_is_stable(value: object) -> None:
    assert canonical_json(value) == canonical_json(value)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(Rejected, match="KNR7008"):
        canonical_json({"n": 2**70})
