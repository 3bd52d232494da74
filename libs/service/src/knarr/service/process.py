"""One process: signals, logging, telemetry, and the one place that turns an error into an exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import structlog

from knarr.pipeline.errors import KnarrError, failure_of
from knarr.service.logs import configure_logging
from knarr.service.telemetry import telemetry

LOG = structlog.get_logger("knarr.process")
Main = Callable[[], Awaitable[None]]


def run_service(name: str, main: Main) -> int:
    """Runs `main` until it ends or SIGTERM or SIGINT cancels it. Exit code 0, or 1 with numbered errors on stderr."""
    failed = False
    configure_logging(name, os.environ.get("KNARR_LOG_LEVEL", "info"))
    with telemetry(name, instance=os.environ.get("HOSTNAME", "")):
        try:
            asyncio.run(_until_signalled(name, main))
        except* KnarrError as group:
            for error in _leaves(group):
                failure = failure_of(error)
                print(f"{failure.code} {failure.message}\n  next: {failure.next_step}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


async def _until_signalled(name: str, main: Main) -> None:
    task = asyncio.ensure_future(main())
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    LOG.info("service started", service=name, pid=os.getpid())
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
    LOG.info("service stopped", service=name)


def _leaves(group: BaseExceptionGroup[KnarrError]) -> list[KnarrError]:
    found: list[KnarrError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
