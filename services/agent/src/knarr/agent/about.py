"""What the cluster is: its Kubernetes version and the kinds that it serves beyond Kubernetes' own.

Looked at again every two minutes, since clusters are upgraded and definitions come and go. What cannot be read, or is
incomplete because an aggregated API does not answer, changes nothing: a capability that seems to be gone would take
objects out of charts (lessons: an error read as empty).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from knarr.agent.ports import ClusterIdentity, Reading
from knarr.pipeline.errors import KnarrError

LOG = structlog.get_logger("knarr.agent")
_SECONDS = 120.0


class About:
    """`run` looks until cancelled and calls `changed` when something is different. `capabilities`: None until known."""

    def __init__(self, cluster: Reading, known: ClusterIdentity, changed: Callable[[], None]) -> None:
        self._cluster, self._changed = cluster, changed
        self.version = known.version
        self.capabilities: tuple[str, ...] | None = None

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            await asyncio.sleep(_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            await self.look()

    async def look(self) -> None:
        """Once."""
        before = (self.version, self.capabilities)
        try:
            capabilities = await self._cluster.capabilities()
            version = (await self._cluster.identity()).version
        except KnarrError as error:
            LOG.info("cluster not looked at", code=error.code, error=error.message)
            return
        self.version = version or self.version
        self.capabilities = capabilities if capabilities is not None else self.capabilities
        if (self.version, self.capabilities) != before:
            self._changed()
