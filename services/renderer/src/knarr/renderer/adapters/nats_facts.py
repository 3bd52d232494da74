"""What clusters say about themselves, from FACTS."""

from __future__ import annotations

import nats.errors
import nats.js.errors

from knarr.messaging.broker import Broker
from knarr.messaging.consume import newest_of_all
from knarr.messaging.streams import FACTS
from knarr.pipeline.errors import retryable
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.ports import FactsRead


class NatsFacts:
    """`Facts` on JetStream; read again only when the stream has moved."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._read = FactsRead()
        self._state: tuple[str, int] = ("", -1)

    async def newest(self) -> FactsRead:
        """All that is known now."""
        try:
            info = await self._broker.jetstream().stream_info(FACTS)
            state = (str(info.created), info.state.last_seq)
            if state != self._state:
                found = await newest_of_all(self._broker, FACTS, "facts.*", ClusterFacts)
                facts = tuple(sorted((r.value for r in found), key=lambda f: f.cluster))
                self._read = FactsRead(facts=facts, number=info.state.last_seq)
                self._state = state
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise retryable("KNR7011", f"facts cannot be read: {type(error).__name__}") from error
        return self._read
