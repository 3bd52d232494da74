"""The keys, tokens and kubeconfig of one local cluster. Written once into its folder, so that a restart keeps them."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The files that an API server and its clients share. `ca_file` appears when the server first starts."""

    folder: Path

    @property
    def token_file(self) -> Path:
        """The API server's static tokens: one administrator."""
        return self.folder / "tokens.csv"

    @property
    def signing_key_file(self) -> Path:
        """The private key that signs service account tokens."""
        return self.folder / "service-accounts.pem"

    @property
    def certificate_folder(self) -> Path:
        """Where the API server puts the serving certificate that it makes for itself."""
        return self.folder / "certificates"

    @property
    def ca_file(self) -> Path:
        """That certificate with its issuer: what a client checks the server against."""
        return self.certificate_folder / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig.json"

    @property
    def admin_token(self) -> str:
        """The administrator's bearer token."""
        return self.token_file.read_text().split(",", 1)[0]


def make_identity(folder: Path) -> Identity:
    """Make what is missing in `folder`."""
    identity = Identity(folder=folder)
    identity.certificate_folder.mkdir(parents=True, exist_ok=True)
    if not identity.token_file.exists():
        _write_private(
            identity.token_file, f'{secrets.token_hex(24)},knarr-admin,knarr-admin,"system:masters"\n'.encode()
        )
    if not identity.signing_key_file.exists():
        _write_private(identity.signing_key_file, _new_key())
    return identity


def write_kubeconfig(identity: Identity, *, name: str, url: str) -> None:
    """Write the administrator's kubeconfig for a server at `url`, once its certificate is there."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": url, "certificate-authority-data": _base64(identity.ca_file)}}
        ],
        "users": [{"name": "admin", "user": {"token": identity.admin_token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin"}}],
        "current-context": name,
    }
    _write_private(identity.kubeconfig, json.dumps(document, indent=1).encode())


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_private(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
    draft.replace(path)
