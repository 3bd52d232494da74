"""Builds Kubernetes, etcd, kwok, kustomize, helm, Jaeger and others from their Go modules, once, into the user's cache.

Called by `make kube|kustomize|helm|…` (`python -m knarr.local.build`) and by the servers on first use. The name of
a built program holds a hash of everything that decides its bytes, so an old one is never taken for a new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from knarr.local.parts import GROUPS, PARTS, Part, part
from knarr.local.toolchain import Toolchain, find_toolchain
from knarr.pipeline.errors import KnarrError, rejected, retryable

_FLAGS = ("-p", "2", "-trimpath")


def binary(name: str) -> Path:
    """The program `name`, built now if it is not in the cache. Blocks for minutes then; raises KNR6100 to KNR6102."""
    return _provided(name) or _build(part(name))


def cached_binary(name: str) -> Path | None:
    """The program `name` if it is there already, without building anything."""
    try:
        target = _provided(name) or cache_path(part(name))
    except KnarrError:
        return None
    return target if target.exists() else None


def cache_path(wanted: Part) -> Path:
    """Where the program lies, or will lie once built."""
    return cache_folder() / f"{wanted.name}-{_current_key(wanted)}"


def cache_folder() -> Path:
    """The folder of built programs in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "knarr" / "bin"


def build_key(*, go_mod: bytes, go_sum: bytes, toolchain: Toolchain, arguments: tuple[str, ...]) -> str:
    """A hash of everything that decides the program's bytes."""
    digest = hashlib.sha256()
    words = (toolchain.version, toolchain.platform, *arguments)
    for field in (go_mod, go_sum, *(word.encode() for word in words)):
        digest.update(len(field).to_bytes(8, "big") + field)
    return digest.hexdigest()[:16]


def module_version(go_mod: str, module: str) -> str:
    """The version that `go_mod` requires of `module`."""
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise rejected("KNR6102", f"go.mod does not require {module}")
    return found[1]


def build_arguments(wanted: Part, version: str) -> tuple[str, ...]:
    """What follows `go build`, but for where the result goes."""
    bare = version.removeprefix("v")
    major, minor = bare.split(".")[:2]
    ldflags = wanted.ldflags_template.format(version=version, bare=bare, major=major, minor=minor)
    tags = ("-tags", ",".join(wanted.tags)) if wanted.tags else ()
    return (*_FLAGS, *tags, "-ldflags", ldflags, wanted.package)


def instructions() -> Path:
    """The deploy/local folder of the source tree. Raises KNR6102."""
    given = os.environ.get("KNARR_DEPLOY_LOCAL")
    candidates = [Path(given)] if given else [p / "deploy" / "local" for p in Path(__file__).resolve().parents]
    for candidate in candidates:
        if (candidate / "kube" / "kubernetes" / "go.mod").exists():
            return candidate
    raise rejected("KNR6102", "deploy/local was not found")


def version_of(name: str) -> str:
    """The version of the part that the committed go.mod names."""
    wanted = part(name)
    return module_version((instructions() / wanted.module_folder / "go.mod").read_text(), wanted.version_of)


def module_source(name: str) -> Path:
    """The folder of the part's own module in Go's module cache: files that it reads at run time. Raises KNR6101."""
    wanted = part(name)
    folder = instructions() / wanted.module_folder
    command = [_toolchain(folder).go, "list", "-m", "-f", "{{.Dir}}", wanted.version_of]
    environment = {**os.environ, **_settings(wanted)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise retryable("KNR6101", f"the module of {name} is not in the module cache")
    return Path(done.stdout.strip())


def _provided(name: str) -> Path | None:
    # As in every Kubernetes test suite: who has the programs already says where.
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidate = Path(assets) / name if assets else None
    return candidate if candidate is not None and candidate.exists() else None


def _current_key(wanted: Part) -> str:
    folder = instructions() / wanted.module_folder
    return build_key(
        go_mod=(folder / "go.mod").read_bytes(),
        go_sum=(folder / "go.sum").read_bytes(),
        toolchain=_toolchain(folder),
        arguments=(*build_arguments(wanted, version_of(wanted.name)), *_settings(wanted).values()),
    )


def _toolchain(module: Path) -> Toolchain:
    found = re.search(r"^go (\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    return _toolchain_of(found[1] if found else "1.26")


@cache
def _toolchain_of(minimum: str) -> Toolchain:
    return find_toolchain(minimum)


def _build(wanted: Part) -> Path:
    target = cache_path(wanted)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / f"{wanted.group}.lock", wanted):
        if not target.exists():
            _compile(wanted, target)
    return target


def _settings(wanted: Part) -> dict[str, str]:
    return {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "CGO_ENABLED": "1" if wanted.needs_c_compiler else "0"}


def _compile(wanted: Part, target: Path) -> None:
    version = version_of(wanted.name)
    _say(f"building {wanted.name} {version} into {target.parent}: once, usually {_duration(wanted.usual_seconds)}")
    folder = instructions() / wanted.module_folder
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    started = time.monotonic()
    command = [_toolchain(folder).go, "build", "-o", str(draft), *build_arguments(wanted, version)]
    environment = {**os.environ, **_settings(wanted)}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise retryable("KNR6101", f"go build of {wanted.package} {version} failed with {done.returncode}")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    _say(f"built {wanted.name} in {_duration(round(time.monotonic() - started))}, {target.stat().st_size / 1e6:.0f} MB")


@contextmanager
def _locked(path: Path, wanted: Part) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting: another process is building {wanted.group} (usually {_duration(wanted.usual_seconds)})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _duration(seconds: int) -> str:
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Build the named groups (`all` for every one) and print where each program lies."""
    names = GROUPS if "all" in arguments else tuple(arguments)
    if not names or not set(names) <= set(GROUPS):
        _say(f"usage: python -m knarr.local.build {'|'.join(GROUPS)}|all")
        return 2
    try:
        for wanted in (p for p in PARTS if p.group in names):
            print(binary(wanted.name))
    except KnarrError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
