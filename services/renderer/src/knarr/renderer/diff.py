"""`knarr diff`: what a commit would change in the fleet, before anybody deploys it. Pure over two renderings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from knarr.pipeline.digest import short
from knarr.pipeline.names import object_words
from knarr.renderer.core.compare import FleetChange, VariantChange, compare
from knarr.renderer.offline import Result

_MOST_NAMES = 8


def diff(before: Result, after: Result) -> FleetChange:
    """What `after` changes. Where an app fails in `after`, clusters keep its last good bundle: nothing changes."""
    was, becomes = _placed(before), _placed(after)
    for name, failed in after.failures.items():
        kept = was.get(name, {})
        if name in becomes:
            becomes[name] |= {c: d for c, d in kept.items() if c in failed.clusters}
        elif kept:
            becomes[name] = kept
    detached: tuple[str, ...] = ()
    if after.rendered.fleet_read:
        there = {c.name for c in after.rendered.clusters}
        detached = tuple(sorted(c.name for c in before.rendered.clusters if c.name not in there))
        was = {app: {c: d for c, d in placed.items() if c in there} for app, placed in was.items()}
    else:
        becomes = {**was, **becomes}
    return replace(compare(was, becomes, {**before.plain, **after.plain}), detached=detached)


class Kind(Enum):
    """What a line tells, for whoever colours it."""

    HEAD = "head"
    DELETION = "deletion"
    CREATED = "created"
    CHANGED = "changed"
    REMOVED_LINE = "removed"
    ADDED_LINE = "added"
    PLACE = "place"
    CONTEXT = "context"


Line = tuple[Kind, str]
_SIGNS = {"-": Kind.REMOVED_LINE, "+": Kind.ADDED_LINE, "@": Kind.PLACE}


def lines_of(change: FleetChange, *, bodies: bool = True) -> Iterator[Line]:
    """For people: deletions first and loud, one difference per distinct variant."""
    if change.detached:
        gone = _count(len(change.detached), "cluster")
        yield Kind.HEAD, f"{gone} detached, nothing is deleted there: {_names(change.detached)}"
    if not change.variants:
        yield Kind.HEAD, "Nothing changes in any cluster."
        return
    apps = {v.app for v in change.variants}
    total = max(change.clusters_before, change.clusters_after)
    yield Kind.HEAD, f"{len(change.clusters)} of {total} clusters change, in {_count(len(apps), 'app')}."
    if change.deletions:
        yield Kind.DELETION, f"!! {_count(change.deletions, 'object')} WOULD BE DELETED, counted over clusters:"
        yield from _deletions(change)
    for variant in change.variants:
        yield Kind.CONTEXT, ""
        yield from _variant_lines(variant, bodies=bodies)


def _deletions(change: FleetChange) -> Iterator[Line]:
    """Variants of an app that lose the same objects are told together."""
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for variant in change.variants:
        if variant.deleted:
            together.setdefault((variant.app, variant.deleted), []).extend(variant.clusters)
    for (app, deleted), clusters in together.items():
        yield Kind.DELETION, f"!! {app}, in {_count(len(clusters), 'cluster')} ({_names(tuple(sorted(clusters)))}):"
        yield from ((Kind.DELETION, f"!!   - {object_words(identity)}") for identity in deleted)


def _variant_lines(variant: VariantChange, *, bodies: bool) -> Iterator[Line]:
    moves = " -> ".join(short(digest) if digest else "nothing" for digest in (variant.before, variant.after))
    yield Kind.HEAD, f"{variant.app}: {_count(len(variant.clusters), 'cluster')} ({_names(variant.clusters)})"
    counts = ((variant.deleted, "deleted"), (variant.created, "created"), (variant.changed, "changed"))
    told = ", ".join(f"{len(objects)} {word}" for objects, word in counts if objects)
    yield Kind.CONTEXT, f"  {told or 'no object changes'}; bundle {moves}"
    if variant.header:
        yield Kind.CHANGED, "  ~ the app's own policy"
        yield from (_body(line) for line in variant.header)
    for kind, sign, changes in ((Kind.CREATED, "+", variant.created), (Kind.CHANGED, "~", variant.changed)):
        for changed in changes:
            yield kind, f"  {sign} {object_words(changed.object_id)}"
            if bodies:
                yield from (_body(line) for line in changed.lines)


def _body(line: str) -> Line:
    return _SIGNS.get(line[:1], Kind.CONTEXT), f"      {line}"


def _placed(result: Result) -> dict[str, dict[str, bytes]]:
    return {
        name: {c: v.bundle.digest for v in revision.variants if v.bundle for c in v.clusters}
        for name, revision in result.revisions.items()
    }


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
