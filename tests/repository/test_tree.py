"""What holds of the whole tree: the namespace, the lock, the agent's closure, nothing of a machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    """The files that Git tracks, or would."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_knarr_is_a_namespace_package() -> None:
    assert [p for p in tracked() if p.name == "__init__.py" and p.parent.name == "knarr"] == []


def test_the_lock_has_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^[a-z0-9._-]+==", text, re.M)
    assert len(pinned) > 50
    assert "://" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert [b.split("\n")[0] for b in blocks if "--hash=sha256:" not in b] == []


@pytest.mark.parametrize("forbidden", ["pygit2", "asyncpg", "cryptography", "grpc", "google.protobuf.compiler"])
def test_the_agent_loads_no(forbidden: str) -> None:
    code = (
        "import knarr.agent.main, sys\n"
        f"sys.exit(int(any(m == {forbidden!r} or m.startswith({forbidden!r} + '.') for m in sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_no_machine_path_and_no_registry_host_is_committed() -> None:
    pattern = re.compile(rb"py[p]i\.org|python[h]osted|registry\.npm[j]s|proxy\.go[l]ang|/(root|work)/")
    assert [str(p.relative_to(ROOT)) for p in tracked() if pattern.search(p.read_bytes())] == []


def test_every_test_lies_in_a_lane() -> None:
    """A folder that no lane names would never run, and nobody would notice."""
    said = subprocess.run(
        ["make", "-C", str(ROOT), "-n", "arch", "unit", "it", "pipeline"], capture_output=True, text=True, check=True
    )
    words = set(said.stdout.split())
    files = [p.relative_to(ROOT) for p in tracked() if p.name.startswith("test_") and p.suffix == ".py"]
    assert len(files) > 80
    assert [str(f) for f in files if not words & {str(parent) for parent in f.parents}] == []
