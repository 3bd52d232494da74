"""Which commit a ref means."""

from __future__ import annotations

import pytest

from knarr.fetcher.core.refs import RemoteRef, Target, check_ref, parse_ref, resolve
from knarr.fetcher.core.source import Ref, RefKind
from knarr.pipeline.errors import KnarrError

_A, _B, _C, _D = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
REMOTE = (
    RemoteRef(name="HEAD", sha=_A, points_to="refs/heads/main"),
    RemoteRef(name="refs/heads/main", sha=_A),
    RemoteRef(name="refs/heads/release/1.x", sha=_B),
    RemoteRef(name="refs/tags/v1.0.0", sha=_C),
    RemoteRef(name="refs/tags/v1.0.0^{}", sha=_A),
    RemoteRef(name="refs/tags/v1.2.0", sha=_B),
    RemoteRef(name="refs/tags/v1.10.0", sha=_D),
    RemoteRef(name="refs/tags/v2.0.0-rc.1", sha=_C),
    RemoteRef(name="refs/tags/nightly", sha=_D),
    RemoteRef(name="refs/pull/1/head", sha=_D),
)


@pytest.mark.parametrize(
    ("text", "name", "sha"),
    [
        pytest.param("", "refs/heads/main", _A, id="the remote's own default"),
        pytest.param("main", "refs/heads/main", _A, id="a branch"),
        pytest.param("refs/heads/release/1.x", "refs/heads/release/1.x", _B, id="a branch by its full name"),
        pytest.param("refs/tags/v1.2.0", "refs/tags/v1.2.0", _B, id="a light tag"),
        pytest.param("refs/tags/v1.0.0", "refs/tags/v1.0.0", _A, id="an annotated tag means its commit"),
        pytest.param("semver:>=1.0.0 <2", "refs/tags/v1.10.0", _D, id="ten is above two"),
        pytest.param("semver:~1.0.0", "refs/tags/v1.0.0", _A, id="a range that ends in an annotated tag"),
        pytest.param("semver:>=2.0.0-0", "refs/tags/v2.0.0-rc.1", _C, id="a pre-release only if asked for"),
        pytest.param("e" * 40, "", "e" * 40, id="a commit needs no ref"),
    ],
)
def test_what_is_meant(text: str, name: str, sha: str) -> None:
    assert resolve(parse_ref(text), REMOTE) == Target(name=name, sha=sha)


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        (Ref(kind=RefKind.BRANCH, value="gone"), "KNR1003"),
        (Ref(kind=RefKind.TAG, value="v9"), "KNR1003"),
        (Ref(kind=RefKind.SEMVER, value=">=3"), "KNR1003"),
    ],
)
def test_what_is_not_there(ref: Ref, code: str) -> None:
    with pytest.raises(KnarrError) as raised:
        resolve(ref, REMOTE)
    assert raised.value.code == code


def test_an_empty_repository_is_its_own_failure() -> None:
    with pytest.raises(KnarrError) as raised:
        resolve(Ref(), ())
    assert raised.value.code == "KNR1002"


def test_a_head_that_names_a_missing_branch_is_said() -> None:
    with pytest.raises(KnarrError) as raised:
        resolve(Ref(), (RemoteRef(name="refs/heads/other", sha=_A),))
    assert raised.value.code == "KNR1003"


def test_an_old_server_does_not_say_what_head_points_to() -> None:
    refs = (
        RemoteRef(name="HEAD", sha=_A),
        RemoteRef(name="refs/heads/b", sha=_B),
        RemoteRef(name="refs/heads/m", sha=_A),
    )
    assert resolve(Ref(), refs).name == "refs/heads/m"


@pytest.mark.parametrize(
    "name",
    [
        "-x",
        "a b",
        "a..b",
        "a:b",
        "a^",
        "a~1",
        "a\n",
        "refs/../x",
        ".a",
        "a.lock",
        "a//b",
        "a@{1}",
        "*",
        "",
        "x" * 201,
    ],
)
def test_names_that_would_change_a_refspec_are_refused(name: str) -> None:
    assert check_ref(Ref(kind=RefKind.BRANCH, value=name))


@pytest.mark.parametrize("value", ["abc", "A" * 40, "g" * 40, "a" * 41])
def test_a_commit_is_given_in_full(value: str) -> None:
    assert check_ref(Ref(kind=RefKind.COMMIT, value=value))
    assert not check_ref(Ref(kind=RefKind.COMMIT, value="a" * 40))


def test_a_range_that_is_none_is_said() -> None:
    assert check_ref(Ref(kind=RefKind.SEMVER, value="latest please"))
    assert not check_ref(Ref(kind=RefKind.SEMVER, value="^1.2 || >=3.0.0-rc.1"))
