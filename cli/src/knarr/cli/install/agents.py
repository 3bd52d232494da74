"""The agents of an installation on this machine: one process for all simulated clusters, one per real cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.hub import Hub, passed_on
from knarr.cli.install.parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """`adopt`: clusters whose agents may leave another installation for this one. `apart`: a process for each.

    `silent`: clusters whose agents cannot be waited for, since the API server does not answer now.
    """

    adopt: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    heartbeat_seconds: float = 60.0


def agent_parts(hub: Hub, clusters: tuple[LocalCluster, ...], wishes: Wishes) -> list[Part]:
    """The parts, not started."""
    together = tuple(c for c in clusters if c.simulated and c.name not in wishes.apart)
    groups = [("agents-simulated", together)] if together else []
    groups += [(f"agent-{c.name}", (c,)) for c in clusters if c not in together]
    ports = hub.place.ports(tuple(name for name, _ in groups)) if groups else {}
    return [_part(hub, name, members, wishes, ports[name]) for name, members in groups]


def _part(hub: Hub, name: str, members: tuple[LocalCluster, ...], wishes: Wishes, port: int) -> Part:
    folder = hub.place.part("agents")
    config = folder / f"{name}.jsonl"
    lines = [json.dumps(_agent(hub, cluster, wishes)) for cluster in members]
    config.write_text("\n".join(lines) + "\n")
    environment = {
        **passed_on(),
        **_person(members),
        "KNARR_AGENTS_FILE": str(config),
        "KNARR_LISTEN": f"127.0.0.1:{port}",
        **wishes.environment,
    }
    waits = any(cluster.name in wishes.silent for cluster in members)
    health = "/healthz" if waits else "/readyz"
    return Part(name, "knarr.agent.host", environment, hub.place.logs, port, health=health)


def _agent(hub: Hub, cluster: LocalCluster, wishes: Wishes) -> Mapping[str, object]:
    base: dict[str, object] = {
        "cluster": cluster.name,
        "nats_url": hub.nats.url,
        "nkey_seed_file": str(hub.identity.cluster_seed_file(cluster.name)),
        "trust_file": str(hub.identity.trust_file),
        "adopt": cluster.name in wishes.adopt,
        "heartbeat_seconds": wishes.heartbeat_seconds,
    }
    if cluster.kubeconfig is None:
        return {**base, "simulated_dir": str(hub.place.clusters / cluster.name)}
    return {**base, "kubeconfig": str(cluster.kubeconfig), "context": cluster.context}


def _person(members: tuple[LocalCluster, ...]) -> Mapping[str, str]:
    """A kubeconfig may name credential plugins and need proxies: where there is one, the caller's own environment."""
    if all(cluster.simulated for cluster in members):
        return {}
    return {name: value for name, value in os.environ.items() if not name.startswith("KNARR_")}
