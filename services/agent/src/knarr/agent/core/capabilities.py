"""What a cluster serves beyond what its Kubernetes version tells: groups of others, and alpha and beta APIs turned on.

Kubernetes' own stable kinds follow from its version, which is reported too.
"""

from __future__ import annotations

from collections.abc import Iterable

_OWN = frozenset(
    {
        "",
        "apps",
        "autoscaling",
        "batch",
        "extensions",
        "policy",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)


def capabilities_of(kinds: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    """`group/version/Kind` of every (group, version, kind) that does not follow from the Kubernetes version, sorted."""
    told = ((g, v, k) for g, v, k in kinds if g not in _OWN or not v.removeprefix("v").isdecimal())
    return tuple(sorted({"/".join(part for part in known if part) for known in told}))
