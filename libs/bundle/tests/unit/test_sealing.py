"""Sealing is deterministic, never repeats a (key, nonce), and refuses everything that is not what was sealed (I4)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from knarr.bundle.sealing import MasterKey, Sealed, content_key, key_id, seal, unseal
from knarr.bundle.signing import open_body, sign_assignment, verify_assignment
from knarr.pipeline.assignment import AssignedApp, AssignmentBody, AssignmentHeader, BodyEncoding, SignedAssignment
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import Rejected

MASTER = MasterKey(bytes(range(32)))
HEADER = AssignmentHeader(epoch="e", cluster="c1", cluster_uid="u", generation=7, body_encoding=BodyEncoding.SEALED_BOX)
BODY = AssignmentBody(apps=(AssignedApp(app="shop", digest=b"d" * 32),))


def opened(sealed: Sealed, **changed: object) -> bytes:
    values = {
        "data": sealed.data,
        "key": content_key(MASTER, sealed.digest),
        "address": sealed.address,
        "digest": sealed.digest,
        "plain_size": sealed.plain_size,
    } | changed
    data = values.pop("data")
    return unseal(data, **values)  # type: ignore[arg-type]


@given(st.binary(max_size=5_000))
def test_what_is_sealed_opens_and_seals_the_same_again(plain: bytes) -> None:
    sealed = seal(MASTER, plain)
    assert opened(sealed) == plain
    assert seal(MASTER, plain) == sealed


@given(st.binary(min_size=1, max_size=3_000), st.sampled_from([1, 3, 9, 15]))
def test_another_compressor_setting_never_repeats_a_nonce_for_other_bytes(plain: bytes, level: int) -> None:
    one, other = seal(MASTER, plain), seal(MASTER, plain, level=level)
    same_nonce = one.data[:24] == other.data[:24]
    assert same_nonce == (one.data == other.data)
    assert opened(other) == plain


@given(st.binary(max_size=500), st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_flipped_bit_is_refused(plain: bytes, place: int, flip: int) -> None:
    sealed = seal(MASTER, plain)
    forged = bytearray(sealed.data)
    forged[place % len(forged)] ^= flip
    with pytest.raises(Rejected, match="KNR7003"):
        opened(sealed, data=bytes(forged))
    with pytest.raises(Rejected, match="KNR7004"):
        opened(sealed, data=bytes(forged), address=sha256(bytes(forged)))


def test_each_lie_about_a_blob_has_its_number() -> None:
    sealed = seal(MASTER, b"x" * 1000)
    lies: list[tuple[dict[str, object], str]] = [
        ({"data": sealed.data[:-1]}, "KNR7003"),
        ({"key": bytes(32)}, "KNR7004"),
        ({"plain_size": 999}, "KNR7005"),
        ({"digest": bytes(32)}, "KNR7006"),
        ({"data": b"", "address": sha256(b"")}, "KNR7004"),
    ]
    for changed, code in lies:
        with pytest.raises(Rejected, match=code):
            opened(sealed, **changed)


def test_a_bomb_stops_at_the_size_that_was_stated() -> None:
    sealed = seal(MASTER, bytes(50_000_000))
    assert len(sealed.data) < 100_000
    with pytest.raises(Rejected, match="KNR7005"):
        opened(sealed, plain_size=1000)


def test_the_key_id_says_nothing_of_the_key_and_differs_between_keys() -> None:
    assert key_id(MASTER) != key_id(MasterKey(bytes(32)))


def test_an_assignment_is_verified_before_it_is_parsed_and_opens_for_its_cluster_only() -> None:
    signer, cluster, other = SigningKey.generate(), PrivateKey.generate(), PrivateKey.generate()
    data = sign_assignment(HEADER, BODY, recipient=bytes(cluster.public_key), signer=signer)
    header, sealed = verify_assignment(data, trusted=(bytes(signer.verify_key),))
    assert header == HEADER
    assert open_body(header, sealed, private=cluster) == BODY
    with pytest.raises(Rejected, match="KNR7004"):
        open_body(header, sealed, private=other)
    with pytest.raises(Rejected, match="KNR7007"):
        verify_assignment(data, trusted=(bytes(SigningKey.generate().verify_key),))
    with pytest.raises(Rejected, match="KNR7007"):
        verify_assignment(data, trusted=())


@pytest.mark.parametrize("part", ["header", "body", "signature"])
def test_any_changed_part_breaks_the_signature(part: str) -> None:
    signer = SigningKey.generate()
    data = sign_assignment(HEADER, BODY, recipient=bytes(PrivateKey.generate().public_key), signer=signer)
    signed = decode(SignedAssignment, data)
    value = getattr(signed, part)
    forged = encode(replace(signed, **{part: value[:-1] + bytes([value[-1] ^ 1])}))
    with pytest.raises(Rejected, match="KNR7007"):
        verify_assignment(forged, trusted=(bytes(signer.verify_key),))


@given(st.binary(max_size=300))
def test_garbage_is_a_numbered_refusal(data: bytes) -> None:
    with pytest.raises(Rejected, match=r"KNR70(01|07)"):
        verify_assignment(data, trusted=(bytes(SigningKey(bytes(32)).verify_key),))
