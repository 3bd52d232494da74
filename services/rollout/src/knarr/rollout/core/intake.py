"""What a rendered commit means for the targets and the members. Concludes nothing from what could not be read (I1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from knarr.pipeline.names import FLEET_SOURCE
from knarr.pipeline.revision import AppOutcome, CommitRendered, RenderedApp, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.state import FleetState, Member, Progress, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Targets and members that the commit changes, and the apps that are worth a decision because of it."""

    targets: Mapping[str, Target]
    members: Mapping[str, Member]
    apps: frozenset[str]
    failing: Mapping[str, frozenset[str]]
    progress: Mapping[str, Progress]
    detached: tuple[str, ...] = ()


def order_of(revision: RevisionRendered) -> tuple[int, int, int]:
    """(fleet commit, source commit, facts): a revision never gives way to one that is older in all."""
    fleet = revision.fleet_commit.number if revision.fleet_commit else 0
    source = revision.commit.number if revision.commit else 0
    return fleet, source, revision.facts_number


def take_in(state: FleetState, rendered: CommitRendered, revisions: Mapping[str, RevisionRendered]) -> Intake:
    """What `rendered` changes. `revisions`: app → the revision that the commit names, where it was found.

    Commits of two sources may arrive out of order: what one says of the fleet (its clusters, absent apps) is taken only
    when nothing newer has said it before. A revision brings its own order.
    """
    news = _progress_after(state, rendered)
    targets: dict[str, Target] = {}
    for app in rendered.apps:
        if app.outcome is AppOutcome.GONE and not _is_news(news, rendered.commit):
            continue
        updated = _target_after(state.targets.get(app.app), app, revisions.get(app.app))
        if updated is not None and updated != state.targets.get(app.app):
            targets[app.app] = updated
    if _is_news(news, rendered.commit):
        targets |= _vanished(state, rendered)
    members = _members_after(state, rendered) if _is_news(news, rendered.fleet_commit) else {}
    joined = any(m.in_fleet and not _was_in_fleet(state, name) for name, m in members.items())
    detached = tuple(sorted(n for n, m in members.items() if not m.in_fleet and _was_in_fleet(state, n)))
    apps = set(targets) | {name for name, t in state.targets.items() if t.held and _concerns(rendered, name)}
    if joined:
        apps |= set(state.targets)
    failing = _failing_after(state, rendered)
    return Intake(
        targets=targets, members=members, apps=frozenset(apps), failing=failing, progress=news, detached=detached
    )


def _progress_after(state: FleetState, rendered: CommitRendered) -> dict[str, Progress]:
    """Source → the newest (commit, facts) seen, for the sources of which this commit is not older news."""
    found: dict[str, Progress] = {}
    for commit in (rendered.fleet_commit, rendered.commit):
        if commit is not None and (commit.number, rendered.facts_number) >= state.progress.get(commit.source, (0, 0)):
            found[commit.source] = (commit.number, rendered.facts_number)
    return found


def _is_news(news: Mapping[str, Progress], commit: Commit | None) -> bool:
    return commit is None or commit.source in news


def _target_after(now: Target | None, app: RenderedApp, revision: RevisionRendered | None) -> Target | None:
    match app.outcome:
        case AppOutcome.REVISION | AppOutcome.UNCHANGED:
            if revision is None:
                return now
            if now is not None and _older(revision, now.revision):
                return now
            if now is None:
                return Target(source=app.source, revision=revision)
            return replace(now, source=app.source, revision=revision, gone=False)
        case AppOutcome.GONE:
            return replace(now, gone=True) if now else None
    return now


def _failing_after(state: FleetState, rendered: CommitRendered) -> dict[str, frozenset[str]]:
    """Failing apps → clusters in which deletions wait. An app that this commit says nothing of fails on.

    An app can have a revision and fail for some of its clusters, in one commit.
    """
    spoken_of = {app.app for app in rendered.apps}
    after = {app: clusters for app, clusters in state.failing.items() if app not in spoken_of}
    after |= {a.app: frozenset(a.clusters) for a in rendered.apps if fails(a)}
    return after


def fails(app: RenderedApp) -> bool:
    """Whether the app failed, wholly or for the clusters that it names."""
    return app.outcome is AppOutcome.FAILED or bool(app.failure_code and app.clusters)


def _older(candidate: RevisionRendered, present: RevisionRendered) -> bool:
    new, old = order_of(candidate), order_of(present)
    same_source = (candidate.commit and candidate.commit.source) == (present.commit and present.commit.source)
    if not same_source:
        return new[0] < old[0]
    return new != old and all(n <= o for n, o in zip(new, old, strict=True))


def _vanished(state: FleetState, rendered: CommitRendered) -> dict[str, Target]:
    """Apps of the commit's own source that a completely read commit does not list any more: gone."""
    if rendered.commit is None or not rendered.source_read or not rendered.fleet_read:
        return {}
    listed = {app.app for app in rendered.apps}
    return {
        name: replace(target, gone=True)
        for name, target in state.targets.items()
        if target.source == rendered.commit.source and name not in listed and not target.gone
    }


def _members_after(state: FleetState, rendered: CommitRendered) -> dict[str, Member]:
    if not rendered.fleet_read:
        return {}
    listed = {c.name: c for c in rendered.clusters}
    changed: dict[str, Member] = {}
    for name, cluster in listed.items():
        now = state.members.get(name, Member(name=name))
        after = replace(now, in_fleet=True, labels=dict(cluster.labels))
        if after != state.members.get(name):
            changed[name] = after
    for name, now in state.members.items():
        if now.in_fleet and name not in listed:
            changed[name] = replace(now, in_fleet=False)
    return changed


def _was_in_fleet(state: FleetState, name: str) -> bool:
    member = state.members.get(name)
    return member is not None and member.in_fleet


def _concerns(rendered: CommitRendered, app: str) -> bool:
    source = rendered.commit.source if rendered.commit else ""
    return source == FLEET_SOURCE or any(a.app == app for a in rendered.apps)
