"""`knarr diff`: what a commit would change in the fleet, before anybody deploys it. Pure over two renderings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from knarr.pipeline.digest import short
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


def as_text(change: FleetChange, *, bodies: bool = True) -> str:
    """For people: deletions first and loud, one difference per distinct variant."""
    return "".join(f"{line}\n" for line in _lines(change, bodies=bodies))


def _lines(change: FleetChange, *, bodies: bool) -> Iterator[str]:
    if change.detached:
        yield f"{_count(len(change.detached), 'cluster')} detached, nothing is deleted there: {_names(change.detached)}"
    if not change.variants:
        yield "Nothing changes in any cluster."
        return
    apps = {v.app for v in change.variants}
    total = max(change.clusters_before, change.clusters_after)
    yield f"{len(change.clusters)} of {total} clusters change, in {_count(len(apps), 'app')}."
    if change.deletions:
        yield f"!! {_count(change.deletions, 'object')} WOULD BE DELETED, counted over clusters:"
        for variant in (v for v in change.variants if v.deleted):
            yield f"!! {variant.app}, in {_count(len(variant.clusters), 'cluster')} ({_names(variant.clusters)}):"
            yield from (f"!!   - {identity}" for identity in variant.deleted)
    for variant in change.variants:
        yield ""
        yield from _variant_lines(variant, bodies=bodies)


def _variant_lines(variant: VariantChange, *, bodies: bool) -> Iterator[str]:
    moves = " -> ".join(short(digest) if digest else "nothing" for digest in (variant.before, variant.after))
    yield f"{variant.app}: {_count(len(variant.clusters), 'cluster')} ({_names(variant.clusters)})  {moves}"
    counts = f"{len(variant.deleted)} deleted, {len(variant.created)} created, {len(variant.changed)} changed"
    yield f"  {counts}"
    if variant.header:
        yield "  ~ the app's own policy"
        yield from (f"      {line}" for line in variant.header)
    for sign, changes in (("+", variant.created), ("~", variant.changed)):
        for changed in changes:
            yield f"  {sign} {changed.object_id}"
            if bodies:
                yield from (f"      {line}" for line in changed.lines)


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
