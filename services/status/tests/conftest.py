"""A fleet that speaks: what the other services and the agents would publish, as messages.

Used by the integration tests (through the fixture `story`) over a real broker. It decides nothing: each call says one
thing that one service says.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from knarr.messaging import subjects
from knarr.messaging.broker import Broker
from knarr.pipeline.decision import (
    AppDecision,
    AppVerdict,
    AssignedGeneration,
    AssignedVariant,
    CommandHandled,
    HeldReason,
    Loss,
    RolloutDecided,
)
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.pipeline.revision import (
    AppOutcome,
    BundleRef,
    CommitRendered,
    FleetCluster,
    Index,
    IndexedObject,
    OriginEntry,
    RenderedApp,
    RenderFailed,
    RevisionRendered,
    Variant,
)
from knarr.pipeline.snapshot import Commit, SnapshotStored, SourceReported


def digest(text: str) -> bytes:
    """A digest that stands for a content."""
    return hashlib.sha256(text.encode()).digest()


@dataclass(kw_only=True)
class Story:
    """One fleet. `clusters`: name → labels of its Cluster document."""

    broker: Broker
    clusters: Mapping[str, Mapping[str, str]]
    epoch: str = "epoch-1"
    decisions: int = 0
    generations: dict[str, int] = field(default_factory=dict)
    assigned: dict[tuple[str, str], tuple[bytes, int]] = field(default_factory=dict)
    revisions: dict[str, RevisionRendered] = field(default_factory=dict)
    _last_number: int = 0

    async def commit(self, subject: str, source: str = "fleet", author: str = "Ada") -> Commit:
        """A commit seen and stored."""
        now = time.time_ns() // 1_000_000
        self._last_number = max(self._last_number + 1, now)
        commit = Commit(
            source=source, number=self._last_number, sha=hashlib.sha1(f"{subject}{now}".encode()).hexdigest(),
            ref="refs/heads/main", author=author, subject=subject, committed_at_ms=now - 1500, observed_at_ms=now,
            url=f"https://git.example.org/{source}.git",
        )  # fmt: skip
        stored = SnapshotStored(commit=commit, file_count=40, published_bytes=2048, published_files=2)
        await self.broker.publish(subjects.commit_subject(source), stored)
        await self.broker.publish(
            subjects.source_subject(source), SourceReported(source=source, reachable=True, since_ms=now, commit=commit)
        )
        return commit

    async def render(
        self,
        commit: Commit,
        changed: Mapping[str, Sequence[str]],
        *,
        unchanged: Iterable[str] = (),
        failed: Mapping[str, Failure] | None = None,
        gone: Iterable[str] = (),
        only: Iterable[str] | None = None,
    ) -> dict[str, RevisionRendered]:
        """The commit rendered: `changed` maps an app to its object ids; `only`: the clusters it targets."""
        started = time.time_ns() // 1_000_000
        targets = tuple(sorted(only if only is not None else self.clusters))
        made = {app: self._revision(commit, app, tuple(ids), targets) for app, ids in changed.items()}
        for app, revision in made.items():
            await self.broker.publish(subjects.revision_subject(app), revision)
        for app, failure in (failed or {}).items():
            message = RenderFailed(app=app, commit=commit, fleet_commit=commit, failures=(failure,))
            await self.broker.publish(subjects.revision_failed_subject(app), message)
        self.revisions |= made
        outcomes = {a: (AppOutcome.REVISION, r.revision, "") for a, r in made.items()}
        outcomes |= {a: (AppOutcome.UNCHANGED, self.revisions[a].revision, "") for a in unchanged}
        outcomes |= {a: (AppOutcome.FAILED, "", f.code) for a, f in (failed or {}).items()}
        outcomes |= dict.fromkeys(gone, (AppOutcome.GONE, "", ""))
        apps = [
            RenderedApp(app=a, outcome=outcome, revision=revision, failure_code=code, source=commit.source)
            for a, (outcome, revision, code) in outcomes.items()
        ]
        rendered = CommitRendered(
            commit=commit, fleet_commit=commit, apps=tuple(apps), fleet_read=True, source_read=True,
            clusters=tuple(FleetCluster(name=n, labels=dict(v)) for n, v in sorted(self.clusters.items())),
            started_at_ms=started, ended_at_ms=time.time_ns() // 1_000_000, renders=len(made),
        )  # fmt: skip
        await self.broker.publish(subjects.rendered_subject(commit.source), rendered)
        return made

    async def know(self, *apps: str) -> None:
        """Git knows these apps; nothing more is said of them, nor of the clusters."""
        commit = await self.commit("Some apps")
        known = tuple(RenderedApp(app=a, outcome=AppOutcome.UNCHANGED, source=commit.source) for a in apps)
        await self.broker.publish(subjects.rendered_subject(commit.source), CommitRendered(commit=commit, apps=known))

    def _revision(self, commit: Commit, app: str, ids: tuple[str, ...], targets: tuple[str, ...]) -> RevisionRendered:
        bundle = digest(f"{app} {commit.sha} {ids}")
        objects = tuple(IndexedObject(object_id=i, protected="/Namespace/" in i) for i in ids)
        return RevisionRendered(
            app=app, revision=digest(f"{app}{commit.sha}").hex(), commit=commit, fleet_commit=commit,
            variants=(
                Variant(
                    bundle=BundleRef(digest=bundle, object_count=len(ids)),
                    clusters=targets,
                    origins=tuple(
                        OriginEntry(object_id=name, origin=f"apps/{app}/all.yaml:{n}") for n, name in enumerate(ids)
                    ),
                ),
            ),
            indexes=(Index(digest=bundle, objects=objects),), rendered_at_ms=time.time_ns() // 1_000_000,
            path=f"apps/{app}",
        )  # fmt: skip

    async def assign(
        self, commit: Commit, made: Mapping[str, RevisionRendered], command_id: str = ""
    ) -> RolloutDecided:
        """Rollout assigns all of it."""
        clusters = sorted({c for r in made.values() for v in r.variants for c in v.clusters})
        for cluster in clusters:
            self.generations[cluster] = self.generations.get(cluster, 0) + 1
        apps = []
        for app, revision in made.items():
            for variant in revision.variants:
                for cluster in variant.clusters:
                    self.assigned[cluster, app] = (variant.bundle.digest, self.generations[cluster])  # type: ignore[union-attr]
            variants = tuple(
                AssignedVariant(digest=v.bundle.digest, object_count=v.bundle.object_count, clusters=v.clusters)  # type: ignore[union-attr]
                for v in revision.variants
            )
            apps.append(
                AppDecision(
                    app=app, verdict=AppVerdict.ASSIGNED, revision=revision.revision, variants=variants,
                    clusters=tuple(clusters),
                )
            )  # fmt: skip
        generations = tuple(AssignedGeneration(cluster=c, generation=self.generations[c]) for c in clusters)
        return await self.decide(commit, apps, generations, command_id)

    async def hold(
        self, commit: Commit, revision: RevisionRendered, lost: Sequence[str], before: int
    ) -> RolloutDecided:
        """Rollout holds a revision because of what it would delete."""
        clusters = tuple(sorted(c for v in revision.variants for c in v.clusters))
        app = AppDecision(
            app=revision.app, verdict=AppVerdict.HELD, revision=revision.revision, clusters=clusters,
            reasons=(HeldReason(code="KNR3101", message=f"{len(lost)} of {before} objects would be deleted"),),
            losses=(Loss(clusters=clusters, object_ids=tuple(lost), objects_before=before),),
            evidence=digest(f"{revision.revision} {lost}"),
        )  # fmt: skip
        return await self.decide(commit, [app])

    async def decide(
        self,
        commit: Commit,
        apps: Sequence[AppDecision],
        generations: tuple[AssignedGeneration, ...] = (),
        command_id: str = "",
        **more: Any,
    ) -> RolloutDecided:
        """Any decision."""
        self.decisions += 1
        message = RolloutDecided(
            number=self.decisions, epoch=self.epoch, commit=commit, fleet_commit=commit, apps=tuple(apps),
            assignments=generations, decided_at_ms=time.time_ns() // 1_000_000, command_id=command_id,
            clusters=tuple(sorted(self.clusters)), **more,
        )  # fmt: skip
        await self.broker.publish(subjects.decision_subject(commit.source), message)
        return message

    async def handle(self, command_id: str, failure: Failure | None = None) -> None:
        """Rollout answers a command."""
        answer = CommandHandled(
            command_id=command_id, accepted=failure is None, failure=failure, handled_at_ms=time.time_ns() // 1_000_000
        )
        await self.broker.publish(subjects.handled_subject(command_id), answer)

    async def beat(self, cluster: str, **more: object) -> None:
        """A cluster's report."""
        values: dict[str, object] = {
            "cluster": cluster, "epoch": self.epoch, "cluster_uid": f"uid-{cluster}", "agent_version": "0.1.0",
            "kubernetes_version": "v1.36.3", "start_number": 1, "generation_seen": self.generations.get(cluster, 0),
            "generation_applied": self.generations.get(cluster, 0), "capabilities": ("apps/v1/Deployment",),
            "reported_at_ms": time.time_ns() // 1_000_000,
        }  # fmt: skip
        report = ClusterReport(**{**values, **more})  # type: ignore[arg-type]
        await self.broker.publish(subjects.report_cluster_subject(cluster), report)

    async def report(self, cluster: str, app: str, state: AppState, **more: object) -> None:
        """A cluster's report on an app, by default on what it was assigned."""
        held, generation = self.assigned.get((cluster, app), (b"", 0))
        values: dict[str, object] = {
            "cluster": cluster, "app": app, "state": state, "digest": held, "generation": generation,
            "epoch": self.epoch, "since_ms": time.time_ns() // 1_000_000, "object_count": 15,
        }  # fmt: skip
        report = AppReport(**{**values, **more})  # type: ignore[arg-type]
        await self.broker.publish(subjects.report_app_subject(cluster, app), report)


def twelve_clusters() -> dict[str, dict[str, str]]:
    """Three in dev, three in staging, six in prod."""
    names = [("dev", 3), ("staging", 3), ("prod", 6)]
    return {
        f"{env}-{n}": {"env": env, "region": "eu" if n % 2 else "us"}
        for env, count in names
        for n in range(1, count + 1)
    }


@pytest.fixture
def story(broker: Broker) -> Story:
    """Twelve clusters that speak through the test's broker (the fixture `broker` of the integration tests)."""
    return Story(broker=broker, clusters=twelve_clusters())


@pytest.fixture
def clusters() -> dict[str, dict[str, str]]:
    """The fleet of most tests."""
    return twelve_clusters()
