"""What a rendered commit means for targets, members and guards. Concludes nothing from what could not be read (I1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from knarr.pipeline.codec import encode
from knarr.pipeline.digest import digest_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE
from knarr.pipeline.revision import AppOutcome, CommitRendered, RenderedApp, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.changes import Changes
from knarr.rollout.core.guard import GuardSettings, loosened, stricter
from knarr.rollout.core.state import Failing, FleetState, Guards, Member, Progress, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the commit changes, which apps are worth a decision because of it (app → clusters; None: all), the settings
    that judge it, and what of it is worth telling."""

    changes: Changes
    looks: Mapping[str, frozenset[str] | None]
    settings: GuardSettings
    detached: tuple[str, ...] = ()
    notices: tuple[Failure, ...] = ()


def is_decided(state: FleetState, rendered: CommitRendered, identity: bytes) -> bool:
    """Whether just this was decided last for the source: the message came twice."""
    known = state.progress.get(rendered.commit.source) if rendered.commit else None
    return known is not None and known.digest == identity


def identity_of(rendered: CommitRendered) -> bytes:
    """A digest of all that is said, but for what it cost."""
    clusters = "\0".join(f"{c.name} {sorted(c.labels.items())}" for c in rendered.clusters)
    rest = replace(rendered, clusters=(), started_at_ms=0, ended_at_ms=0, renders=0, cache_hits=0, blobs_published=0)
    return digest_of((encode(rest), clusters.encode()))


def order_of(revision: RevisionRendered) -> tuple[int, int, int]:
    """(fleet commit, source commit, facts): a revision never gives way to one that is older in all."""
    fleet = revision.fleet_commit.number if revision.fleet_commit else 0
    source = revision.commit.number if revision.commit else 0
    return fleet, source, revision.facts_number


def take_in(
    state: FleetState, rendered: CommitRendered, revisions: Mapping[str, RevisionRendered], identity: bytes
) -> Intake:
    """What `rendered` changes. `revisions`: app → the revision that the commit names, where it was found.

    Commits of two sources may arrive out of order: what one says of the fleet (its clusters, absent apps) is taken only
    when nothing newer has said it before. A revision brings its own order.
    """
    news = _progress_after(state, rendered, identity)
    targets: dict[str, Target] = {}
    for app in rendered.apps:
        if app.outcome is AppOutcome.GONE and not _is_news(news, rendered.commit):
            continue
        updated = _target_after(state.targets.get(app.app), app, revisions.get(app.app), rendered.commit)
        if updated is not None and updated != state.targets.get(app.app):
            targets[app.app] = updated
    if _is_news(news, rendered.commit):
        targets |= _vanished(state, rendered)
    members = _members_after(state, rendered) if _is_news(news, rendered.fleet_commit) else {}
    detached = tuple(sorted(n for n, m in members.items() if not m.in_fleet and _was_in_fleet(state, n)))
    said = _guards_said(state, rendered, is_news=_is_news(news, rendered.fleet_commit))
    guards = said if _is_of_the_fleet(rendered) else state.guards
    failing = _failing_after(state, rendered) if _is_news(news, rendered.commit) else dict(state.failing)
    indexes = {i.digest: i for r in revisions.values() for i in r.indexes if i.digest not in state.indexes}
    return Intake(
        changes=Changes(
            targets=targets,
            members=members,
            progress=news,
            guards=guards if guards != state.guards else None,
            failing=failing if failing != dict(state.failing) else None,
            grants={app: None for app in targets if app in state.grants},
            revisions=tuple(revisions.values()),
            indexes=indexes,
        ),
        looks=_looks(state, rendered, targets, members),
        settings=_judging(state, rendered, said),
        detached=detached,
        notices=_loosening(state.guards, guards),
    )


def _looks(
    state: FleetState, rendered: CommitRendered, targets: Mapping[str, Target], members: Mapping[str, Member]
) -> dict[str, frozenset[str] | None]:
    """Apps that changed, that are held and concerned, or whose steps wait; all others where a cluster has joined."""
    joined = frozenset(n for n, m in members.items() if m.in_fleet and not _was_in_fleet(state, n))
    looks: dict[str, frozenset[str] | None] = dict.fromkeys(state.targets, joined) if joined else {}
    for name, target in state.targets.items():
        news = bool(targets) or _concerns(rendered, name)
        if target.waiting or name in state.grants or (target.held and news):
            looks[name] = None
    return looks | dict.fromkeys(targets, None)


def _guards_said(state: FleetState, rendered: CommitRendered, *, is_news: bool) -> Guards:
    """The fleet commit's settings; one that has none sets the defaults. An older or an unread one says nothing."""
    if not rendered.fleet_read or not is_news or rendered.fleet_commit is None:
        return state.guards
    settings, now = GuardSettings.of(rendered.guards_json), state.guards
    if settings == now.settings:
        return now
    return Guards(settings=settings, before=now.settings, commit=rendered.fleet_commit.number)


def _judging(state: FleetState, rendered: CommitRendered, said: Guards) -> GuardSettings:
    """The stricter of the settings before and after the commit, also when it is rendered once more."""
    settings = stricter(state.guards.settings, said.settings)
    again = rendered.commit is not None and rendered.commit.number <= state.guards.commit
    if _is_of_the_fleet(rendered) and again:
        settings = stricter(settings, state.guards.before)
    return settings


