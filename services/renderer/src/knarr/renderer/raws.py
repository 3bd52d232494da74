"""One run of a renderer per distinct input: from memory, from the cache, or by the tool.

Called by app.py. Two apps or two commits that ask for the same run at once share it. An app that ran out of time starts
with less the next time (core/fair.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from knarr.messaging.tracing import TRACER
from knarr.pipeline.errors import Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.renderer.core.failures import failure
from knarr.renderer.core.fair import Allowance, Standing
from knarr.renderer.core.given import given_to
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.masking import Mask
from knarr.renderer.core.origins import traced
from knarr.renderer.core.raw import Raw, from_bytes, raw_of, to_bytes
from knarr.renderer.core.spec import Spec
from knarr.renderer.core.tree import Contents
from knarr.renderer.counters import CACHE_HITS, RUN_SECONDS, RUNS, tally
from knarr.renderer.memory import Remembered
from knarr.renderer.ports import Cache, Tool, ToolJob

_THREAD_FROM_BYTES = 65_536  # below, parsing is quicker than changing threads
_OUT_OF_TIME = "KNR2402"
Owner = tuple[str, str]  # the source, and the folder of the app in it


class Raws:
    """Renderings by key. `renders` and `hits` count since the start."""

    def __init__(
        self,
        tools: Mapping[str, Tool],
        cache: Cache,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tools, self._cache, self._limits, self._clock = tools, cache, limits, clock
        self._allowance = Allowance(seconds=limits.seconds)
        self._standings: Remembered[Owner, Standing] = Remembered(65_536)
        self._timed_out: Remembered[bytes, tuple[float, Raw]] = Remembered(4096)
        self._remembered: Remembered[bytes, Raw] = Remembered(4096)
        self._running: dict[bytes, asyncio.Future[Raw]] = {}
        self.renders = 0
        self.hits = 0

    def key(self, spec: Spec) -> bytes:
        """The cache key of the run."""
        tool = self._tools.get(spec.renderer)
        return spec.key(tool.version if tool else "")

    async def raw(self, spec: Spec, contents: Contents, owner: Owner = ("", "")) -> Raw:
        """The objects of `spec`; what the input did wrong is in `failures`. Raises Retryable only."""
        key = self.key(spec)
        seconds = self._allowance.of(self._standings.get(owner) or Standing(), self._clock())
        known = self._remembered.get(key) or self._out_of_time(key, seconds) or self._cached(key)
        if known is not None:
            self._hit()
            return known
        running = self._running.get(key)
        if running is not None:
            self._hit()
            return await asyncio.shield(running)
        return await self._run(key, spec, contents, owner, seconds)

    async def _run(self, key: bytes, spec: Spec, contents: Contents, owner: Owner, seconds: float) -> Raw:
        self._running[key] = asyncio.get_running_loop().create_future()
        try:
            self.renders += 1
            tally().renders += 1
            RUNS.labels(renderer=spec.renderer).inc()
            timer = RUN_SECONDS.labels(renderer=spec.renderer).time()
            with timer, TRACER.start_as_current_span("renderer run") as span:
                span.set_attribute("knarr.renderer", spec.renderer)
                raw = await self._rendered(spec, contents, owner[0], seconds)
        except BaseException as error:
            future = self._running.pop(key)
            future.set_exception(error)
            future.exception()  # nobody may be waiting
            raise
        self._running.pop(key).set_result(raw)
        if any(f.code == _OUT_OF_TIME for f in raw.failures):
            before = self._standings.get(owner) or Standing()
            self._standings.put(owner, self._allowance.after_running_out(before, self._clock()))
            self._timed_out.put(key, (seconds, raw))
            return raw
        self._remembered.put(key, raw)
        if not raw.failures:
            self._standings.put(owner, Standing())
            self._cache.put(key, to_bytes(raw))
        return raw

    def _out_of_time(self, key: bytes, seconds: float) -> Raw | None:
        """The failure of a run that had as much time as it would get now: the same input would only take it again."""
        known = self._timed_out.get(key)
        return known[1] if known is not None and seconds <= known[0] else None

    async def _rendered(self, spec: Spec, contents: Contents, source: str, seconds: float) -> Raw:
        tool = self._tools.get(spec.renderer)
        if spec.renderer == "plain":
            pieces = tuple((f.path, contents.read(f.content_id)) for f in spec.files)
        elif tool is None:
            return Raw(failures=(_missing(spec),))
        else:
            job = ToolJob(
                renderer=spec.renderer,
                folder=spec.folder,
                files=spec.files,
                contents=contents,
                options=spec.options,
                source=source,
                seconds=seconds,
                words=lambda said: Mask(given_to(spec, contents, self._limits))(said),
            )
            try:
                pieces = await tool.run(job)
            except Rejected as error:
                return Raw(failures=(failure_of(error),))
        if sum(len(data) for _, data in pieces) < _THREAD_FROM_BYTES:
            raw = raw_of(pieces, self._limits)
        else:
            raw = await asyncio.to_thread(raw_of, pieces, self._limits)
        if spec.renderer == "plain":
            return raw
        return traced(self._masked(raw, spec, contents), spec, contents, self._limits)

    def _masked(self, raw: Raw, spec: Spec, contents: Contents) -> Raw:
        """What is wrong with the output may quote it."""
        if not raw.failures:
            return raw
        mask = Mask(given_to(spec, contents, self._limits))
        return replace(raw, failures=tuple(replace(f, message=mask(f.message)) for f in raw.failures))

    def _hit(self) -> None:
        self.hits += 1
        tally().hits += 1
        CACHE_HITS.inc()

    def _cached(self, key: bytes) -> Raw | None:
        data = self._cache.get(key)
        if data is None:
            return None
        try:
            return self._remembered.put(key, from_bytes(data))
        except ValueError:
            return None  # cut short by a full disk: made again


def _missing(spec: Spec) -> Failure:
    return failure("KNR2405", f"the renderer {spec.renderer!r} is not available here", origin=spec.folder)
