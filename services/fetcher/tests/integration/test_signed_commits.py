"""Commits signed by git itself and by Sequoia: pinned signers pass, everybody else's last commit stays."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pysequoia
import pytest

from knarr.fetcher.adapters.openpgp import SequoiaOpenPgp
from knarr.fetcher.core.sshsig import pinned_key, signer
from services.fetcher.tests.fetcher_harness import FetcherHarness

Sign = Callable[[str], str]


def _ssh_key(folder: Path, name: str) -> tuple[str, Sign]:
    """(public line, what signs text as git does)."""
    file = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)], check=True)

    def sign(text: str) -> str:
        command = ["ssh-keygen", "-Y", "sign", "-q", "-n", "git", "-f", str(file)]
        return subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout.decode()

    return file.with_suffix(".pub").read_text().strip(), sign


def _openpgp_key(name: str) -> tuple[str, Sign]:
    key = pysequoia.Tsk.generate(f"{name} <{name}@example.test>")

    def sign(text: str) -> str:
        mode = pysequoia.SignatureMode.DETACHED
        return bytes(pysequoia.sign(key.signer(), text.encode(), mode=mode)).decode()

    return str(key.extract_certificate()), sign


def _commit(fetcher: FetcherHarness, name: str, content: str, sign: Sign | None, tamper: bool = False) -> str:
    """A commit on the repository's main, signed as git signs: over the commit without its signature."""
    sha = fetcher.git.repository(name).commit({"a": content})
    if sign is None:
        return sha
    git = pygit2.Repository(str(fetcher.git.repository(name).path))
    text = git[sha].read_raw().decode()
    signature = sign(text)
    if tamper:
        text = text.replace("Author", "Mallory", 1)
    signed = git.create_commit_with_signature(text, signature.rstrip("\n"), "gpgsig")
    git.references.create("refs/heads/main", signed, force=True)
    return str(signed)


@pytest.mark.parametrize("kind", ["ssh", "openpgp"])
async def test_only_pinned_signers_are_followed(fetcher: FetcherHarness, kind: str) -> None:
    alice, by_alice = _ssh_key(fetcher.folder, "alice") if kind == "ssh" else _openpgp_key("alice")
    _, by_mallory = _ssh_key(fetcher.folder, "mallory") if kind == "ssh" else _openpgp_key("mallory")
    _, by_other_kind = _openpgp_key("alice") if kind == "ssh" else _ssh_key(fetcher.folder, "other")
    fetcher.git.create("shop")
    good = _commit(fetcher, "shop", "1", by_alice)
    entry = {"name": "shop", "url": fetcher.git.http_url("shop"), "signers": [alice]}
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    last = await fetcher.commit(good, "shop")
    assert last.commit is not None
    assert last.commit.signed_by.startswith("alice")
    for number, (sign, tamper) in enumerate(
        ((None, False), (by_mallory, False), (by_other_kind, False), (by_alice, True)), start=2
    ):
        _commit(fetcher, "shop", str(number), sign, tamper)
        report = await fetcher.report("KNR1013", "shop")
        assert report.commit == last.commit
        assert await fetcher.newest("shop") == last
        fetcher.git.repository("shop").branch("main", good)
        await fetcher.report("", "shop")
    await fetcher.commit(_commit(fetcher, "shop", "last", by_alice), "shop")


def test_a_signature_for_something_else_does_not_vouch_for_a_commit(tmp_path: Path) -> None:
    line, sign = _ssh_key(tmp_path, "alice")
    key = pinned_key(line)
    assert key is not None
    assert signer(sign("text").encode(), b"text", [key]) == "alice"
    assert signer(sign("text").encode(), b"other", [key]) is None
    command = ["ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", str(tmp_path / "alice")]
    as_file = subprocess.run(command, input=b"text", check=True, capture_output=True).stdout
    assert signer(as_file, b"text", [key]) is None


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff" * 50, b"-----BEGIN SSH SIGNATURE-----\n!!\n-----END SSH SIGNATURE-----"]
)
def test_garbage_is_nobodys_signature(garbage: bytes) -> None:
    certificate, _ = _openpgp_key("alice")
    assert SequoiaOpenPgp().signer(garbage, b"text", [certificate, "no certificate"]) is None
    assert signer(garbage, b"text", []) is None


def test_cut_short_anywhere_it_is_nobodys_signature(tmp_path: Path) -> None:
    line, sign = _ssh_key(tmp_path, "alice")
    key = pinned_key(line)
    assert key is not None
    lines = sign("text").splitlines()
    for count in range(1, len(lines) - 1):
        cut = "\n".join([*lines[:count], lines[-1]]).encode()
        assert signer(cut, b"text", [key]) is None
