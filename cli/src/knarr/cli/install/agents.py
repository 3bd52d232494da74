"""The agents of an installation on this machine: one process for all simulated clusters, one per real cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.hub import Hub, passed_on
from knarr.cli.install.parts import Part


def agent_parts(
    hub: Hub, clusters: tuple[LocalCluster, ...], adopt: frozenset[str], apart: frozenset[str] = frozenset()
) -> list[Part]:
    """The parts, not started. `adopt`: clusters whose agents may leave another installation for this one."""
    together = tuple(c for c in clusters if c.simulated and c.name not in apart)
    groups = [("agents-simulated", together)] if together else []
    groups += [(f"agent-{c.name}", (c,)) for c in clusters if c not in together]
    ports = hub.place.ports(tuple(name for name, _ in groups)) if groups else {}
    return [_part(hub, name, members, adopt, ports[name]) for name, members in groups]


def _part(hub: Hub, name: str, members: tuple[LocalCluster, ...], adopt: frozenset[str], port: int) -> Part:
    folder = hub.place.part("agents")
    config = folder / f"{name}.jsonl"
    lines = [json.dumps(_agent(hub, cluster, cluster.name in adopt)) for cluster in members]
    config.write_text("\n".join(lines) + "\n")
    environment = {
        **passed_on(),
        **_home(),
        "KNARR_AGENTS_FILE": str(config),
        "KNARR_LISTEN": f"127.0.0.1:{port}",
    }
    return Part(name, "knarr.agent.host", environment, hub.place.logs, port)


def _agent(hub: Hub, cluster: LocalCluster, adopt: bool) -> Mapping[str, object]:
    base: dict[str, object] = {
        "cluster": cluster.name,
        "nats_url": hub.nats.url,
        "nkey_seed_file": str(hub.identity.cluster_seed_file(cluster.name)),
        "trust_file": str(hub.identity.trust_file),
        "adopt": adopt,
    }
    if cluster.kubeconfig is None:
        return {**base, "simulated_dir": str(hub.place.clusters / cluster.name)}
    return {**base, "kubeconfig": str(cluster.kubeconfig), "context": cluster.context}


def _home() -> dict[str, str]:
    """A kubeconfig may name credential helpers that live in the caller's home."""
    return {"HOME": str(Path.home())}
