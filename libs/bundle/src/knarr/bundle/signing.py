"""Signed and sealed assignments (design section 11).

Rollout signs; the agent verifies the signature over exactly the bytes that travelled, before it parses any of them.
"""

from __future__ import annotations

from nacl.bindings import crypto_scalarmult
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from knarr.pipeline.assignment import (
    AssignmentBody,
    AssignmentHeader,
    BodyEncoding,
    SignedAssignment,
)
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import rejected

_CONTEXT = b"knarr/assignment/v1\0"
_KEY_CONTEXT = b"knarr/sealing-key/v1\0"
_ANY_SCALAR = bytes(range(1, 33))


def signing_key_id(public: bytes) -> str:
    """A short name for an Ed25519 public key."""
    return sha256(public).hex()[:16]


def sign_assignment(header: AssignmentHeader, body: AssignmentBody, *, recipient: bytes, signer: SigningKey) -> bytes:
    """The bytes for `assignment.<cluster>`: body sealed to the cluster's X25519 key, all of it signed."""
    header_bytes = encode(header)
    sealed: bytes = SealedBox(PublicKey(recipient)).encrypt(encode(body))
    key = signing_key_id(bytes(signer.verify_key))
    signature = signer.sign(_signed_bytes(header_bytes, sealed, key)).signature
    return encode(SignedAssignment(header=header_bytes, body=sealed, key_id=key, signature=signature))


def verify_assignment(data: bytes, *, trusted: tuple[bytes, ...]) -> tuple[AssignmentHeader, bytes]:
    """(header, sealed body) once a trusted Ed25519 key's signature holds. KNR7001 or KNR7007 otherwise."""
    signed = decode(SignedAssignment, data)
    known = {signing_key_id(key): key for key in trusted}
    key = known.get(signed.key_id)
    if key is None:
        raise rejected("KNR7007", f"the assignment is signed by an unknown key {signed.key_id[:16]!r}")
    try:
        VerifyKey(key).verify(_signed_bytes(signed.header, signed.body, signed.key_id), signed.signature)
    except (BadSignatureError, ValueError, TypeError) as error:
        raise rejected("KNR7007", "the assignment's signature does not match its bytes") from error
    return decode(AssignmentHeader, signed.header), signed.body


def open_body(header: AssignmentHeader, sealed: bytes, *, private: PrivateKey) -> AssignmentBody:
    """The body of a verified assignment. KNR7004 when it is not sealed to this cluster's key."""
    if header.body_encoding is not BodyEncoding.SEALED_BOX:
        raise rejected("KNR7004", "the assignment's body is in an encoding that this agent does not know")
    try:
        plain: bytes = SealedBox(private).decrypt(sealed)
    except (CryptoError, ValueError, TypeError) as error:
        raise rejected("KNR7004", "the assignment is sealed to another key than this cluster's") from error
    return decode(AssignmentBody, plain)


def is_sealing_key(key: bytes) -> bool:
    """Whether something can be sealed to these bytes: an X25519 public key that is no point of low order."""
    if len(key) != 32:
        return False
    try:
        crypto_scalarmult(_ANY_SCALAR, key)
    except (CryptoError, ValueError, TypeError, RuntimeError):
        return False
    return True


def is_signing_key(key: bytes) -> bool:
    """Whether the bytes may be an Ed25519 public key."""
    return len(key) == 32


def sign_sealing_key(cluster_uid: str, sealing_key: bytes, *, signer: SigningKey) -> bytes:
    """The cluster's word that this X25519 key is its own."""
    return signer.sign(_KEY_CONTEXT + _framed(cluster_uid.encode(), sealing_key)).signature


def vouches_for(signing_key: bytes, signature: bytes, *, cluster_uid: str, sealing_key: bytes) -> bool:
    """Whether the signature is such a word, by the holder of the Ed25519 key."""
    try:
        VerifyKey(signing_key).verify(_KEY_CONTEXT + _framed(cluster_uid.encode(), sealing_key), signature)
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def _signed_bytes(header: bytes, body: bytes, key_id: str) -> bytes:
    return _CONTEXT + _framed(header, body, key_id.encode())


def _framed(*parts: bytes) -> bytes:
    return b"".join(len(p).to_bytes(8, "big") + p for p in parts)
