"""The fleet at one commit: fleet.yaml, clusters, policies, joined with what clusters say about themselves.

Called by the flow before anything renders. `complete` is false when a document could not be read: nothing may then be
concluded from the absence of a cluster (I1). Who is a member is what fleet.yaml says, never what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from knarr.pipeline.errors import Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import REPORTED_LABEL_PREFIX, ClusterName, is_dns_label
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.core.documents import CLUSTERS_FOLDER, FLEET_FILE, POLICIES_FOLDER, Cluster, Fleet, Membership
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.parse import AnyDocument, Parsed, parse, policy_notice
from knarr.renderer.core.tree import Contents, File, Tree, content_of

_POLICIES = ("RolloutPolicy",)
_NO_CLUSTER = "the fleet names no cluster: write clusters/*.yaml, or say `clusters: Enrolled`"
_VERSION = re.compile(r"v?[0-9]{1,4}\.[0-9]{1,4}(?![^.+~-])")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """What the fleet commit says. `fleet` is None when fleet.yaml is missing or wrong.

    `notices` are told as failures are, but say nothing about completeness.
    """

    fleet: Fleet | None = None
    clusters: tuple[Cluster, ...] = ()
    failures: tuple[Failure, ...] = ()
    notices: tuple[Failure, ...] = ()
    complete: bool = False


ReadDocument = Callable[[File, tuple[str, ...]], Parsed]


def document_reader(contents: Contents, limits: Limits) -> ReadDocument:
    """Reads a document's file; the flow remembers what it has read."""

    def read(file: File, kinds: tuple[str, ...]) -> Parsed:
        return parse(content_of(file, contents, limits.document_bytes), file.path, kinds, limits)

    return read


def read_fleet(tree: Tree, read: ReadDocument, facts: Iterable[ClusterFacts]) -> FleetView:
    """The fleet in `tree`. Every mistake of every document is in `failures`."""
    documents, failures, notices = _documents(tree, read)
    fleets = [d for d in documents if isinstance(d, Fleet)]
    if not fleets:
        missing = failure("KNR2015", f"the fleet repository has no {FLEET_FILE}", origin=FLEET_FILE)
        return FleetView(failures=tuple(failures) or (missing,), notices=tuple(notices))
    if len(fleets) > 1:
        failures.append(failure("KNR2014", f"{FLEET_FILE} holds {len(fleets)} Fleet documents", origin=FLEET_FILE))
    fleet = fleets[0]
    failures.extend(_source_clashes(fleet))
    clusters, clashes = _unique_clusters([d for d in documents if isinstance(d, Cluster)])
    failures.extend(clashes)
    known = {f.cluster: f for f in facts}
    # What cannot be read may be the document of an enrolled cluster, which would lose its labels.
    if fleet.membership is Membership.ENROLLED and not failures:
        clusters = _with_enrolled(clusters, known)
    if not clusters and not failures and fleet.membership is Membership.DOCUMENTED:
        notices.append(failure("KNR2022", _NO_CLUSTER, origin=FLEET_FILE))
    return FleetView(
        fleet=fleet,
        clusters=tuple(_joined(c, known.get(c.name), fleet) for c in clusters),
        failures=tuple(failures),
        notices=tuple(notices),
        complete=not failures,
    )


def document_paths(tree: Tree) -> dict[str, tuple[str, ...]]:
    """The files that hold the fleet's documents, with the kinds that each may hold."""
    paths: dict[str, tuple[str, ...]] = {}
    if tree.file(FLEET_FILE) is not None:
        paths[FLEET_FILE] = ("Fleet", "RolloutPolicy", "Cluster")
    for folder, kinds in ((CLUSTERS_FOLDER, ("Cluster",)), (POLICIES_FOLDER, _POLICIES)):
        for file in tree.under(folder):
            name = file.path.rpartition("/")[2]
            if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                paths[file.path] = kinds
    return paths


def _with_enrolled(documented: tuple[Cluster, ...], enrolled: Iterable[str]) -> tuple[Cluster, ...]:
    named = {c.name: c for c in documented}
    for name in enrolled:
        if is_dns_label(name):
            named.setdefault(ClusterName(name), Cluster(name=ClusterName(name)))
    return tuple(named[name] for name in sorted(named))


def _documents(tree: Tree, read: ReadDocument) -> tuple[list[AnyDocument], list[Failure], list[Failure]]:
    """What is right, what is wrong, and what has no effect."""
    documents: list[AnyDocument] = []
    failures: list[Failure] = []
    notices: list[Failure] = []
    for path, kinds in document_paths(tree).items():
        if kinds == _POLICIES:
            notices.append(policy_notice(path))
            continue
        try:
            parsed = read(tree.files[path], kinds)
        except Rejected as error:
            failures.append(failure_of(error))
            continue
        documents.extend(parsed.documents)
        failures.extend(parsed.failures)
        notices.extend(parsed.notices)
    return documents, failures, notices


def _source_clashes(fleet: Fleet) -> list[Failure]:
    seen: set[str] = {"fleet"}
    clashes = []
    for source in fleet.sources:
        if source.name in seen:
            clashes.append(failure("KNR2014", f"two sources are named {source.name!r}", origin=source.origin))
        seen.add(source.name)
    return clashes


def _unique_clusters(found: list[Cluster]) -> tuple[tuple[Cluster, ...], list[Failure]]:
    by_name: dict[str, Cluster] = {}
    clashes = []
    for cluster in found:
        holder = by_name.setdefault(cluster.name, cluster)
        if holder is not cluster:
            message = f"cluster {cluster.name!r} is already in {holder.origin}; that one counts"
            clashes.append(failure("KNR2014", message, origin=cluster.origin))
    return tuple(by_name[name] for name in sorted(by_name)), clashes


def _joined(cluster: Cluster, facts: ClusterFacts | None, fleet: Fleet) -> Cluster:
    """Labels that a cluster gives itself count only where fleet.yaml allows the key, and only under their prefix."""
    written = {k: v for k, v in cluster.labels.items() if not k.startswith(REPORTED_LABEL_PREFIX)}
    if facts is None:
        return replace(cluster, labels=written)
    version = facts.kubernetes_version
    reported = {
        REPORTED_LABEL_PREFIX + key: value
        for key, value in facts.reported_labels.items()
        if key in fleet.reported_labels
    }
    return replace(
        cluster,
        labels={**written, **reported},
        kubernetes_version=version.lstrip("v") if _VERSION.match(version) else cluster.kubernetes_version,
        capabilities=tuple(sorted(facts.capabilities)) if facts.capabilities_known else cluster.capabilities,
    )
