"""What lies on the disk between runs is sealed: Git's contents and bundles may hold what only their readers should see.

Each store has its own key, derived from a master key that the renderer holds anyway; each file is bound to its name, so
that nothing put in another's place opens. Random nonces: the same content may be written twice.
"""

from __future__ import annotations

import hashlib
import hmac

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from knarr.bundle.sealing import MasterKey

_NONCE_BYTES = 24


class DiskSeal:
    """`purpose` names the store: the same key and name in another store give another file."""

    def __init__(self, master: MasterKey, purpose: str) -> None:
        self._key = hmac.new(master, f"knarr/disk/v1/{purpose}".encode(), hashlib.sha256).digest()

    def sealed(self, name: str, plain: bytes) -> bytes:
        """What to write under `name`."""
        nonce = random(_NONCE_BYTES)
        return bytes(nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, name.encode(), nonce, self._key))

    def opened(self, name: str, data: bytes) -> bytes | None:
        """What was written; None when it is not that."""
        nonce, encrypted = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        try:
            return bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(encrypted, name.encode(), nonce, self._key))
        except (CryptoError, ValueError, TypeError):
            return None
