"""Content digests: sha256 over unambiguous bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def sha256(data: bytes) -> bytes:
    """The 32-byte digest of `data`."""
    return hashlib.sha256(data).digest()


def digest_of(parts: Iterable[bytes]) -> bytes:
    """sha256 over the parts, each behind its length, so that no two lists of parts share a digest by accident."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()


def short(digest: bytes) -> str:
    """The first twelve hex digits, for people."""
    return digest.hex()[:12]
