"""The parts list of the status service: `python -m knarr.status.main`."""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from knarr.messaging import streams
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.consume import Received, Subscription, consume_batches
from knarr.pipeline.decision import CommandHandled, DeadLetter, RolloutDecided
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import CommitRendered, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import CommitObserved, SnapshotStored, SourceReported
from knarr.service.health import serve
from knarr.service.process import run_service
from knarr.service.waiting import all_of
from knarr.status.adapters.hearing import Hearing
from knarr.status.adapters.http.api import Api
from knarr.status.adapters.http.application import application
from knarr.status.adapters.nats import BrokerTeller, message_of_stream
from knarr.status.adapters.postgres.database import Database, open_database
from knarr.status.adapters.postgres.intent import PostgresIntent
from knarr.status.adapters.postgres.outbox import PostgresCommands, PostgresOutbox
from knarr.status.adapters.postgres.reading import PostgresChanges, PostgresReadModel
from knarr.status.adapters.postgres.reports import PostgresReports
from knarr.status.adapters.postgres.strangers import PostgresStrangers
from knarr.status.answer import Answers
from knarr.status.broadcast import Broadcast
from knarr.status.enrol import Housekeeping, Telling
from knarr.status.operate import Operate
from knarr.status.record import RecordIntent, RecordLetters, RecordReports
from knarr.status.settings import Settings, read_settings
from knarr.status.strangers import Record, Strangers

LOG = structlog.get_logger("knarr.status")
_DURABLE = "status"
_DEAF_SECONDS = 20.0


def subscriptions() -> tuple[Subscription, ...]:
    """REPORTS first; the others carry what should run."""
    return (
        _subscription(streams.REPORTS, ("report.*.cluster", "report.*.app.*"), (ClusterReport, AppReport), 256),
        _subscription(
            streams.REVISIONS, ("revision.>", "rendered.*"), (RevisionRendered, RenderFailed, CommitRendered)
        ),
        _subscription(streams.DECISIONS, ("decision.*", "handled.*"), (RolloutDecided, CommandHandled)),
        _subscription(streams.COMMITS, ("commit.>",), (SnapshotStored, CommitObserved)),
        _subscription(streams.SOURCES, ("source.*",), (SourceReported,)),
        _subscription(streams.DEAD_LETTERS, ("dead.*",), (DeadLetter,)),
    )


def _subscription(stream: str, filters: tuple[str, ...], kinds: tuple[type, ...], batch: int = 64) -> Subscription:
    return Subscription(
        stream=stream,
        durable=_DURABLE,
        filters=filters,
        kinds=kinds,
        service="status",
        stage=f"status record {stream}",
        batch=batch,
        positions=True,
    )


class Status:
    """The service with its parts; `run` serves until cancelled."""

    def __init__(self, settings: Settings, broker: Broker, database: Database) -> None:
        self._settings = settings
        self._broker = broker
        self._database = database
        self._hearing = Hearing()
        read, reports = PostgresReadModel(database), PostgresReports(database)
        intents, commands = PostgresIntent(database), PostgresCommands(database)
        teller = BrokerTeller(broker, settings.report_readers)
        answers = Answers(read, settings.stage_label)
        self._operate = Operate(read, commands, teller, teller, settings.command_seconds)
        self._api = Api(answers, self._operate, settings.api_token, self._hearing.deaf_seconds)
        self._broadcast = Broadcast(answers, PostgresChanges(settings.database_dsn), self._hearing.deaf_seconds)
        self._telling = Telling(PostgresOutbox(database), teller, settings.facts_seconds)
        self._housekeeping = Housekeeping(reports, teller, settings.patience, settings.retention_days)
        self._record_reports = RecordReports(reports, settings.patience, self._telling.look)
        strangers = PostgresStrangers(database)
        self._strangers = Strangers(strangers, teller, self._record_reports, settings.unknown_seconds)
        self._record_intent = RecordIntent(intents, intents, commands, self._intent_recorded)
        self._record_letters = RecordLetters(strangers, self._telling.look)

    def application(self) -> web.Application:
        """What is served."""
        return application(self._api, self._broadcast, self._settings.hosts, {"broker": self._broker_check})

    async def run(self) -> None:
        """Until cancelled."""
        records: dict[str, Record] = {
            streams.REPORTS: self._record_reports,
            streams.DEAD_LETTERS: self._record_letters,
        }
        consumers = [self._consume(what, records.get(what.stream, self._record_intent)) for what in subscriptions()]
        await all_of(
            (
                *consumers,
                self._telling.run(),
                self._housekeeping.run(self._settings.housekeeping_seconds),
                self._strangers.run(self._settings.housekeeping_seconds),
                self._broadcast.run(),
            )
        )

    async def _consume(self, what: Subscription, record: Record) -> None:
        async def handle(batch: list[Received]) -> None:
            await record([message_of_stream(found) for found in batch])

        self._hearing.expect(what.stream)
        await consume_batches(self._broker, what, handle, self._hearing)

    def _intent_recorded(self) -> None:
        self._telling.look()
        self._strangers.look()

    def _broker_check(self) -> str:
        if not self._broker.connected:
            return "not connected"
        deaf = self._hearing.deaf_seconds()
        return f"a stream was not read for {deaf:.0f} s" if deaf > _DEAF_SECONDS else ""


async def run(settings: Settings) -> None:
    """Starts the parts in order and serves until cancelled."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database_dsn))
        broker = await stack.enter_async_context(
            Broker(
                BrokerSettings(
                    urls=settings.nats_urls,
                    name="knarr-status",
                    nkey_seed=settings.nkey_seed,
                    inbox_prefix="_INBOX_status",
                )
            )
        )
        status = Status(settings, broker, database)
        port = await stack.enter_async_context(serve(status.application(), settings.listen))
        LOG.info("status is served", address=f"http://{settings.listen.rpartition(':')[0]}:{port}/")
        await status.run()


def main() -> int:
    """Exit code."""

    async def start() -> None:
        await run(read_settings(os.environ))

    return run_service("status", start)


if __name__ == "__main__":
    sys.exit(main())
