"""What decides whether a built program may be used again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.local.build import build_arguments, build_key, module_version
from knarr.local.parts import GROUPS, PARTS, part
from knarr.local.toolchain import Toolchain, as_numbers
from knarr.pipeline.errors import KnarrError

_GO = Toolchain(go="/usr/bin/go", version="go1.26.8", platform="linux-amd64")
_BASE = {"go_mod": b"m", "go_sum": b"s", "toolchain": _GO, "arguments": ("-p", "2")}


def _key(**changed: object) -> str:
    return build_key(**{**_BASE, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"go_mod": b"m2"},
        {"go_sum": b"s2"},
        {"toolchain": Toolchain(go="/usr/bin/go", version="go1.27.0", platform="linux-amd64")},
        {"toolchain": Toolchain(go="/usr/bin/go", version="go1.26.8", platform="darwin-arm64")},
        {"arguments": ("-p2",)},
        {"arguments": ("-p", "2", "package")},
    ],
)
def test_everything_that_decides_the_bytes_changes_the_key(changed: dict[str, object]) -> None:
    assert _key(**changed) != _key()


def test_where_go_lies_does_not_change_the_key() -> None:
    assert _key(toolchain=Toolchain(go="/elsewhere/go", version="go1.26.8", platform="linux-amd64")) == _key()


@given(st.binary(max_size=8), st.binary(max_size=8), st.binary(max_size=8))
def test_bytes_that_move_from_one_file_to_the_next_change_the_key(a: bytes, b: bytes, c: bytes) -> None:
    one, other = _key(go_mod=a + b, go_sum=c), _key(go_mod=a, go_sum=b + c)
    assert (one == other) == (b == b"")


def test_the_version_is_read_from_a_require_line_in_a_block_or_alone() -> None:
    text = "go 1.26.0\nrequire example.org/one v1.2.3\nrequire (\n\texample.org/two/v5 v5.8.1 // indirect\n)\n"
    assert module_version(text, "example.org/one") == "v1.2.3"
    assert module_version(text, "example.org/two/v5") == "v5.8.1"
    with pytest.raises(KnarrError, match="KNR6102"):
        module_version(text, "example.org/three")


def test_kubernetes_is_told_its_version() -> None:
    flags = " ".join(build_arguments(part("kube-apiserver"), "v1.36.3"))
    assert "gitVersion=v1.36.3" in flags
    assert "gitMajor=1" in flags
    assert "gitMinor=36" in flags


def test_every_part_belongs_to_a_group_and_every_group_has_a_part() -> None:
    assert {p.group for p in PARTS} == set(GROUPS)


@pytest.mark.parametrize(
    ("older", "newer"), [("go1.9", "go1.26.8"), ("1.26", "go1.26.8"), ("", "1.0"), ("go1.26.8", "go1.27rc1")]
)
def test_versions_compare_as_numbers(older: str, newer: str) -> None:
    assert as_numbers(older) < as_numbers(newer)
