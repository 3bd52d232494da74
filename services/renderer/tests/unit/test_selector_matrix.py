"""Selectors, targets and variables: first match wins, nobody is dropped silently, nothing is guessed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline.names import ClusterName
from knarr.renderer.core.documents import App, Cluster, Target
from knarr.renderer.core.matrix import ClusterIndex, place
from knarr.renderer.core.parse import selector_of
from knarr.renderer.core.selector import Selector
from knarr.renderer.core.variables import references, substitute, values_for

LABELS = st.dictionaries(st.sampled_from(["env", "region", "tier"]), st.sampled_from(["a", "b", "c"]))
EXPRESSIONS = st.builds(
    lambda key, operator, values: {
        "key": key,
        "operator": operator,
        **({"values": values} if "In" in operator else {}),
    },
    st.sampled_from(["env", "region", "tier"]),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=2),
)
SELECTORS = st.builds(
    lambda labels, expressions: selector_of({"matchLabels": labels, "matchExpressions": expressions}),
    LABELS,
    st.lists(EXPRESSIONS, max_size=2),
)


def clusters(labels: list[dict[str, str]]) -> tuple[Cluster, ...]:
    return tuple(Cluster(name=ClusterName(f"c{i}"), labels=own) for i, own in enumerate(labels))


@pytest.mark.parametrize(
    ("expression", "labels", "matches"),
    [
        ({"key": "env", "operator": "In", "values": ["a"]}, {"env": "a"}, True),
        ({"key": "env", "operator": "In", "values": ["a"]}, {}, False),
        ({"key": "env", "operator": "NotIn", "values": ["a"]}, {"env": "a"}, False),
        ({"key": "env", "operator": "NotIn", "values": ["a"]}, {}, True),
        ({"key": "env", "operator": "Exists"}, {"env": ""}, True),
        ({"key": "env", "operator": "DoesNotExist"}, {"env": ""}, False),
        ({"key": "env", "operator": "DoesNotExist"}, {}, True),
    ],
)
def test_operators_mean_what_kubernetes_means(expression: Any, labels: dict[str, str], matches: bool) -> None:
    assert selector_of({"matchExpressions": [expression]}).matches(labels) is matches


TARGETS = st.builds(
    lambda selector, group, names: Target(selector=selector, group=group, clusters=tuple(sorted(names))),
    SELECTORS,
    st.sampled_from(["", "", "few", "many"]),
    st.sets(st.sampled_from(["c0", "c1", "c2"]), max_size=2),
)


@given(st.lists(LABELS, min_size=3, max_size=12), st.lists(TARGETS, min_size=1, max_size=4), SELECTORS, SELECTORS)
def test_every_cluster_is_placed_once_by_the_first_target_or_said_to_be_unmatched(
    labels: list[dict[str, str]], targets: list[Target], few: Selector, many: Selector
) -> None:
    """A target takes a cluster by its selector, its group and its names: by all that it gives."""
    members, groups = clusters(labels), {"few": few, "many": many}
    matrix = place(App(targets=tuple(targets)), ClusterIndex(members), groups)

    def first(cluster: Cluster) -> int | None:
        for i, target in enumerate(targets):
            in_group = not target.group or groups[target.group].matches(cluster.labels)
            named = not target.clusters or cluster.name in target.clusters
            if target.selector.matches(cluster.labels) and in_group and named:
                return i
        return None

    placed = {c.name: p.index for p in matrix.placements for c in p.clusters}
    assert placed == {c.name: i for c in members if (i := first(c)) is not None}
    assert {c.name for c in matrix.unmatched} == {c.name for c in members if first(c) is None}
    assert sum(len(p.clusters) for p in matrix.placements) + len(matrix.unmatched) == len(members)


def test_names_and_selector_must_both_hold() -> None:
    members = clusters([{"env": "a"}, {"env": "a"}, {"env": "b"}])
    target = Target(clusters=("c1", "c2"), selector=selector_of({"matchLabels": {"env": "a"}}))
    matrix = place(App(targets=(target,)), ClusterIndex(members), {})
    assert [c.name for p in matrix.placements for c in p.clusters] == ["c1"]


def test_a_name_that_the_fleet_does_not_have_is_a_failure() -> None:
    matrix = place(App(targets=(Target(clusters=("nobody",)),)), ClusterIndex(clusters([{}])), {})
    assert [f.code for f in matrix.failures] == ["KNR2106"]


def test_the_value_nearest_to_the_cluster_wins() -> None:
    app = App(variables={"a": 1, "b": 1, "c": 1, "d": None})
    target = Target(variables={"a": 2, "b": 2})
    cluster = Cluster(name=ClusterName("c"), variables={"a": 3, "undeclared": 4})
    found = values_for(["a", "b", "c", "d", "undeclared", "cluster.name"], app, target, cluster)
    assert found == {"a": 3, "b": 2, "c": 1, "cluster.name": "c"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        pytest.param({"replicas": "${n}"}, {"replicas": 3}, id="a whole scalar takes the variable's type"),
        pytest.param({"x": "${n} of ${s}"}, {"x": "3 of t"}, id="a part of a text is text"),
        pytest.param({"data": {"k": "${n}"}}, {"data": {"k": "3"}}, id="a ConfigMap's data is text"),
        pytest.param(
            {"metadata": {"labels": {"k": "${n}"}}}, {"metadata": {"labels": {"k": "3"}}}, id="labels are text"
        ),
        pytest.param(
            {"env": [{"name": "N", "value": "${n}"}]}, {"env": [{"name": "N", "value": "3"}]}, id="env is text"
        ),
        pytest.param({"x": "$${n}"}, {"x": "${n}"}, id="two dollars write one"),
        pytest.param({"x": "${b}"}, {"x": True}, id="booleans stay booleans"),
        pytest.param({"x": "b=${b}"}, {"x": "b=true"}, id="booleans in text are YAML's words"),
        pytest.param({"${s}": 1}, {"t": 1}, id="keys, too"),
        pytest.param({"x": "$n $(n) {n}"}, {"x": "$n $(n) {n}"}, id="other forms are left alone"),
    ],
)
def test_substitution(value: Any, wanted: Any) -> None:
    done = substitute(value, {"n": 3, "s": "t", "b": True}, "f:1")
    assert (done.value, done.failures) == (wanted, ())


@given(
    st.recursive(
        st.text(max_size=20), lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3)
    )
)
def test_what_refers_to_nothing_is_not_touched(value: Any) -> None:
    if not references(value) and "$${" not in repr(value):
        assert substitute(value, {}, "f:1").value == value


def test_every_unset_variable_is_named_at_once() -> None:
    done = substitute({"a": "${x}", "b": ["${y}", "${x}"]}, {}, "f:1")
    assert [f.code for f in done.failures] == ["KNR2201", "KNR2201"]
