"""Which clusters an installation has: names, contexts, simulated ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.cli.install.clusters import (
    LocalCluster,
    contexts_in,
    default_name,
    from_contexts,
    simulated,
    without_clash,
)
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.names import is_dns_label


def _kubeconfig(folder: Path, *contexts: str) -> Path:
    path = folder / "kubeconfig"
    path.write_text(json.dumps({"contexts": [{"name": name, "context": {}} for name in contexts]}))
    return path


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ("kind-dev", "kind-dev"),
        ("Kind_DEV", "kind-dev"),
        ("admin@prod.eu", "admin-prod-eu"),
        ("arn:aws:eks:eu-west-1:123456789012:cluster/shop", "arn-aws-eks-eu-west-1-123456789012-cluster-shop"),
        ("-x-", "x"),
    ],
)
def test_a_cluster_is_called_like_its_context(context: str, name: str) -> None:
    assert default_name(context) == name


@given(st.text(max_size=200))
def test_a_default_name_is_a_name_or_nothing(context: str) -> None:
    name = default_name(context)
    assert name == "" or is_dns_label(name)


def test_contexts_may_be_named_and_may_hold_an_equals_sign(tmp_path: Path) -> None:
    kubeconfig = _kubeconfig(tmp_path, "Dev", "team=a")
    found = from_contexts(("Dev", "Dev=east", "team=a", "team=a=west"), kubeconfig)
    assert [(c.context, c.name) for c in found] == [
        ("Dev", "dev"),
        ("Dev", "east"),
        ("team=a", "team-a"),
        ("team=a", "west"),
    ]


@pytest.mark.parametrize(
    ("asked", "code"), [("prod", "KNR6208"), ("prod=eu", "KNR6208"), ("dev=No Label", "KNR"), ("=eu", "KNR6208")]
)
def test_what_cannot_be_is_refused(asked: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(KnarrError) as refused:
        from_contexts((asked,), _kubeconfig(tmp_path, "dev"))
    assert refused.value.code.startswith(code)


@pytest.mark.parametrize("text", [b"", b"[1, 2]", b"a: [", b"contexts: [{}]", b"contexts: 7", b"\xff\xfe"])
def test_a_file_that_is_no_kubeconfig_is_named(text: bytes) -> None:
    with pytest.raises(KnarrError) as refused:
        contexts_in(text)
    assert refused.value.code == "KNR6208"


def test_simulated_clusters_take_the_documented_names_first() -> None:
    names = [c.name for c in simulated(4, ("prod", "dev"), frozenset({"dev", "sim-1"}))]
    assert names == ["prod", "sim-2", "sim-3", "sim-4"]
    assert simulated(0, ("prod",), frozenset()) == ()


@given(st.integers(0, 30), st.sets(st.sampled_from(["a", "b", "sim-1", "sim-3"])), st.sets(st.sampled_from("abc")))
def test_simulated_clusters_never_clash(count: int, documented: set[str], taken: set[str]) -> None:
    made = simulated(count, tuple(sorted(documented)), frozenset(taken))
    names = {c.name for c in made}
    assert len(made) == len(names) == count
    assert not names & taken
    assert without_clash(made) == made


def test_two_contexts_of_one_name_are_refused_by_name() -> None:
    twins = tuple(LocalCluster(name="dev", kubeconfig=Path("k"), context=context) for context in ("Dev", "dev"))
    with pytest.raises(KnarrError) as refused:
        without_clash(twins)
    assert refused.value.code == "KNR6202"
    assert "'Dev'" in refused.value.message
    assert "'dev'" in refused.value.message
