"""One reference to a chart becomes one pinned chart, or a failure with its number. Called by charts.

A pin stays as long as it satisfies its reference; the repository is asked again only for its bytes, and only when they
are not kept. A reference that fails waits longer every time, so that a repository that hangs holds up little.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from knarr.fetcher.beside import beside_the_loop
from knarr.fetcher.core.chart_archive import ArchiveLimits, unpack_chart
from knarr.fetcher.core.chart_index import Offer
from knarr.fetcher.core.chart_references import exact, highest, is_oci, is_sha256
from knarr.fetcher.counters import CHART_FAILURES
from knarr.fetcher.ports import Archives, Charts
from knarr.pipeline.chart_lock import ChartLock, ChartReference, LockedChart
from knarr.pipeline.errors import KnarrError, bug, rejected, retryable
from knarr.pipeline.versions import range_of, satisfies, version_of

LOG = structlog.get_logger("knarr.fetcher")
_FIRST_SECONDS = 10.0
_MOST_SECONDS = 40.0
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 300.0
_MOST_REMEMBERED = 4096


class Patience:
    """How long to wait for a reference, and when to ask again. `now` gives seconds that only go forward."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._troubles: dict[ChartReference, tuple[int, float]] = {}

    def is_over(self, reference: ChartReference) -> bool:
        """Whether the reference may be asked for now."""
        return self._now() >= self._troubles.get(reference, (0, 0.0))[1]

    def seconds(self, reference: ChartReference) -> float:
        """How long the answer may take: short at first, since a commit waits for it."""
        return min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** self._troubles.get(reference, (0, 0.0))[0])

    def failed(self, reference: ChartReference) -> None:
        """It is asked for again after a pause, twice as long as the one before."""
        times = self._troubles.get(reference, (0, 0.0))[0]
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(times, 16))
        if len(self._troubles) >= _MOST_REMEMBERED:
            self._troubles.clear()
        self._troubles[reference] = (times + 1, self._now() + pause * random.uniform(0.7, 1.0))  # noqa: S311 - jitter

    def succeeded(self, reference: ChartReference) -> None:
        """Nothing is held against it any more."""
        self._troubles.pop(reference, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartParts:
    """What pinning works with."""

    charts: Charts
    archives: Archives
    patience: Patience
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)


async def locked(reference: ChartReference, before: ChartLock, parts: ChartParts, *, at_hand: bool) -> LockedChart:
    """What the reference is pinned to; `at_hand`: its archive is kept afterwards. Never raises a KnarrError."""
    kept, said = _kept(reference, before), before.chart(reference)
    if kept is not None and not at_hand:
        return replace(kept, reference=reference)
    if said is not None and said.code and not parts.patience.is_over(reference):
        return said
    try:
        async with asyncio.timeout(parts.patience.seconds(reference)):
            found = await _resolved(reference, kept, parts)
    except TimeoutError:
        error: KnarrError = retryable("KNR1050", f"chart {reference.name[:80]!r}: no answer in time")
    except KnarrError as raised:
        error = raised
    except Exception:
        LOG.exception("chart failed", chart=reference.name[:80])
        error = bug("KNR1058", f"chart {reference.name[:80]!r} failed unexpectedly")
    else:
        parts.patience.succeeded(reference)
        return found
    parts.patience.failed(reference)
    CHART_FAILURES.labels(code=error.code).inc()
    failure = failed(reference, error, kept)
    if failure != said:  # told when it is news
        LOG.warning("chart not resolved", chart=reference.name[:80], code=error.code, error=error.message)
    return failure


def failed(reference: ChartReference, error: KnarrError, kept: LockedChart | None = None) -> LockedChart:
    """The failure; a pin is not forgotten over it."""
    version, digest = (kept.version, kept.digest) if kept else ("", "")
    return LockedChart(
        reference=reference, version=version, digest=digest, code=error.code, message=error.message[:500]
    )


def _kept(reference: ChartReference, before: ChartLock) -> LockedChart | None:
    """The pin that still satisfies the reference: its own, else one of the same chart under another range."""
    same = [
        c
        for c in before.charts
        if (c.reference.repository, c.reference.name) == (reference.repository, reference.name)
        and is_sha256(c.digest)
        and (c.version == reference.locked if reference.locked else satisfies(c.version, reference.version))
    ]
    own = next((c for c in same if c.reference == reference), None)
    found = own or max(same, key=lambda c: (c.version, c.digest), default=None)
    return replace(found, code="", message="") if found else None


async def _resolved(reference: ChartReference, kept: LockedChart | None, parts: ChartParts) -> LockedChart:
    if kept is not None and await parts.archives.load(kept.digest) is not None:
        return replace(kept, reference=reference)
    _check_lock(reference)
    wanted = kept.version if kept else reference.locked
    version = wanted or (exact(reference.version) if is_oci(reference) else "")
    offers = (Offer(version=version),) if version and is_oci(reference) else await parts.charts.offers(reference)
    chosen = wanted or highest((o.version for o in offers), reference.version)
    offer = next((o for o in offers if o.version == chosen), None)
    if offer is None:
        raise rejected("KNR1052", f"the repository has no version {chosen[:60]} of {reference.name[:80]}")
    at_hand = await parts.archives.load(offer.digest) if is_sha256(offer.digest) else None
    archive = at_hand if at_hand is not None else await parts.charts.archive(reference, offer)
    digest = hashlib.sha256(archive).hexdigest()
    if kept is not None and digest != kept.digest:
        raise rejected("KNR1054", f"{reference.name[:80]} {chosen} has another sha256 than when it was pinned")
    # Refused now rather than when it is stored.
    await beside_the_loop(unpack_chart, archive, reference.name, parts.limits)
    await parts.archives.keep(archive)
    return LockedChart(reference=reference, version=chosen, digest=digest)


def _check_lock(reference: ChartReference) -> None:
    """A range that is none of ours does not speak against a Chart.lock that helm itself wrote."""
    wanted = reference.version
    if not reference.locked or satisfies(reference.locked, wanted):
        return
    if version_of(reference.locked) is None:
        raise rejected("KNR1059", f"{reference.name[:80]}: Chart.lock names no version of it")
    if range_of(wanted) is not None:
        message = f"Chart.lock names {reference.locked[:60]!r}, but Chart.yaml wants {wanted[:60]!r}"
        raise rejected("KNR1059", f"{reference.name[:80]}: {message}")
