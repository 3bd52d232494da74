"""The whole renderer on a laptop: the same core and flow, with folders and memory in place of the broker.

Called by `knarr vet`, `render` and `diff` (cli/) and by tests. Publishes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from knarr.pipeline.names import FLEET_SOURCE, AppName, SourceName
from knarr.pipeline.revision import CommitRendered, RenderFailed, RevisionRendered
from knarr.renderer.adapters.cache import MemoryCache
from knarr.renderer.adapters.helm import Helm
from knarr.renderer.adapters.jsonnet import Jsonnet
from knarr.renderer.adapters.kustomize import Kustomize
from knarr.renderer.adapters.offline import OfflineBundles, OfflineFacts, OfflineRevisions, OfflineSnapshots
from knarr.renderer.adapters.sandbox.box import Sandbox, unconfined_because
from knarr.renderer.app import AppRenderer, Finished
from knarr.renderer.core.limits import Limits
from knarr.renderer.ports import Cache, FactsRead, Snapshot, Tool
from knarr.renderer.raws import Raws
from knarr.renderer.render import Parts, Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Which programs render. `kustomize` are the words before the folder."""

    kustomize: tuple[str, ...] = ("kubectl", "kustomize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a commit makes of a fleet. `plain` holds the bundles' bytes by digest."""

    rendered: CommitRendered
    finished: Mapping[AppName, Finished]
    revisions: Mapping[AppName, RevisionRendered]
    failures: Mapping[AppName, RenderFailed]
    plain: Mapping[bytes, bytes]


class Offline:
    """Renders snapshots; keeps its cache over calls, so that a second commit costs only what it changed."""

    def __init__(self, tools: Mapping[str, Tool], limits: Limits, cache: Cache) -> None:
        self._limits, self._cache = limits, cache
        self.bundles = OfflineBundles()
        self.raws = Raws(tools, cache, limits)
        self.apps = AppRenderer(self.raws, self.bundles, cache, limits)

    async def render(self, snapshots: Mapping[SourceName, Snapshot], facts: FactsRead | None = None) -> Result:
        """Everything that the snapshots make."""
        revisions = OfflineRevisions()
        parts = Parts(
            snapshots=OfflineSnapshots(snapshots),
            facts=OfflineFacts(facts),
            bundles=self.bundles,
            revisions=revisions,
            raws=self.raws,
            apps=self.apps,
            limits=self._limits,
            now_ms=lambda: 0,
        )
        renderer = Renderer(parts)
        rendered = await renderer.render(FLEET_SOURCE)
        return Result(
            rendered=rendered,
            finished=renderer.finished,
            revisions=revisions.revisions,
            failures=revisions.failures,
            plain=self.bundles.plain,
        )


@asynccontextmanager
async def offline(work: Path, tools: Tools | None = None, limits: Limits | None = None) -> AsyncIterator[Offline]:
    """A renderer that works below `work`. Confined where the host can."""
    used, bounds = tools or Tools(), limits or Limits()
    async with Sandbox(work, bounds, confined=not unconfined_because()) as sandbox:
        made: dict[str, Tool] = {
            "kustomize": Kustomize(used.kustomize, sandbox, work, bounds),
            "helm": Helm(sandbox, work),
            "jsonnet": Jsonnet(sandbox, work),
        }
        yield Offline(made, bounds, MemoryCache())