def _is_of_the_fleet(rendered: CommitRendered) -> bool:
    return rendered.commit is not None and rendered.commit.source == FLEET_SOURCE


def _loosening(before: Guards, after: Guards) -> tuple[Failure, ...]:
    words = loosened(before.settings, after.settings)
    if not words:
        return ()
    message = f"the fleet's guards are less strict from the next commit on: {'; '.join(words)}"
    return (Failure(code="KNR3007", message=message),)


def _progress_after(state: FleetState, rendered: CommitRendered, identity: bytes) -> dict[str, Progress]:
    """Source → the newest (commit, facts) seen, for the sources of which this commit is not older news."""
    found: dict[str, Progress] = {}
    for commit in (rendered.fleet_commit, rendered.commit):
        if commit is None:
            continue
        known = state.progress.get(commit.source, Progress(commit=0, facts=0))
        if (commit.number, rendered.facts_number) >= (known.commit, known.facts):
            after = replace(known, commit=commit.number, facts=rendered.facts_number)
            found[commit.source] = replace(after, digest=identity) if commit is rendered.commit else after
    return found


def _is_news(news: Mapping[str, Progress], commit: Commit | None) -> bool:
    return commit is None or commit.source in news


def _target_after(
    now: Target | None, app: RenderedApp, revision: RevisionRendered | None, commit: Commit | None
) -> Target | None:
    match app.outcome:
        case AppOutcome.REVISION | AppOutcome.UNCHANGED:
            if revision is None:
                return now
            if now is not None and (_older(revision, now.revision) or (now.gone and _is_before(commit, now.gone_in))):
                return now
            if now is None:
                return Target(source=app.source, revision=revision)
            return _renewed(replace(now, source=app.source, revision=revision, gone=False, gone_in=0), now)
        case AppOutcome.GONE:
            return _gone(now, commit) if now and app.source in ("", now.source) else now
    return now


def _is_before(commit: Commit | None, number: int) -> bool:
    return commit is not None and commit.number < number


def _gone(now: Target, commit: Commit | None) -> Target:
    """Gone since the first commit that said so."""
    return now if now.gone else _renewed(replace(now, gone=True, gone_in=commit.number if commit else 0), now)


def _renewed(after: Target, before: Target) -> Target:
    """Another target is judged anew: by the guards and the time of its own commit."""
    return after if after.id == before.id else replace(after, judged_by=None, judged_ms=0)


def _failing_after(state: FleetState, rendered: CommitRendered) -> dict[str, Failing]:
    """What fails after the commit. An app that it says nothing of fails on, unless it is a whole commit of its source.

    An app can have a revision and fail for some of its clusters, in one commit.
    """
    spoken_of = {app.app for app in rendered.apps}
    whole = rendered.commit.source if rendered.commit and rendered.source_read and rendered.fleet_read else None
    after = {a: f for a, f in state.failing.items() if a not in spoken_of and f.source != whole}
    for app in rendered.apps:
        if fails(app):
            source = app.source or (rendered.commit.source if rendered.commit else "")
            after[app.app] = Failing(source=source, clusters=frozenset(app.clusters))
    return after


def fails(app: RenderedApp) -> bool:
    """Whether the app failed, wholly or for the clusters that it names."""
    return app.outcome is AppOutcome.FAILED or bool(app.failure_code and app.clusters)


def _older(candidate: RevisionRendered, present: RevisionRendered) -> bool:
    new, old = order_of(candidate), order_of(present)
    same_source = (candidate.commit and candidate.commit.source) == (present.commit and present.commit.source)
    if not same_source:
        return new[0] < old[0]
    if new[1] != old[1]:
        return new[1] < old[1]  # within a source its commits come first, whatever facts were known
    return new != old and all(n <= o for n, o in zip(new, old, strict=True))


def _vanished(state: FleetState, rendered: CommitRendered) -> dict[str, Target]:
    """Apps of the commit's own source that a completely read commit does not list any more: gone."""
    if rendered.commit is None or not rendered.source_read or not rendered.fleet_read:
        return {}
    listed = {app.app for app in rendered.apps}
    return {
        name: _gone(target, rendered.commit)
        for name, target in state.targets.items()
        if target.source == rendered.commit.source and name not in listed and not target.gone
    }


def _members_after(state: FleetState, rendered: CommitRendered) -> dict[str, Member]:
    if not rendered.fleet_read:
        return {}
    listed = {c.name: c for c in rendered.clusters}
    changed: dict[str, Member] = {}
    for name, cluster in listed.items():
        now = state.members.get(name)
        if now is None or not now.in_fleet or now.labels != cluster.labels:
            changed[name] = replace(now or Member(name=name), in_fleet=True, labels=dict(cluster.labels))
    for name, now in state.members.items():
        if now.in_fleet and name not in listed:
            changed[name] = replace(now, in_fleet=False)
    return changed


def _was_in_fleet(state: FleetState, name: str) -> bool:
    member = state.members.get(name)
    return member is not None and member.in_fleet


def _concerns(rendered: CommitRendered, app: str) -> bool:
    return _is_of_the_fleet(rendered) or any(a.app == app for a in rendered.apps)
