"""Settings, with all mistakes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.fetcher.core.source import Ref, RefKind, Signers
from knarr.fetcher.settings import read_settings
from knarr.pipeline.errors import KnarrError


def _environment(folder: Path, key: bytes = b"k" * 32) -> dict[str, str]:
    (folder / "key").write_bytes(key)
    return {
        "KNARR_NATS_URL": "nats://127.0.0.1:4222",
        "KNARR_STATE_DIR": str(folder),
        "KNARR_FLEET_URL": "https://git.example.com/fleet.git",
        "KNARR_SNAPSHOT_KEY_FILE": str(folder / "key"),
    }


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    settings = read_settings(_environment(tmp_path))
    assert settings.fleet.ref == Ref()
    assert settings.rhythm.poll_seconds == 30
    assert not settings.rules.local_paths


def test_what_the_fleet_can_be(tmp_path: Path) -> None:
    more = {"KNARR_FLEET_REF": "release", "KNARR_FLEET_PATH": "/fleets/one/", "KNARR_FLEET_URL": "git@host:fleet"}
    settings = read_settings(_environment(tmp_path) | more)
    assert settings.fleet.ref == Ref(kind=RefKind.BRANCH, value="release")
    assert (settings.fleet.root, settings.fleet.url) == ("fleets/one", "ssh://git@host/fleet")


def test_a_key_may_end_with_the_byte_of_a_newline(tmp_path: Path) -> None:
    key = b"k" * 31 + b"\n"
    assert read_settings(_environment(tmp_path, key)).snapshot_key == key


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f alice"
CERTIFICATE = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----"


def test_pinned_signers_of_the_fleet(tmp_path: Path) -> None:
    (tmp_path / "signers").write_text(f"# who may\n{KEY}\n\n{CERTIFICATE}\n")
    signers = {"KNARR_FLEET_SIGNERS_FILE": str(tmp_path / "signers")}
    assert read_settings(_environment(tmp_path) | signers).fleet.signers == Signers(ssh=(KEY,), openpgp=(CERTIFICATE,))


@pytest.mark.parametrize("content", ["", "# nobody\n", f"{KEY}\nssh-rsa AAAA bob\n", CERTIFICATE[:-5]])
def test_a_slip_in_the_signers_lets_nobody_in(tmp_path: Path, content: str) -> None:
    (tmp_path / "signers").write_text(content)
    with pytest.raises(KnarrError):
        read_settings(_environment(tmp_path) | {"KNARR_FLEET_SIGNERS_FILE": str(tmp_path / "signers")})


def test_secrets_are_not_in_its_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush-hush")
    environment = _environment(tmp_path) | {"KNARR_WEBHOOK_SECRET_FILE": str(tmp_path / "secret")}
    text = repr(read_settings(environment))
    assert "hush" not in text
    assert "kkkk" not in text


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    wrong = {
        "KNARR_FLEET_URL": "http://user:hush@git.example.com/x",
        "KNARR_FLEET_REF": "--upload-pack=x",
        "KNARR_FLEET_PATH": "../elsewhere",
        "KNARR_POLL_SECONDS": "0",
        "KNARR_MAX_FILES": "many",
        "KNARR_NATS_URL": "",
    }
    with pytest.raises(KnarrError) as raised:
        read_settings(_environment(tmp_path, b"short") | wrong)
    for name in (*wrong, "KNARR_SNAPSHOT_KEY_FILE"):
        assert name in raised.value.message
    assert "hush" not in raised.value.message
