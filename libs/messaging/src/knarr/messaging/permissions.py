"""The two accounts and who may do what in them (design section 11, docs/adr/0002-accounts.md).

CONTROL holds JetStream and the services; AGENTS holds the clusters and imports only what they need. One shared account
is not safe: the server does not check the reply subject of a request, so an agent could purge a stream through it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from knarr.messaging import streams
from knarr.messaging.envelope import MAX_PAYLOAD_BYTES
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import dns_label

_HEADER_BYTES = 64_000
_REPORTS = next(s.subjects for s in streams.STREAMS if s.name == streams.REPORTS)
_READ = ("$JS.API.INFO", "$JS.API.STREAM.INFO.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """One NATS user: a name and the nkey (U…) it proves."""

    name: str
    public_nkey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceGrant:
    """What one service may publish, the streams it reads with its own durable consumer, and the words it hears."""

    publishes: tuple[str, ...]
    consumes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    purges: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()


SERVICE_GRANTS: dict[str, ServiceGrant] = {
    "fetcher": ServiceGrant(
        publishes=("commit.>", "source.*", "snapshot.>"),
        consumes=(streams.COMMITS,),
        reads=(streams.COMMITS, streams.SNAPSHOTS, streams.SOURCES),
        hears=("missing.*",),
    ),
    "renderer": ServiceGrant(
        publishes=("revision.>", "rendered.*", "blob.>", "missing.*"),
        consumes=(streams.COMMITS, streams.FACTS, streams.REVISIONS),
        reads=(streams.COMMITS, streams.FACTS, streams.SNAPSHOTS, streams.REVISIONS, streams.BLOBS, streams.SOURCES),
    ),
    "rollout": ServiceGrant(
        publishes=("assignment.*", "decision.*", "handled.*"),
        consumes=(streams.REVISIONS, streams.REPORTS, streams.COMMANDS, streams.FACTS, streams.ASSIGNMENTS),
        reads=(streams.REVISIONS, streams.REPORTS, streams.FACTS, streams.ASSIGNMENTS, streams.DECISIONS),
    ),
    "status": ServiceGrant(
        publishes=("event.>", "command.*", "facts.*"),
        consumes=(
            streams.REPORTS,
            streams.DECISIONS,
            streams.REVISIONS,
            streams.COMMITS,
            streams.SOURCES,
            streams.FACTS,
            streams.EVENTS,
            streams.DEAD_LETTERS,
        ),
        reads=(
            streams.REPORTS,
            streams.DECISIONS,
            streams.REVISIONS,
            streams.COMMITS,
            streams.SOURCES,
            streams.FACTS,
            streams.EVENTS,
            streams.DEAD_LETTERS,
        ),
        purges=(streams.REPORTS,),
    ),
}


def service_permissions(name: str) -> dict[str, Any]:
    """The permissions block of a service's user."""
    grant = SERVICE_GRANTS[name]
    publish = [*_READ, *grant.publishes, f"dead.{name}"]
    for stream in grant.consumes:
        publish += [
            f"$JS.API.CONSUMER.CREATE.{stream}.>",
            f"$JS.API.CONSUMER.INFO.{stream}.*",
            f"$JS.API.CONSUMER.DELETE.{stream}.*",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
            f"$JS.ACK.{stream}.>",
        ]
    publish += [f"$JS.API.DIRECT.GET.{stream}.>" for stream in grant.reads]
    publish += [f"$JS.API.STREAM.PURGE.{stream}" for stream in grant.purges]
    return {"publish": {"allow": publish}, "subscribe": {"allow": [f"_INBOX_{name}.>", "hint.*", *grant.hears]}}


def agent_permissions(cluster: str) -> dict[str, Any]:
    """The permissions block of one cluster's user. KNR7002 for a name that is no DNS label."""
    name = dns_label(cluster, "cluster")
    return {
        "publish": {
            "allow": [
                *(subject.replace("*", name, 1) for subject in _REPORTS),
                f"$JS.API.DIRECT.GET.ASSIGNMENTS.assignment.{name}",
                "$JS.API.DIRECT.GET.BLOBS.blob.*",
                "$JS.API.DIRECT.GET.BLOBS.blob.*.*",
            ]
        },
        "subscribe": {"allow": [f"_INBOX_{name}.>", f"hint.{name}"]},
    }


_EXPORTS: tuple[tuple[str, str], ...] = (
    ("service", "$JS.API.DIRECT.GET.ASSIGNMENTS.assignment.*"),
    ("service", "$JS.API.DIRECT.GET.BLOBS.blob.*"),
    ("service", "$JS.API.DIRECT.GET.BLOBS.blob.*.*"),
    *(("service", subject) for subject in _REPORTS),
    ("stream", "hint.*"),
)


def accounts_config(*, admin: User, services: Iterable[User], clusters: Iterable[User]) -> dict[str, Any]:
    """The `accounts` block: CONTROL with services and an admin (who makes the streams), AGENTS with the clusters."""
    control_users = [{"nkey": admin.public_nkey}]
    for user in services:
        if user.name not in SERVICE_GRANTS:
            raise rejected("KNR7002", f"{user.name!r} is not one of Knarr's services")
        control_users.append({"nkey": user.public_nkey, "permissions": service_permissions(user.name)})  # type: ignore[dict-item]
    agents = [{"nkey": u.public_nkey, "permissions": agent_permissions(u.name)} for u in clusters]
    return {
        "CONTROL": {
            "jetstream": "enabled",
            "users": control_users,
            "exports": [{kind: subject, "accounts": ["AGENTS"]} for kind, subject in _EXPORTS],
        },
        "AGENTS": {
            "users": agents,
            "imports": [{kind: {"account": "CONTROL", "subject": subject}} for kind, subject in _EXPORTS],
        },
    }


def server_text(accounts: dict[str, Any]) -> str:
    """The part of a nats-server configuration that is ours: accounts, the largest message, time for a connect storm."""
    return (
        f"max_payload: {MAX_PAYLOAD_BYTES + _HEADER_BYTES}\n"
        f"authorization {{ timeout: 30 }}\naccounts: {json.dumps(accounts, indent=1)}\n"
    )
