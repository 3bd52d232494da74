"""What the renderer says, in REVISIONS: stored with compare-and-set, so that an older result replaces no newer one.

The view of what is stored follows the stream: only messages since the last look are read.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from knarr.messaging.broker import Broker, Outdated
from knarr.messaging.consume import Subscription, received
from knarr.messaging.streams import REVISIONS
from knarr.messaging.subjects import rendered_subject, revision_failed_subject, revision_subject
from knarr.pipeline.errors import KnarrError, retryable
from knarr.pipeline.names import AppName
from knarr.pipeline.revision import CommitRendered, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.renderer.adapters.offline import is_same_source
from knarr.renderer.core.revision import Order, is_older, order_of

_ATTEMPTS = 5
_FILTER = "revision.*"


class NatsRevisions:
    """`Revisions` on JetStream."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._created = ""
        self._seen = 0
        self._newest: dict[AppName, RevisionRendered] = {}

    async def published(self) -> Mapping[AppName, RevisionRendered]:
        """The newest revision of every app, as it is stored now."""
        try:
            info = await self._broker.jetstream().stream_info(REVISIONS)
            if str(info.created) != self._created or info.state.last_seq < self._seen:
                self._created, self._seen, self._newest = str(info.created), 0, {}
            if info.state.last_seq > self._seen:
                await self._catch_up(info.state.last_seq)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            raise retryable("KNR7011", f"revisions cannot be read: {type(error).__name__}") from error
        return dict(self._newest)

    async def publish(self, revision: RevisionRendered) -> bool:
        """Stores it; False when a newer one is there."""
        subject = revision_subject(revision.app)
        for _ in range(_ATTEMPTS):
            stored = await self._broker.newest(REVISIONS, subject, RevisionRendered)
            if stored is not None and _is_superseded(revision, stored.value):
                return False
            try:
                await self._broker.publish(subject, revision, expect_last=stored.sequence if stored else 0)
            except Outdated:
                continue
            self._newest[AppName(revision.app)] = revision
            return True
        raise retryable("KNR2603", f"the revision of {revision.app} changed {_ATTEMPTS} times meanwhile")

    async def publish_failure(self, failed: RenderFailed) -> None:
        """Stores it, unless a newer one is there."""
        subject = revision_failed_subject(failed.app)
        stored = await self._broker.newest(REVISIONS, subject, RenderFailed)
        if stored is not None:
            same = (stored.value.commit or Commit()).source == (failed.commit or Commit()).source
            if same and (stored.value == failed or is_older(_order(failed), _order(stored.value))):
                return
        try:
            await self._broker.publish(subject, failed, expect_last=stored.sequence if stored else 0)
        except Outdated as error:
            raise retryable("KNR2603", f"another failure of {failed.app} was published meanwhile") from error

    async def close(self, rendered: CommitRendered) -> None:
        """Says that the commit is done, unless a newer one is."""
        source = rendered.commit.source if rendered.commit else ""
        subject = rendered_subject(source)
        stored = await self._broker.newest(REVISIONS, subject, CommitRendered)
        if stored is not None and is_older(_order(rendered), _order(stored.value)):
            return
        try:
            await self._broker.publish(subject, rendered, expect_last=stored.sequence if stored else 0)
        except Outdated as error:
            raise retryable("KNR2603", f"another commit of {source} was closed meanwhile") from error

    async def _catch_up(self, last: int) -> None:
        """Reads what was stored since the last look, up to the stream's sequence `last`."""
        js = self._broker.jetstream()
        info = await js.add_consumer(
            REVISIONS,
            ConsumerConfig(
                name=f"renderer-{random.getrandbits(64):x}",
                filter_subject=_FILTER,
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._seen + 1,
                inactive_threshold=30.0,
                mem_storage=True,
            ),
        )
        what = Subscription(
            stream=REVISIONS, durable=info.name, filters=(_FILTER,), kinds=(RevisionRendered,), service="renderer"
        )
        subscription = await js.pull_subscribe_bind(consumer=info.name, stream=REVISIONS)
        pending = info.num_pending or 0
        try:
            while pending > 0:
                for message in await subscription.fetch(min(500, pending), timeout=5):
                    pending = message.metadata.num_pending
                    self._take(what, message)
        finally:
            await subscription.unsubscribe()
            await js.delete_consumer(REVISIONS, info.name)
        self._seen = last

    def _take(self, what: Subscription, message: Msg) -> None:
        try:
            found = received(what, message)
        except KnarrError:
            return  # garbled: the app counts as not published and is published again
        self._newest[AppName(found.value.app)] = found.value


def _is_superseded(revision: RevisionRendered, stored: RevisionRendered) -> bool:
    return is_same_source(revision, stored) and is_older(order_of(revision), order_of(stored))


def _order(value: RenderFailed | CommitRendered) -> Order:
    commit, fleet = value.commit or Commit(), value.fleet_commit or Commit()
    return (commit.number, fleet.number, value.facts_number)
