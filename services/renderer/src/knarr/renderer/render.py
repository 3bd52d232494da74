"""A commit becomes revisions: read, place, render each distinct variant once, publish, close.

One app's failure is its own, and so is one source's slowness (I5); every commit ends in one CommitRendered. What is
published depends on nothing but the newest snapshots and facts (level-triggered): handling a message twice, late or on
another replica gives the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import structlog

from knarr.messaging.tracing import TRACER
from knarr.pipeline.digest import digest_of
from knarr.pipeline.errors import KnarrError, Rejected, failure_of, retryable
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE, AppName, SourceName
from knarr.pipeline.revision import (
    AppOutcome,
    CommitRendered,
    FleetCluster,
    RenderedApp,
    RenderFailed,
    RevisionRendered,
)
from knarr.renderer.app import AppRenderer, Finished, FleetContext
from knarr.renderer.core.discover import FoundApp
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.revision import (
    Moment,
    facts_digest,
    is_older,
    order_of,
    revision_of,
    same_content,
)
from knarr.renderer.core.spec import Ground
from knarr.renderer.core.survey import Survey
from knarr.renderer.core.unread import keep_failing, keep_unread
from knarr.renderer.counters import FAILURES, TALLY, Tally
from knarr.renderer.patience import Patience
from knarr.renderer.ports import Bundles, Facts, FactsRead, Revisions, Snapshot, Snapshots
from knarr.renderer.raws import Raws
from knarr.renderer.surveyor import Surveyor
from knarr.service.waiting import all_of

LOG = structlog.get_logger("knarr.renderer")
_APPS_AT_ONCE = 16
_LATE = "KNR2412"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the flow works with. `now_ms` gives Unix milliseconds."""

    snapshots: Snapshots
    facts: Facts
    bundles: Bundles
    revisions: Revisions
    raws: Raws
    apps: AppRenderer
    limits: Limits
    now_ms: Callable[[], int]
    # How long a commit waits for apps of other sources when its own are done; None: until they are done, too.
    patience_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commit:
    """Everything that one handling of a commit knows."""

    source: SourceName
    snapshots: Mapping[SourceName, Snapshot]
    facts: FactsRead
    survey: Survey
    fleet: FleetContext
    published: Mapping[AppName, RevisionRendered]
    facts_digest: bytes

    def moment(self, source: SourceName) -> Moment:
        """What an app of `source` is rendered from."""
        return Moment(
            commit=self.snapshots[source].commit,
            fleet_commit=self.snapshots[FLEET_SOURCE].commit,
            facts_number=self.facts.number,
            facts_digest=self.facts_digest,
        )


