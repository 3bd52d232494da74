"""`knarr vet`: every check that the renderer makes, on a laptop or in continuous integration, offline.

The same flow as the service over files of a folder. A fleet of enrolled clusters that documents none is checked for one
imaginary cluster, since otherwise nothing would be rendered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from knarr.pipeline.errors import Rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE, AppName, SourceName
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.core.documents import Membership
from knarr.renderer.core.failures import failure
from knarr.renderer.core.findings import Finding, Severity, sorted_findings
from knarr.renderer.core.fleet import document_reader, read_fleet
from knarr.renderer.core.limits import Limits
from knarr.renderer.offline import Offline, Result
from knarr.renderer.ports import FactsRead, Snapshot

IMAGINARY_CLUSTER = "any-cluster"
UNCHECKED_CODE = "KNR2410"  # a chart of a repository, where nothing is fetched


async def rendered_offline(
    renderer: Offline, snapshots: Mapping[SourceName, Snapshot], imaginary: str = IMAGINARY_CLUSTER
) -> Result:
    """Renders what the snapshots hold; where members are who enrolls, as if a cluster named `imaginary` had."""
    facts = (ClusterFacts(cluster=imaginary),) if _may_have_enrolled(snapshots[FLEET_SOURCE], imaginary) else ()
    return await renderer.render(snapshots, FactsRead(facts=facts))


def _may_have_enrolled(snapshot: Snapshot, name: str) -> bool:
    if snapshot.tree is None:
        return False
    view = read_fleet(snapshot.tree, document_reader(snapshot.contents, Limits()), ())
    enrolled = view.fleet is not None and view.fleet.membership is Membership.ENROLLED
    return enrolled and (not view.clusters or name != IMAGINARY_CLUSTER)


async def vet(renderer: Offline, snapshots: Mapping[SourceName, Snapshot]) -> tuple[Finding, ...]:
    """Everything that is wrong or worth a word, errors first."""
    return findings_of(await rendered_offline(renderer, snapshots))


def findings_of(result: Result, *, fetched: bool = False) -> tuple[Finding, ...]:
    """What a rendering found. `fetched`: repositories were asked for charts, so that a missing one is an error."""
    return sorted_findings(
        (
            *(Finding(severity=Severity.ERROR, failure=f) for f in result.rendered.failures),
            *_app_findings(result, fetched),
            *_claimed_twice(result),
            *_cycles(result),
            *_untargeted(result),
        )
    )


def _app_findings(result: Result, fetched: bool) -> Iterator[Finding]:
    for name, finished in result.finished.items():
        for found in finished.failures:
            # Where no repository is asked, a chart that is not there says nothing about the app.
            severity = Severity.NOTE if found.code == UNCHECKED_CODE and not fetched else Severity.ERROR
            yield Finding(severity=severity, failure=found, app=name)
        for found in finished.warnings:
            yield Finding(severity=Severity.WARNING, failure=found, app=name)
        if finished.clusters_known and not finished.clusters and not finished.failures:
            nobody = failure("KNR2103", f"no target of {name} matches any cluster", origin=name)
            yield Finding(severity=Severity.WARNING, failure=nobody, app=name)
        elif finished.unmatched:
            listed = ", ".join(finished.unmatched[:10]) + (" ..." if len(finished.unmatched) > 10 else "")
            left_out = failure("KNR2102", f"{len(finished.unmatched)} clusters are matched by no target: {listed}")
            yield Finding(severity=Severity.NOTE, failure=left_out, app=name)


def _claimed_twice(result: Result) -> Iterator[Finding]:
    """An object that two apps hold in one cluster: rollout refuses the second one."""
    holders: dict[tuple[str, str], str] = {}
    for name, revision in sorted(result.revisions.items()):
        indexes = {index.digest: index for index in revision.indexes}
        for variant in revision.variants:
            index = indexes[variant.bundle.digest] if variant.bundle else None
            origins = {entry.object_id: entry.origin for entry in variant.origins}
            for entry in index.objects if index else ():
                keys = [(cluster, entry.object_id) for cluster in variant.clusters]
                clash = next((holders[key] for key in keys if key in holders), "")
                if clash:
                    wrong = failure(
                        "KNR2514",
                        f"{entry.object_id} is claimed by {clash} and {name} in the same cluster",
                        object_id=entry.object_id,
                        origin=origins.get(entry.object_id, ""),
                    )
                    yield Finding(severity=Severity.ERROR, failure=wrong, app=name)
                holders.update(dict.fromkeys(keys, name))


def _cycles(result: Result) -> Iterator[Finding]:
    needs = {name: finished.options.depends_on for name, finished in result.finished.items()}
    for start in sorted(needs):
        path = _cycle_from(start, needs)
        if path and min(path) == start:
            wrong = failure("KNR2104", f"apps wait for each other: {' -> '.join((*path, start))}", origin=start)
            yield Finding(severity=Severity.ERROR, failure=wrong, app=start)


def _cycle_from(start: str, needs: Mapping[AppName, tuple[str, ...]]) -> tuple[str, ...]:
    stack: list[tuple[str, tuple[str, ...]]] = [(start, (start,))]
    seen: set[str] = set()
    while stack:
        name, path = stack.pop()
        for other in needs.get(AppName(name), ()):
            if other == start:
                return path
            if other not in seen:
                seen.add(other)
                stack.append((other, (*path, other)))
    return ()


def _untargeted(result: Result) -> Iterator[Finding]:
    if result.rendered.untargeted_clusters:
        names = ", ".join(result.rendered.untargeted_clusters[:20])
        yield Finding(severity=Severity.NOTE, failure=failure("KNR2102", f"no app targets these clusters: {names}"))


def bundle_for(result: Result, app: str, cluster: str) -> tuple[bytes, bytes]:
    """(digest, canonical bytes) of what `cluster` would be assigned. Rejected when there is nothing."""
    name = AppName(app)
    failed = result.failures.get(name)
    if failed is not None and failed.failures and (name not in result.revisions or cluster in failed.clusters):
        raise _refusal(failed.failures[0])
    revision = result.revisions.get(name)
    if revision is None and result.rendered.failures:
        raise _refusal(result.rendered.failures[0])
    if revision is None:
        known = ", ".join(sorted(result.revisions)) or "none"
        raise Rejected("KNR2108", f"the fleet has no app {app!r}; there is: {known[:300]}")
    for variant in revision.variants:
        if cluster in variant.clusters and variant.bundle is not None:
            return variant.bundle.digest, result.plain[variant.bundle.digest]
    clusters = ", ".join(sorted(c for v in revision.variants for c in v.clusters)) or "none"
    raise Rejected("KNR2109", f"{app!r} does not go to {cluster!r}, but to: {clusters[:300]}")


def _refusal(first: Failure) -> Rejected:
    return Rejected(first.code, first.message, object_id=first.object_id, origin=first.origin)
