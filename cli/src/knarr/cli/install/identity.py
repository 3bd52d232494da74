"""Who is who in one installation: its epoch, its keys, and an nkey per service and cluster.

Made once and kept in the state folder (0700, files 0600). Losing it makes a new installation: agents pin the epoch.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nkeys
from nacl.signing import SigningKey

from knarr.messaging.permissions import SERVICE_GRANTS, User
from knarr.pipeline.names import dns_label

ADMIN = "admin"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys below one folder. Reading makes what is missing."""

    folder: Path

    @property
    def epoch(self) -> str:
        """The installation's random id."""
        return self._kept("epoch", lambda: secrets.token_hex(16).encode()).read_text()

    @property
    def signing_key_file(self) -> Path:
        """Ed25519 seed that signs assignments."""
        return self._kept("signing.key", _random_key)

    @property
    def bundle_key_file(self) -> Path:
        """Master key of bundles."""
        return self._kept("bundle.key", _random_key)

    @property
    def snapshot_key_file(self) -> Path:
        """Master key of snapshots."""
        return self._kept("snapshot.key", _random_key)

    @property
    def webhook_secret_file(self) -> Path:
        """What a Git host signs its webhooks with."""
        return self._kept("webhook.secret", lambda: secrets.token_hex(24).encode())

    @property
    def token_file(self) -> Path:
        """The API's write token."""
        return self._kept("api.token", lambda: secrets.token_urlsafe(32).encode())

    @property
    def trust_file(self) -> Path:
        """What an agent pins: the epoch and the keys that may sign."""
        public = bytes(SigningKey(self.signing_key_file.read_bytes()).verify_key)
        trust = {"epoch": self.epoch, "verify_keys": [base64.b64encode(public).decode()]}
        return self._kept("trust.json", lambda: json.dumps(trust).encode())

    def service_seed_file(self, name: str) -> Path:
        """The nkey seed of a service or the admin."""
        return self._kept(f"nkeys/{name}.seed", _new_seed)

    def cluster_seed_file(self, cluster: str) -> Path:
        """The nkey seed of a cluster."""
        return self._kept(f"nkeys/clusters/{dns_label(cluster, 'cluster')}.seed", _new_seed)

    def users(self, clusters: tuple[str, ...]) -> tuple[User, list[User], list[User]]:
        """(admin, services, clusters) as the broker's configuration names them."""
        return (
            _user(ADMIN, self.service_seed_file(ADMIN)),
            [_user(name, self.service_seed_file(name)) for name in SERVICE_GRANTS],
            [_user(name, self.cluster_seed_file(name)) for name in clusters],
        )

    def _kept(self, name: str, make: Callable[[], bytes]) -> Path:
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_suffix(".draft")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(make())
            draft.replace(path)
        return path


def _random_key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES)


def _new_seed() -> bytes:
    return bytes(nkeys.encode_seed(secrets.token_bytes(_KEY_BYTES), nkeys.PREFIX_BYTE_USER))


def _user(name: str, seed_file: Path) -> User:
    return User(name=name, public_nkey=nkeys.from_seed(seed_file.read_bytes()).public_key.decode())
