"""The parts that are built from Go modules: what each is, where its module lies, how long it usually takes.

Data only; `build` acts on it. The versions stand in the go.mod files of deploy/local.
"""

from __future__ import annotations

from dataclasses import dataclass

_VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One program. `ldflags_template` may hold {version}, {bare}, {major} and {minor} of the module that it names."""

    name: str
    group: str
    module_folder: str
    package: str
    version_of: str
    ldflags_template: str = "-s -w"
    tags: tuple[str, ...] = ()
    # No cgo unless it cannot be helped: the same program whether or not the machine has a C compiler.
    needs_c_compiler: bool = False
    usual_seconds: int


# Without these the server calls itself v0.0.0, and clients and charts misjudge it.
_KUBERNETES_LDFLAGS = (
    "-s -w"
    f" -X {_VERSION_PACKAGE}.gitVersion={{version}}"
    f" -X {_VERSION_PACKAGE}.gitMajor={{major}}"
    f" -X {_VERSION_PACKAGE}.gitMinor={{minor}}"
)


def _kubernetes(name: str, usual_seconds: int) -> Part:
    return Part(
        name=name,
        group="kube",
        module_folder="kube/kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        version_of="k8s.io/kubernetes",
        ldflags_template=_KUBERNETES_LDFLAGS,
        usual_seconds=usual_seconds,
    )


PARTS: tuple[Part, ...] = (
    Part(
        name="etcd",
        group="kube",
        module_folder="kube/etcd",
        package="go.etcd.io/etcd/server/v3",
        version_of="go.etcd.io/etcd/server/v3",
        usual_seconds=25,
    ),
    _kubernetes("kube-apiserver", 200),
    _kubernetes("kube-controller-manager", 50),
    _kubernetes("kube-scheduler", 10),
    Part(
        name="kwok",
        group="kube",
        module_folder="kube/kwok",
        package="sigs.k8s.io/kwok/cmd/kwok",
        version_of="sigs.k8s.io/kwok",
        usual_seconds=60,
    ),
    Part(
        name="kustomize",
        group="kustomize",
        module_folder="kustomize",
        package="sigs.k8s.io/kustomize/kustomize/v5",
        version_of="sigs.k8s.io/kustomize/kustomize/v5",
        ldflags_template="-s -w -X sigs.k8s.io/kustomize/api/provenance.version={version}",
        usual_seconds=25,
    ),
    Part(
        name="helm",
        group="helm",
        module_folder="helm",
        package="helm.sh/helm/v4/cmd/helm",
        version_of="helm.sh/helm/v4",
        ldflags_template="-s -w -X helm.sh/helm/v4/internal/version.version={version}",
        usual_seconds=90,
    ),
    Part(
        name="jaeger",
        group="jaeger",
        module_folder="jaeger",
        package="github.com/jaegertracing/jaeger/cmd/all-in-one",
        version_of="github.com/jaegertracing/jaeger",
        usual_seconds=150,
    ),
    Part(
        name="gitea",
        group="gitea",
        module_folder="gitea",
        package="code.gitea.io/gitea",
        version_of="code.gitea.io/gitea",
        ldflags_template="-s -w -X main.Version={bare}",
        tags=("sqlite", "sqlite_unlock_notify"),
        needs_c_compiler=True,
        usual_seconds=220,
    ),
    Part(
        name="crane",
        group="registry",
        module_folder="registry",
        package="github.com/google/go-containerregistry/cmd/crane",
        version_of="github.com/google/go-containerregistry",
        usual_seconds=15,
    ),
)

GROUPS: tuple[str, ...] = ("kube", "kustomize", "helm", "jaeger", "gitea", "registry")


def part(name: str) -> Part:
    """The part called `name`. KeyError when there is none."""
    for known in PARTS:
        if known.name == name:
            return known
    raise KeyError(name)
