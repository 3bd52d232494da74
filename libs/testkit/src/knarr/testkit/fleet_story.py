"""Small fleets told in a line a commit: what rollout's tests drive the real flow with.

`Story` plays renderer, clusters and operator around a real `Rollout` over a store, and reads what went out as an agent
would: verified, opened, newest per cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from knarr.bundle.canonical import PROTECTED_KINDS
from knarr.bundle.sealing import MasterKey
from knarr.bundle.signing import open_body, sign_sealing_key, verify_assignment
from knarr.pipeline.assignment import AssignmentBody, AssignmentHeader
from knarr.pipeline.decision import AppDecision, AppVerdict, Command, CommandHandled, CommandVerb, RolloutDecided
from knarr.pipeline.digest import sha256
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.pipeline.revision import (
    AppOutcome,
    BundleRef,
    CommitRendered,
    FleetCluster,
    Index,
    IndexedObject,
    RenderedApp,
    RevisionRendered,
    Variant,
)
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.state import FleetState
from knarr.rollout.decide import Rollout, World
from knarr.rollout.dispatch import Authority
from knarr.rollout.ports import Outbox, Revisions, Store
from knarr.testkit.rollout_streams import MemoryOutbox, MemoryRevisions

EPOCH = "epoch-1"


@dataclass(slots=True, kw_only=True)
class Story:
    """`apps`: app → (clusters, object names), as the newest commit has them."""

    rollout: Rollout
    store: Store
    outbox: MemoryOutbox
    revisions: MemoryRevisions
    signer: SigningKey
    clusters: list[str] = field(default_factory=list)
    apps: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    keys: dict[str, PrivateKey] = field(default_factory=dict)
    number: int = 0
    commands: int = 0
    rendered: CommitRendered | None = None
    clock: Clock = field(default_factory=lambda: Clock())
    signing: dict[str, SigningKey] = field(default_factory=dict)

    async def enrol(self, *clusters: str, **said: Any) -> None:
        """The clusters report for the first time (or again)."""
        for name in clusters:
            await self.rollout.on_cluster_reports([self.cluster_report(name, **said)])

    def cluster_report(self, name: str, *, uid: str = "uid", **said: Any) -> ClusterReport:
        """What the agent of the cluster says of itself; `said` replaces parts of it."""
        key = self.keys.setdefault(name, PrivateKey.generate())
        signer = self.signing.setdefault(name, SigningKey.generate())
        whole = f"{uid}-{name}"
        report = ClusterReport(
            cluster=name,
            cluster_uid=whole,
            sealing_public_key=bytes(key.public_key),
            signing_public_key=bytes(signer.verify_key),
            sealing_key_signature=sign_sealing_key(whole, bytes(key.public_key), signer=signer),
        )
        return replace(report, **said)

    async def commit(
        self,
        *,
        failed: dict[str, tuple[str, ...]] | None = None,
        partly: dict[str, tuple[str, ...]] | None = None,
        source_read: bool = True,
        fleet_read: bool = True,
        source: str = "fleet",
        guards: bytes = b"",
        number: int = 0,
        fleet_number: int = 0,
        **apps: tuple[tuple[str, ...], tuple[str, ...]] | None,
    ) -> RolloutDecided:
        """A commit that sets the given apps (None: gone from the commit); the others stay as they were.

        `partly`: clusters for which the given app does not render; its revision keeps their last good bundles.
        """
        self.number += 0 if number else 1
        commit = Commit(source=source, number=number or self.number, sha=f"{number or self.number:040x}")
        outcomes = [
            RenderedApp(app=a, outcome=AppOutcome.FAILED, clusters=cs, failure_code="KNR2001", source=source)
            for a, cs in (failed or {}).items()
        ]
        for app, content in apps.items():
            if content is None:
                self.apps.pop(app, None)
                continue
            self.apps[app] = content
            failing = (partly or {}).get(app, ())
            revision = keeping(revision_of(app, commit, *content), self.revisions.by_app.get(app), failing)
            self.revisions.by_app[app] = revision
            outcomes.append(
                RenderedApp(
                    app=app,
                    outcome=AppOutcome.REVISION,
                    revision=revision.revision,
                    source=source,
                    clusters=failing,
                    failure_code="KNR2201" if failing else "",
                )
            )
        outcomes += [
            RenderedApp(
                app=app,
                outcome=AppOutcome.UNCHANGED,
                revision=self.revisions.by_app[app].revision,
                source=source,
            )
            for app in self.apps
            if app not in apps and app not in (failed or {})
        ]
        fleet = replace(commit, source="fleet", number=fleet_number or commit.number)
        self.rendered = CommitRendered(
            commit=commit,
            fleet_commit=fleet,
            apps=tuple(outcomes) if source_read else (),
            clusters=tuple(FleetCluster(name=c) for c in self.clusters) if fleet_read else (),
            fleet_read=fleet_read,
            source_read=source_read,
            guards_json=guards,
        )
        decision = await self.rollout.on_rendered(self.rendered)
        assert decision is not None
        return decision

    async def report(self, cluster: str, app: str, state: AppState = AppState.HEALTHY, *, holds: bool = False) -> None:
        """The cluster says that it has applied what it was last assigned (or that the app is removed, or that it holds
        it by its own budget)."""
        header, body = self.assignment(cluster)
        digest = next((a.digest for a in body.apps if a.app == app), b"")
        state = AppState.HELD if holds else state
        await self.rollout.on_app_reports(
            [
                AppReport(
                    cluster=cluster,
                    app=app,
                    state=state,
                    digest=digest,
                    generation=header.generation,
                    applied_at_ms=1,
                    held_digests=(digest,) if holds else (),
                )
            ]
        )

    async def approve(self, revision: str, *, evidence: bytes | None = None, command_id: str = "") -> CommandHandled:
        """An operator approves what was told last of the revision, or what `evidence` names."""
        shown = [a.evidence for d in self.outbox.decisions for a in d.apps if a.revision == revision and a.evidence]
        self.commands += 1
        command = Command(
            command_id=command_id or f"command-{self.commands}",
            verb=CommandVerb.APPROVE,
            revision=revision,
            evidence=evidence if evidence is not None else shown[-1] if shown else b"",
            actor="ann",
        )
        return await self.rollout.on_command(command)

    async def clock_on(self, *, minutes: float) -> None:
        """Time passes."""
        self.clock.now_ms += int(minutes * 60_000)
        await self.rollout.on_time()

    async def later(self, *, hours: float) -> None:
        """More time passes."""
        await self.clock_on(minutes=hours * 60)

    def assignment(self, cluster: str) -> tuple[AssignmentHeader, AssignmentBody]:
        """The newest assignment, verified and opened as the agent does."""
        header, sealed = verify_assignment(self.outbox.assignments[cluster], trusted=(bytes(self.signer.verify_key),))
        return header, open_body(header, sealed, private=self.keys[cluster])

    def digest(self, cluster: str, app: str) -> bytes | None:
        """What the cluster is assigned for the app."""
        return next((a.digest for a in self.assignment(cluster)[1].apps if a.app == app), None)

    def verdicts(self, decision: RolloutDecided) -> dict[str, AppVerdict]:
        """App → verdict."""
        return {a.app: a.verdict for a in decision.apps}


def told(decision: RolloutDecided, app: str) -> AppDecision:
    """What a decision says of an app."""
    return next(a for a in decision.apps if a.app == app)


def digest_for(app: str, objects: tuple[str, ...]) -> bytes:
    """The digest of a bundle of the story."""
    return sha256(repr((app, sorted(objects))).encode())


def revision_of(app: str, commit: Commit, clusters: tuple[str, ...], objects: tuple[str, ...]) -> RevisionRendered:
    """One variant for all clusters.

    An object is `Kind/name`, or `name` for a ConfigMap; `hook:` before it makes a hook.
    """
    digest = digest_for(app, objects)
    index = Index(digest=digest, objects=tuple(_indexed(o) for o in objects))
    ref = BundleRef(digest=digest, address=sha256(digest), object_count=len(objects), chunk_count=1, sealed_size=100)
    return RevisionRendered(
        app=app,
        revision=sha256(repr((app, commit.number, clusters, objects)).encode()).hex(),
        commit=commit,
        fleet_commit=commit,
        variants=(Variant(bundle=ref, clusters=clusters),) if clusters else (),
        indexes=(index,),
    )


def keeping(revision: RevisionRendered, before: RevisionRendered | None, failing: tuple[str, ...]) -> RevisionRendered:
    """The revision with the last good bundles of the clusters that fail, as the renderer makes it."""
    if not failing or before is None:
        return revision
    old = tuple(replace(v, clusters=tuple(c for c in v.clusters if c in failing)) for v in before.variants)
    kept = tuple(v for v in old if v.clusters)
    return replace(revision, variants=(*revision.variants, *kept), indexes=(*revision.indexes, *before.indexes))


def _indexed(name: str) -> IndexedObject:
    kind, _, rest = name.removeprefix("hook:").rpartition("/")
    kind = kind or "ConfigMap"
    return IndexedObject(
        object_id=f"/{kind}/shop/{rest}",
        content_digest=sha256(name.encode()),
        protected=("", kind) in PROTECTED_KINDS,
        hook=name.startswith("hook:"),
    )


@dataclass(slots=True)
class Clock:
    """The hub's, in the hands of a test. Unix milliseconds."""

    now_ms: int = 1_700_000_000_000