class Renderer:
    """Renders the newest commit of a source. One call at a time per source; sources side by side. Close it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._surveyor = Surveyor(parts.limits)
        self._last: dict[AppName, tuple[bytes, Finished]] = {}
        self._patience: Patience[Finished] = Patience(parts.patience_seconds)
        # Of two that read one after the other the second one's moment is nowhere older, so their results have an order.
        self._reading = asyncio.Lock()

    async def close(self) -> None:
        """Ends what is still being rendered for commits that did not wait for it."""
        await self._patience.close()

    @property
    def finished(self) -> Mapping[AppName, Finished]:
        """What became of every app when it was last rendered."""
        return {name: finished for name, (_, finished) in self._last.items()}

    async def render(self, source: SourceName) -> CommitRendered:
        """Renders what `source` holds now (for the fleet's own source: every app) and closes the commit.

        An app of another source that is late fails with KNR2412 here: `late_sources` are to be rendered next. Raises
        Retryable when the broker does not answer or no snapshot is there yet; nothing is then concluded.
        """
        started = self._parts.now_ms()
        cost = Tally()
        TALLY.set(cost)
        async with self._reading:
            commit = await self._read(source)
        outcomes = await self._render_apps(commit)
        rendered = self._closing(commit, outcomes, started, cost)
        await self._parts.revisions.close(rendered)
        return rendered

    async def _read(self, source: SourceName) -> _Commit:
        with TRACER.start_as_current_span("read snapshots"):
            snapshots = await self._parts.snapshots.newest()
            facts = await self._parts.facts.newest()
            published = await self._parts.revisions.published()
        for needed in (FLEET_SOURCE, source):
            if needed not in snapshots:
                raise retryable("KNR2602", f"there is no snapshot of the source {needed!r} yet")
            found = snapshots[needed]
            if found.missing and (needed == source or found.tree is None):
                raise retryable(found.failures[0].code, found.failures[0].message)
        surveyed, fleet = self._surveyor.survey(snapshots, facts, published)
        return _Commit(
            source=source,
            snapshots=snapshots,
            facts=facts,
            survey=surveyed,
            fleet=fleet,
            published=published,
            facts_digest=facts_digest(facts.facts),
        )

    async def _render_apps(self, commit: _Commit) -> list[RenderedApp]:
        of_all = commit.source == FLEET_SOURCE
        # An app that this source held until now may have gone over to another one, whose claim now stands.
        lost = {name for name, r in commit.published.items() if r.commit and r.commit.source == commit.source}
        apps = [a for a in commit.survey.apps.values() if of_all or a.source == commit.source or a.name in lost]
        apps.sort(key=lambda a: a.name)
        rooms = {a.source: asyncio.Semaphore(_APPS_AT_ONCE) for a in apps}

        async def finish(found: FoundApp) -> Finished:
            async with rooms[found.source]:
                return await self._finished(found, commit)

        own = frozenset(a.name for a in apps if a.source == commit.source)
        finished = await self._patience.results({a.name: partial(finish, a) for a in apps}, own)
        rendered = await all_of(self._told(found, finished[found.name], commit) for found in apps)
        return [*rendered, *self._gone(commit)]

    async def _rendered(self, found: FoundApp, ground: Ground, commit: _Commit) -> Finished:
        """What goes wrong where it should not is this app's failure and nobody else's (I5)."""
        try:
            return await self._parts.apps.render(found, ground, commit.fleet)
        except KnarrError:
            raise
        except Exception as error:
            LOG.exception("app failed", app=found.name)
            message = f"{found.name} failed unexpectedly: {type(error).__name__}"
            return Finished(failures=(failure("KNR2590", message, origin=found.folder),))

    async def _finished(self, found: FoundApp, commit: _Commit) -> Finished:
        """What the app gives, from memory where nothing that it reads has changed. Tells nobody."""
        ground = commit.survey.grounds[found.source]
        key = self._key(found, commit)
        last = self._last.get(found.name)
        if last is not None and last[0] == key:
            return last[1]
        with TRACER.start_as_current_span("render app") as span:
            span.set_attribute("knarr.app", found.name)
            finished = await self._rendered(found, ground, commit)
            if finished.failures:
                span.set_attribute("error.type", finished.failures[0].code)
        # What failed may depend on what is not there yet: it is looked at again at every commit.
        self._last[found.name] = (b"" if finished.failures else self._key(found, commit), finished)
        return finished

    async def _told(self, found: FoundApp, finished: Finished | None, commit: _Commit) -> RenderedApp:
        """Publishes what became of the app. None: it is late."""
        if finished is None:
            message = f"{found.name} of source {found.source} is still being rendered; it is looked at again at once"
            finished = Finished(failures=(failure(_LATE, message, origin=found.folder),))
        for code in {f.code for f in finished.failures}:
            FAILURES.labels(code=code).inc()
        if finished.failures and not finished.variants:
            return await self._failed(found, finished, commit)
        rendered = await self._published(found, finished, commit)
        if not finished.failures or rendered.outcome is AppOutcome.FAILED:
            return rendered
        # After the revision, so that whoever reads both in order ends with the failure in view.
        await self._tell_failure(found, finished.failures, finished.failing, commit)
        return replace(rendered, clusters=finished.failing, failure_code=finished.failures[0].code)

    def _key(self, found: FoundApp, commit: _Commit) -> bytes:
        """Everything that the app's rendering may read; equal keys give equal results."""
        tree = commit.survey.grounds[found.source].tree
        folders = self._parts.apps.reads(found)
        parts = [found.source.encode(), commit.fleet.digest, self._parts.bundles.epoch.encode()]
        for folder in (found.folder, *folders):
            parts += [folder.encode("utf-8", "surrogateescape"), tree.digest(folder)]
        return digest_of(parts)

    async def _failed(self, found: FoundApp, finished: Finished, commit: _Commit) -> RenderedApp:
        last_good = commit.published.get(found.name)
        known = finished.clusters_known or last_good is None
        clusters = finished.clusters or _clusters_of(last_good)
        await self._tell_failure(found, finished.failures, clusters, commit, known=known)
        return RenderedApp(
            app=found.name,
            outcome=AppOutcome.FAILED,
            revision=last_good.revision if last_good else "",
            clusters=clusters,
            failure_code=finished.failures[0].code,
            source=found.source,
        )

    async def _tell_failure(
        self,
        found: FoundApp,
        failures: tuple[Failure, ...],
        clusters: tuple[str, ...],
        commit: _Commit,
        *,
        known: bool = True,
    ) -> None:
        moment = commit.moment(found.source)
        await self._parts.revisions.publish_failure(
            RenderFailed(
                app=found.name,
                commit=moment.commit,
                fleet_commit=moment.fleet_commit,
                facts_number=moment.facts_number,
                failures=failures[:200],
                clusters=clusters,
                clusters_known=known,
            )
        )

    async def _published(self, found: FoundApp, finished: Finished, commit: _Commit) -> RenderedApp:
        moment = commit.moment(found.source)
        before = commit.published.get(found.name)
        kept = keep_failing(finished.variants, finished.indexes, before, finished.failing)
        variants, indexes = keep_unread(*kept, before, commit.survey.fleet)
        revision = revision_of(found.name, found.folder, moment, variants, indexes, finished.options)
        same_source = before is not None and before.commit is not None and before.commit.source == found.source
        if before is not None and same_source and is_older(moment.order, order_of(before)):
            return _rendered(found, AppOutcome.UNCHANGED, before.revision)
        if before is not None and same_source and before.path == found.folder and same_content(before, revision):
            return _rendered(found, AppOutcome.UNCHANGED, before.revision)
        try:
            stored = await self._parts.revisions.publish(replace(revision, rendered_at_ms=self._parts.now_ms()))
        except Rejected as error:
            wrong = (failure_of(error), *finished.failures)
            return await self._failed(found, replace(finished, failures=wrong), commit)
        if not stored:
            raise retryable("KNR2603", f"a newer revision of {found.name} was published meanwhile")
        return _rendered(found, AppOutcome.REVISION, revision.revision)

    def _gone(self, commit: _Commit) -> list[RenderedApp]:
        """Published apps that their readable source no longer holds. What could not be read is never gone (I1)."""
        if not commit.survey.fleet.complete and commit.survey.fleet.fleet is None:
            return []
        gone = []
        for name, revision in sorted(commit.published.items()):
            source = SourceName(revision.commit.source if revision.commit else "")
            concerned = commit.source in (FLEET_SOURCE, source)
            if concerned and name not in commit.survey.apps and source in commit.survey.grounds:
                gone.append(RenderedApp(app=name, outcome=AppOutcome.GONE, revision=revision.revision, source=source))
        return gone

    def _closing(self, commit: _Commit, outcomes: list[RenderedApp], started: int, cost: Tally) -> CommitRendered:
        view = commit.survey.fleet
        moment = commit.moment(commit.source)
        snapshot = commit.snapshots[commit.source]
        return CommitRendered(
            commit=moment.commit,
            fleet_commit=moment.fleet_commit,
            facts_number=moment.facts_number,
            apps=tuple(outcomes),
            clusters=tuple(FleetCluster(name=c.name, labels=dict(c.labels)) for c in view.clusters),
            fleet_read=view.complete,
            source_read=commit.source in commit.survey.grounds,
            failures=(
                *_source_failures(commit.source, snapshot),
                *_missing(commit),
                *view.failures,
                *view.notices,
                *commit.survey.failures,
            )[:500],
            started_at_ms=started,
            ended_at_ms=self._parts.now_ms(),
            renders=cost.renders,
            cache_hits=cost.hits,
            blobs_published=cost.stored,
            untargeted_clusters=self._untargeted(commit),
            guards_json=view.fleet.guards if view.fleet else b"",
        )

    def _untargeted(self, commit: _Commit) -> tuple[str, ...]:
        """Clusters that no app targets: they are said, never silently left out."""
        targeted: set[str] = set()
        for name in commit.survey.apps:
            known = self._last.get(name)
            if known is not None and not known[1].clusters_known:
                return ()  # it may well target them all
            targeted.update(known[1].clusters if known else _clusters_of(commit.published.get(name)))
        return tuple(sorted(c.name for c in commit.survey.fleet.clusters if c.name not in targeted))


def late_sources(rendered: CommitRendered) -> tuple[SourceName, ...]:
    """The sources whose apps the commit did not wait for."""
    return tuple(sorted({SourceName(a.source) for a in rendered.apps if a.failure_code == _LATE}))


def _rendered(found: FoundApp, outcome: AppOutcome, revision: str) -> RenderedApp:
    return RenderedApp(app=found.name, outcome=outcome, revision=revision, source=found.source)


def _clusters_of(revision: RevisionRendered | None) -> tuple[str, ...]:
    return tuple(sorted({c for v in revision.variants for c in v.clusters})) if revision else ()


def _missing(commit: _Commit) -> Iterable[Failure]:
    """Of other sources: what concerns them is said, and stops nobody."""
    for name, snapshot in sorted(commit.snapshots.items()):
        if snapshot.missing and name != commit.source:
            yield from snapshot.failures


def _source_failures(source: SourceName, snapshot: Snapshot) -> Iterable[Failure]:
    if snapshot.failures:
        return snapshot.failures
    if snapshot.tree is not None and not snapshot.tree.files:
        return (failure("KNR2105", f"the source {source!r} is empty: it detaches, nothing is deleted"),)
    return ()
