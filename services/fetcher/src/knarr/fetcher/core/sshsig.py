"""SSH signatures of commits (OpenSSH's PROTOCOL.sshsig), by pinned Ed25519 keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

ARMOR = b"-----BEGIN SSH SIGNATURE-----"
_END = b"-----END SSH SIGNATURE-----"
_KEY_TYPE = b"ssh-ed25519"
_MAGIC = b"SSHSIG"
_NAMESPACE = b"git"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedKey:
    """An Ed25519 key that may sign, and whose it is."""

    name: str
    key: bytes


def pinned_key(line: str) -> PinnedKey | None:
    """A line as in an authorized_keys file: `ssh-ed25519 AAAA… whose`. None when it is no such line."""
    words = line.split(None, 2)
    if len(words) < 2 or words[0] != _KEY_TYPE.decode():
        return None
    try:
        reader = _Reader(base64.b64decode(words[1], validate=True))
        kind, key = reader.text(), reader.text()
    except (ValueError, binascii.Error):
        return None
    if kind != _KEY_TYPE or len(key) != 32 or reader.rest:
        return None
    return PinnedKey(name=words[2].strip()[:200] if len(words) == 3 else words[1][-12:], key=key)


def signer(signature: bytes, signed: bytes, keys: Iterable[PinnedKey]) -> str | None:
    """Whose pinned key made the signature over `signed`; None when none of them did."""
    try:
        key, message, raw = _parts(signature, signed)
    except (ValueError, binascii.Error):
        return None
    found = next((pinned for pinned in keys if pinned.key == key), None)
    if found is None:
        return None
    try:
        VerifyKey(key).verify(message, raw)
    except (CryptoError, ValueError):
        return None
    return found.name


def _parts(armored: bytes, signed: bytes) -> tuple[bytes, bytes, bytes]:
    """(key, the bytes that it signed, the signature). ValueError when the armor holds something else."""
    begin, end = armored.find(ARMOR), armored.find(_END)
    if begin < 0 or end < begin:
        raise ValueError("no armor")
    reader = _Reader(base64.b64decode(b"".join(armored[begin + len(ARMOR) : end].split()), validate=True))
    if reader.take(len(_MAGIC)) != _MAGIC or reader.take(4) != b"\0\0\0\1":
        raise ValueError("not an SSH signature of version 1")
    key, namespace, reserved, algorithm, blob = (reader.text() for _ in range(5))
    key_reader, blob_reader = _Reader(key), _Reader(blob)
    if key_reader.text() != _KEY_TYPE or blob_reader.text() != _KEY_TYPE:
        raise ValueError("not Ed25519")
    # A signature made for something else (a file, an e-mail) must not vouch for a commit.
    if namespace != _NAMESPACE or algorithm not in _HASHES:
        raise ValueError("not made for Git")
    digest = _HASHES[algorithm](signed).digest()
    message = _MAGIC + b"".join(len(p).to_bytes(4, "big") + p for p in (namespace, reserved, algorithm, digest))
    return key_reader.text(), message, blob_reader.text()


class _Reader:
    """SSH's wire strings: a length of four bytes, then as many bytes. ValueError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, count: int) -> bytes:
        if count > len(self.rest):
            raise ValueError("cut short")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def text(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))
