"""Taking the agents' namespace out of a cluster, with kubectl: the person's own contexts and credentials."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.place import Place
from knarr.local.process import program
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import AGENT_NAMESPACE

_WAIT = "60s"


def clusters_of(place: Place, contexts: tuple[str, ...], kubeconfig: Path | None) -> tuple[LocalCluster, ...]:
    """The real clusters that the last `knarr up` on this folder had, or those named."""
    known = []
    for file in sorted((place.folder / "agents").glob("agent-*.jsonl")):
        for line in file.read_text().splitlines():
            agent = json.loads(line)
            if "kubeconfig" in agent:
                file_name = Path(agent["kubeconfig"])
                known.append(LocalCluster(name=agent["cluster"], kubeconfig=file_name, context=agent["context"]))
    if not contexts:
        return tuple(known)
    by_context = {c.context: c for c in known}
    missing = [c for c in contexts if c not in by_context and kubeconfig is None]
    if missing:
        raise rejected("KNR6208", f"this installation has no context {', '.join(missing)}; give --kubeconfig")
    return tuple(by_context.get(c) or LocalCluster(name=c, kubeconfig=kubeconfig, context=c) for c in contexts)


async def remove_namespace(cluster: LocalCluster) -> str:
    """What came of it, in a few words."""
    beside = Path(sys.prefix) / "bin" / "kubectl"
    process = await asyncio.create_subprocess_exec(
        str(beside) if beside.exists() else program("kubectl"),
        f"--kubeconfig={cluster.kubeconfig}",
        f"--context={cluster.context}",
        "delete",
        "namespace",
        AGENT_NAMESPACE,
        "--ignore-not-found",
        f"--timeout={_WAIT}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode(errors="replace").strip()
    return text or "it was not there"
