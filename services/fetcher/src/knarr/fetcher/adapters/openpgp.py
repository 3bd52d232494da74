"""OpenPGP signatures of commits, through Sequoia."""

from __future__ import annotations

from collections.abc import Iterable

import pysequoia


class SequoiaOpenPgp:
    """The port `OpenPgp`."""

    def signer(self, signature: bytes, signed: bytes, certificates: Iterable[str]) -> str | None:
        """See ports.OpenPgp. Sequoia's own policy judges algorithms, expiry and revocation."""
        pinned = [certificate for text in certificates if (certificate := _certificate(text)) is not None]
        try:
            given = pysequoia.Sig.from_bytes(signature)
            found = pysequoia.verify(bytes=signed, store=lambda _ids: pinned, signature=given)
        except (RuntimeError, ValueError, TypeError):  # what it raises for every kind of failure, panics apart
            return None
        vouching = {valid.certificate for valid in found.valid_sigs}
        return next((_name(c) for c in pinned if c.fingerprint in vouching), None)


def _certificate(text: str) -> pysequoia.Cert | None:
    try:
        return pysequoia.Cert.from_bytes(text.encode())
    except (RuntimeError, ValueError):
        return None


def _name(certificate: pysequoia.Cert) -> str:
    users = [str(user) for user in certificate.user_ids]
    return (users[0] if users else certificate.fingerprint)[:200]
