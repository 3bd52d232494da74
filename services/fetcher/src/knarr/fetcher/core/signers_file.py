"""A file of pinned signers: lines as in authorized_keys, armoured OpenPGP certificates, comments."""

from __future__ import annotations

import re

from knarr.fetcher.core.source import Signers
from knarr.fetcher.core.sshsig import pinned_key

_CERTIFICATE = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


def read_signers(text: str) -> Signers | None:
    """The signers; None when there are none or a line is something else, so that a slip never lets anybody in."""
    certificates = tuple(_CERTIFICATE.findall(text))
    lines = [line.strip() for line in _CERTIFICATE.sub("", text).splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if any(pinned_key(key) is None for key in keys):
        return None
    signers = Signers(ssh=keys, openpgp=certificates)
    return signers if signers.pinned else None
