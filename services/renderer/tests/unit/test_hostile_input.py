"""Every parser of foreign input, with input made to break it: it answers or refuses with a number, and nothing else.

Bounded here; KNARR_FUZZ_EXAMPLES makes runs as long as wanted (make fuzz).
"""

from __future__ import annotations

import os
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knarr.pipeline.errors import CATALOGUE, Rejected
from knarr.pipeline.names import AppName, ClusterName, SourceName
from knarr.pipeline.snapshot import FileMode
from knarr.renderer.adapters.folder import blob_id
from knarr.renderer.core import jsonnet, kustomize
from knarr.renderer.core.build import Surroundings, build
from knarr.renderer.core.discover import FoundApp, Where, app_folders, read_app
from knarr.renderer.core.documents import App, Cluster
from knarr.renderer.core.expressions import rule_faults
from knarr.renderer.core.fleet import document_reader, read_fleet
from knarr.renderer.core.helm_needs import Source, needs_of
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.matrix import ClusterIndex, place
from knarr.renderer.core.parse import parse
from knarr.renderer.core.raw import raw_of
from knarr.renderer.core.schemas import KINDS
from knarr.renderer.core.spec import Ground, specs_of
from knarr.renderer.core.tree import File, Tree
from knarr.renderer.core.yaml_kubectl import read_documents

EXAMPLES = int(os.environ.get("KNARR_FUZZ_EXAMPLES", "60"))
BOUNDED = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = Limits()

WORDS = st.sampled_from(
    """
    apiVersion kind metadata name namespace labels annotations spec data stringData items v1 apps/v1 Secret List
    ConfigMap Deployment CustomResourceDefinition resources patches path configMapGenerator files transformers
    generators sops age mac knarr.dev/v1 Fleet App targets selector matchExpressions operator In values key
    variables ${x} $${ ../.. /etc https://example.com group names versions schema openAPIV3Schema properties type
    helm
    """.split()  # noqa: SIM905 - a list of words is for reading
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20), WORDS,
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda child: st.lists(child, max_size=4) | st.dictionaries(WORDS | st.text(max_size=8), child, max_size=5),
    max_leaves=20,
)
OBJECTS = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(
            ["v1", "apps/v1", "example.com/v1", "apiextensions.k8s.io/v1", "policy/v1beta1", "a/b/c"]
        ),
        "kind": st.sampled_from(
            ["Secret", "ConfigMap", "Deployment", "CustomResourceDefinition", "Namespace", "List", "X"]
        ),
        "metadata": st.fixed_dictionaries({"name": st.sampled_from(["a", "b-2222222222", "A_", "x/y"])}) | VALUES,
    },
    optional={"spec": VALUES, "data": VALUES, "stringData": VALUES, "sops": VALUES, "items": VALUES, "status": VALUES},
)
YAML_BITS = st.lists(
    st.sampled_from(
        ["a", ": ", "- ", "\n", "  ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "!!binary ", "<<: ", "'", '"', "|\n",
         "---\n", "? ", ",", "0x", "1e", "~", "\t", "#", "%", "\u2028", "\ufeff", "\x00", "é"]
    ),
    max_size=40,
)  # fmt: skip


class Contents:
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def read(self, content_id: bytes) -> bytes:
        return self.values[content_id]


def tree_of(files: dict[str, bytes]) -> tuple[Tree, Contents]:
    contents = Contents()
    listed = []
    for path, data in files.items():
        contents.values[blob_id(data)] = data
        listed.append(File(path=path, mode=FileMode.REGULAR, content_id=blob_id(data), size=len(data)))
    return Tree(listed), contents


