"""The JetStream streams (design section 11) and how they are made."""

from __future__ import annotations

from dataclasses import dataclass

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RePublish, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

COMMITS = "COMMITS"
SOURCES = "SOURCES"
SNAPSHOTS = "SNAPSHOTS"
FACTS = "FACTS"
REVISIONS = "REVISIONS"
DECISIONS = "DECISIONS"
EVENTS = "EVENTS"
COMMANDS = "COMMANDS"
ASSIGNMENTS = "ASSIGNMENTS"
BLOBS = "BLOBS"
REPORTS = "REPORTS"
DEAD_LETTERS = "DEAD_LETTERS"

_DAY = 86_400.0
_MB = 1_000_000  # what others than our own services may store at once
# A report with its headers. Agents cut theirs to fit (libs/pipeline, report_fit.py); unfolded it is twice that at most.
REPORT_BYTES = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream. `newest` keeps one message per subject; `write_once` refuses a second one."""

    name: str
    subjects: tuple[str, ...]
    newest: bool = False
    write_once: bool = False
    work_queue: bool = False
    max_age_seconds: float = 0.0
    max_messages: int = -1
    max_message_bytes: int = -1
    republish_from: str = ""
    republish_to: str = ""

    def config(self, replicas: int) -> StreamConfig:
        """As JetStream wants it."""
        return StreamConfig(
            name=self.name,
            subjects=list(self.subjects),
            retention=RetentionPolicy.WORK_QUEUE if self.work_queue else RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW if self.write_once else DiscardPolicy.OLD,
            discard_new_per_subject=self.write_once,
            max_msgs_per_subject=1 if self.newest or self.write_once else -1,
            max_msgs=self.max_messages,
            max_age=self.max_age_seconds,
            max_msg_size=self.max_message_bytes,
            max_consumers=64,
            storage=StorageType.FILE,
            num_replicas=replicas,
            allow_direct=not self.work_queue,
            republish=RePublish(src=self.republish_from, dest=self.republish_to) if self.republish_to else None,
            duplicate_window=0 if self.newest or self.write_once else 120,
        )


STREAMS: tuple[Stream, ...] = (
    Stream(name=COMMITS, subjects=("commit.>",), newest=True),
    Stream(name=SOURCES, subjects=("source.*",), newest=True),
    Stream(name=SNAPSHOTS, subjects=("snapshot.>",), write_once=True),
    Stream(name=FACTS, subjects=("facts.*",), newest=True),
    Stream(name=REVISIONS, subjects=("revision.>", "rendered.*"), newest=True),
    Stream(name=DECISIONS, subjects=("decision.*", "handled.*"), max_age_seconds=30 * _DAY, max_messages=1_000_000),
    Stream(name=EVENTS, subjects=("event.>",), max_age_seconds=7 * _DAY, max_messages=1_000_000),
    Stream(name=COMMANDS, subjects=("command.*",), work_queue=True, max_age_seconds=_DAY, max_message_bytes=_MB),
    Stream(
        name=ASSIGNMENTS, subjects=("assignment.*",), newest=True, republish_from="assignment.>", republish_to="hint.>"
    ),
    Stream(name=BLOBS, subjects=("blob.>",), write_once=True),
    Stream(
        name=REPORTS,
        # Only what somebody reads: on any other subject a cluster could store for ever.
        subjects=("report.*.cluster", "report.*.app.*", "report.*.plan"),
        newest=True,
        max_message_bytes=REPORT_BYTES,
    ),
    Stream(name=DEAD_LETTERS, subjects=("dead.*",), max_age_seconds=30 * _DAY, max_messages=100_000),
)


async def ensure_streams(js: JetStreamContext, *, replicas: int = 1, streams: tuple[Stream, ...] = STREAMS) -> None:
    """Creates what is missing. Safe to call from every service at once."""
    for stream in streams:
        try:
            found = (await js.stream_info(stream.name)).config
        except NotFoundError:
            await js.add_stream(stream.config(replicas))
            continue
        bounds = (list(stream.subjects), stream.max_message_bytes)
        if (found.subjects, found.max_msg_size or -1) != bounds:  # made by an older version
            found.subjects, found.max_msg_size = bounds
            await js.update_stream(found)