async def start_story(store: Store, clusters: tuple[str, ...], *, enrolled: bool = True) -> Story:
    """A rollout over `store` and a fleet of `clusters`, enrolled unless told otherwise."""
    signer, clock = SigningKey.generate(), Clock()
    outbox, revisions = MemoryOutbox(), MemoryRevisions()
    rollout = make_rollout(await store.load(), store, outbox, revisions, signer, clock)
    story = Story(
        rollout=rollout,
        store=store,
        outbox=outbox,
        revisions=revisions,
        signer=signer,
        clusters=list(clusters),
        clock=clock,
    )
    if enrolled:
        await story.enrol(*clusters)
    return story


async def restarted(story: Story) -> Story:
    """The same story after rollout was killed and started again on the same store."""
    state = await story.store.load()
    rollout = make_rollout(state, story.store, story.outbox, story.revisions, story.signer, story.clock)
    return replace(story, rollout=rollout)


def make_rollout(
    state: FleetState,
    store: Store,
    outbox: Outbox,
    revisions: Revisions,
    signer: SigningKey,
    clock: Clock,
) -> Rollout:
    """A rollout whose clock stands still unless it is told."""
    world = World(
        store=store,
        outbox=outbox,
        revisions=revisions,
        authority=Authority(epoch=EPOCH, signer=signer, bundle_master=MasterKey(bytes(32))),
        now_ms=lambda: clock.now_ms,
        traceparent=lambda: "",
    )
    return Rollout(state, world)