def dumped(value: Any) -> bytes:
    text: str = yaml.safe_dump(value, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


@BOUNDED
@given(st.binary(max_size=200) | YAML_BITS.map(lambda bits: "".join(bits).encode()))
def test_yaml(data: bytes) -> None:
    try:
        read_documents(data, "f", LIMITS)
    except Rejected as error:
        assert error.code in CATALOGUE  # noqa: PT017
    for kind in KINDS:
        assert all(f.code in CATALOGUE for f in parse(data, "f", (kind,), LIMITS).failures)


@BOUNDED
@given(st.sampled_from(KINDS), st.dictionaries(WORDS, VALUES, max_size=6))
def test_documents(kind: str, value: dict[str, Any]) -> None:
    document = {"apiVersion": "knarr.dev/v1", "kind": kind, "name": "x", **value}
    parse(dumped(document), "f", (kind,), LIMITS)


@BOUNDED
@given(st.dictionaries(WORDS, VALUES, max_size=5), st.dictionaries(WORDS, VALUES, max_size=4))
def test_fleets(fleet: dict[str, Any], cluster: dict[str, Any]) -> None:
    tree, contents = tree_of(
        {
            "fleet.yaml": dumped({"apiVersion": "knarr.dev/v1", "kind": "Fleet", **fleet}),
            "clusters/c.yaml": dumped({"apiVersion": "knarr.dev/v1", "kind": "Cluster", "name": "c", **cluster}),
        }
    )
    view = read_fleet(tree, document_reader(contents, LIMITS), ())
    assert view.complete is (view.failures == ())


@BOUNDED
@given(st.dictionaries(WORDS, VALUES, max_size=8), st.dictionaries(WORDS, VALUES, max_size=4))
def test_kustomizations(value: dict[str, Any], other: dict[str, Any]) -> None:
    tree, contents = tree_of(
        {
            "app/kustomization.yaml": dumped(value),
            "app/path": dumped(other),
            "app/name/kustomization.yaml": dumped(other),
        }
    )
    found = kustomize.closure(tree, contents, "app", LIMITS)
    assert all(not f.startswith(("/", "..")) for f in found.folders)


@BOUNDED
@given(st.lists(OBJECTS | VALUES, max_size=4), st.booleans(), st.sampled_from(["", "1.29", "1.36"]))
def test_objects(values: list[Any], substitutes: bool, version: str) -> None:
    raw = raw_of([(f"f{i}.yaml", dumped(v)) for i, v in enumerate(values)], LIMITS)
    app = App(variables={"x": 1} if substitutes else None, namespace="n")
    around = Surroundings(crds={}, limits=LIMITS, kubernetes_version=version)
    built = build(AppName("a"), app, raw, {"x": 1}, around)
    assert bool(built.plain) is not bool(built.failures)


@BOUNDED
@given(st.dictionaries(WORDS, VALUES, max_size=6), st.text(max_size=40), st.text(max_size=60))
def test_apps_charts_and_programs(app: dict[str, Any], chart: str, program: str) -> None:
    tree, contents = tree_of(
        {
            "a/knarr.yaml": dumped({"apiVersion": "knarr.dev/v1", "kind": "App", **app}),
            "a/Chart.yaml": chart.encode("utf-8", "surrogatepass"),
            "a/templates/x.yaml": program.encode("utf-8", "surrogatepass"),
            "a/main.jsonnet": (program + " import '../../x' std.extVar('y')").encode("utf-8", "surrogatepass"),
        }
    )
    assert app_folders(tree, Where(source=SourceName("fleet"))) == ("a",)
    found = read_app(tree, "a", SourceName("fleet"), contents, LIMITS)
    jsonnet.program_of(tree, contents, LIMITS, "a", found.app or App())
    _specs(found, tree, contents)


TOKENS = st.sampled_from([*"object . status ( ) [ ] 'x' == && || ! ? : has all x , 1 1.0 { }".split(), " ", "\n"])  # noqa: SIM905
DEPENDENCIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": WORDS | st.text(max_size=8) | st.just("db"),
            "version": st.sampled_from(["^1", ">=1,<2", "", "x", 1.2]) | SCALARS,
            "repository": st.sampled_from(["file://.", "file://../b", "file:///etc", "oci://x/y", "@a"]) | SCALARS,
        },
    )
    | VALUES,
    max_size=4,
)


@BOUNDED
@given(DEPENDENCIES, DEPENDENCIES, st.binary(max_size=60))
def test_dependencies_of_charts(own: list[Any], beside: list[Any], lock: bytes) -> None:
    tree, contents = tree_of(
        {
            "a/Chart.yaml": dumped({"name": "a", "version": "1.0.0", "dependencies": own}),
            "b/Chart.yaml": dumped({"name": "db", "version": "1.0.0", "dependencies": beside}),
            "a/charts/db-1.0.0.tgz": b"",
            ".knarr/charts.json": lock,
        }
    )
    found = needs_of(Source(tree=tree, contents=contents, limits=LIMITS), "a")
    assert all(f.code in CATALOGUE for f in found.failures)
    assert all(m.at.startswith("a/charts/") for m in found.mounts)


@BOUNDED
@given(st.text(max_size=60) | st.lists(TOKENS).map("".join))
def test_expressions_of_health_rules(text: str) -> None:
    assert all(isinstance(fault, str) for fault in rule_faults([{"kind": "A", "healthy": text}, text]))


def test_an_expression_nested_without_end_is_refused() -> None:
    for text in ("(" * 900 + "1" + ")" * 900, "!" * 1_900 + "true", "[" * 1_000, "a." * 900 + "b"):
        assert list(rule_faults([{"kind": "A", "healthy": text}])), text[:20]


def _specs(found: FoundApp, tree: Tree, contents: Contents) -> None:
    if found.app is None:
        assert found.failures
        return
    ground = Ground(tree=tree, contents=contents, app_folders=frozenset({"a"}), limits=LIMITS)
    for placement in place(
        found.app, ClusterIndex((Cluster(name=ClusterName("c"), labels={"name": "a"}),)), {}
    ).placements:
        specs_of(found, found.app, placement, ground)
