"""What clusters say about themselves, from FACTS."""

from __future__ import annotations

import nats.errors
import nats.js.errors

from knarr.messaging.broker import Broker
from knarr.messaging.consume import Received, newest_of_all
from knarr.messaging.streams import FACTS
from knarr.pipeline.errors import retryable
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.ports import FactsRead


class NatsFacts:
    """`Facts` on JetStream; only what the stream has got since the last look is read."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._read = FactsRead()
        self._known: dict[str, ClusterFacts] = {}
        self._state: tuple[str, int] = ("", 0)

    async def newest(self) -> FactsRead:
        """All that is known now."""
        try:
            info = await self._broker.jetstream().stream_info(FACTS)
            state = (str(info.created), info.state.last_seq)
            if state != self._state:
                await self._catch_up(*state, info.state.messages)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise retryable("KNR7011", f"facts cannot be read: {type(error).__name__}") from error
        return self._read

    async def _catch_up(self, created: str, last: int, count: int) -> None:
        after = self._state[1] if created == self._state[0] else 0
        known = dict(self._known) if after else {}
        known.update({r.subject: r.value for r in await self._stored(after)})
        if after and len(known) != count:  # a cluster was forgotten, or one of them cannot be read
            known = {r.subject: r.value for r in await self._stored(0)}
        self._known, self._state = known, (created, last)
        self._read = FactsRead(facts=tuple(sorted(known.values(), key=lambda f: f.cluster)), number=last)

    async def _stored(self, after: int) -> list[Received]:
        return await newest_of_all(self._broker, FACTS, "facts.*", ClusterFacts, after=after)
