"""Sealing content-addressed bytes (design section 11, docs/adr/0003-sealing.md).

Compress, then encrypt whole. The key comes from the plain digest, the nonce from the compressed bytes: sealing the
same bytes twice gives the same address, and another compressor setting never repeats a (key, nonce).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import NewType

import zstandard
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import rejected
from knarr.pipeline.revision import BundleRef
from knarr.pipeline.snapshot import SealedAddress

MasterKey = NewType("MasterKey", bytes)
CHUNK_BYTES = 900_000  # below the broker's 1 MB, headers included
_NONCE_BYTES = 24
_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Sealed bytes and what is needed to find and open them."""

    data: bytes
    digest: bytes
    address: bytes
    plain_size: int
    key_id: str

    @property
    def chunks(self) -> tuple[bytes, ...]:
        """The sealed bytes in pieces that fit a message; at least one."""
        return tuple(self.data[i : i + CHUNK_BYTES] for i in range(0, len(self.data), CHUNK_BYTES))

    def as_address(self) -> SealedAddress:
        """For snapshot messages."""
        return SealedAddress(
            address=self.address,
            digest=self.digest,
            plain_size=self.plain_size,
            sealed_size=len(self.data),
            chunk_count=len(self.chunks),
            key_id=self.key_id,
        )

    def as_bundle_ref(self, object_count: int) -> BundleRef:
        """For revision messages."""
        return BundleRef(
            digest=self.digest,
            address=self.address,
            plain_size=self.plain_size,
            sealed_size=len(self.data),
            object_count=object_count,
            chunk_count=len(self.chunks),
            key_id=self.key_id,
        )


def key_id(master: MasterKey) -> str:
    """A name for the master key that gives nothing of it away."""
    return hmac.new(master, b"knarr/key-id/v1", hashlib.sha256).hexdigest()[:16]


def content_key(master: MasterKey, digest: bytes) -> bytes:
    """The 32-byte key of the content whose plain digest is `digest`: HKDF-SHA256(master, "knarr/bundle/v1", digest)."""
    return _hkdf(master, salt=b"knarr/bundle/v1", info=digest)


def seal(master: MasterKey, plain: bytes, *, level: int = _LEVEL) -> Sealed:
    """Compresses and encrypts `plain`. Deterministic for one master key and compressor."""
    digest = sha256(plain)
    compressed = zstandard.ZstdCompressor(level=level, write_content_size=True).compress(plain)
    nonce_key = _hkdf(master, salt=b"knarr/nonce/v1", info=b"")
    nonce = hmac.new(nonce_key, compressed, hashlib.sha256).digest()[:_NONCE_BYTES]
    encrypted = crypto_aead_xchacha20poly1305_ietf_encrypt(compressed, None, nonce, content_key(master, digest))
    data = nonce + encrypted
    return Sealed(data=data, digest=digest, address=sha256(data), plain_size=len(plain), key_id=key_id(master))


def unseal(data: bytes, *, key: bytes, address: bytes, digest: bytes, plain_size: int) -> bytes:
    """The plain bytes. Checks address, key, size and digest in this order: KNR7003, KNR7004, KNR7005, KNR7006."""
    if sha256(data) != address:
        raise rejected("KNR7003", f"{len(data)} sealed bytes do not match the address {address.hex()[:12]}")
    try:
        compressed = crypto_aead_xchacha20poly1305_ietf_decrypt(data[_NONCE_BYTES:], None, data[:_NONCE_BYTES], key)
    except (CryptoError, ValueError, TypeError) as error:
        raise rejected("KNR7004", f"the blob {address.hex()[:12]} does not open with its key") from error
    plain = _decompress(compressed, plain_size)
    if sha256(plain) != digest:
        raise rejected("KNR7006", f"the content of blob {address.hex()[:12]} is not {digest.hex()[:12]}")
    return plain


def _decompress(compressed: bytes, limit: int) -> bytes:
    out = bytearray()
    reader = zstandard.ZstdDecompressor().stream_reader(compressed)
    try:
        while len(out) <= limit:
            piece = reader.read(min(1 << 20, limit + 1 - len(out)))
            if not piece:
                return bytes(out)
            out += piece
    except zstandard.ZstdError as error:
        raise rejected("KNR7004", "the opened blob is not zstd data") from error
    raise rejected("KNR7005", f"the content is larger than the {limit} bytes stated for it")


def _hkdf(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) for one block of 32 bytes."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()
