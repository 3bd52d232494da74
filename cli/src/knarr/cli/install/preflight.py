"""A look into the real clusters of an installation before anything is started: who they are, and whom they obey.

Called by `session`. Writes nothing. A cluster that does not answer is no obstacle, its agent waits for it; one that
obeys another installation, or is not the one that had this name, is, and all obstacles are told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from knarr.agent.adapters.kubernetes import KubernetesCluster, SecretStore, credentials
from knarr.agent.records import PIN_KEY
from knarr.agent.start import Pin
from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.place import Place
from knarr.pipeline.errors import KnarrError, Retryable, rejected, retryable
from knarr.pipeline.names import AGENT_NAMESPACE

Say = Callable[[str], None]
_SECONDS = 15.0
_REQUESTS_AT_ONCE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a cluster says about itself. `epoch`: whom an agent in it obeys so far; empty when there was none.

    `trouble`: why it said nothing.
    """

    cluster: LocalCluster
    uid: str = ""
    epoch: str = ""
    trouble: KnarrError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What this installation already is and knows: its epoch, and the UID that each of its clusters had."""

    epoch: str
    uids: Mapping[str, str]
    adopt: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`silent`: clusters that do not answer now. `recreated`: those whose name was another cluster's until now.

    `uids`: all that are known now, by name.
    """

    silent: frozenset[str]
    recreated: frozenset[str]
    uids: Mapping[str, str]


async def look_ahead(
    clusters: Sequence[LocalCluster], place: Place, epoch: str, adopt: frozenset[str], say: Say
) -> Outlook:
    """Raises a group of KNR3020, KNR4006, KNR4011 and KNR6209, one for each obstacle."""
    uids = place.uids()
    found = await asyncio.gather(*(_looked(c) for c in clusters if not c.simulated))
    obstacles = obstacles_in(found, Known(epoch=epoch, uids=uids, adopt=adopt))
    if obstacles:
        raise ExceptionGroup("clusters that cannot be taken", obstacles)
    for one in found:
        if one.trouble is not None:
            say(f"{one.cluster.name} does not answer, its agent keeps trying: {one.trouble.message}")
    recreated = frozenset(f.cluster.name for f in found if f.uid and uids.get(f.cluster.name, f.uid) != f.uid)
    return Outlook(
        silent=frozenset(f.cluster.name for f in found if f.trouble),
        recreated=recreated,
        uids=uids | {f.cluster.name: f.uid for f in found if f.uid},
    )


def obstacles_in(found: Sequence[Found], known: Known) -> list[KnarrError]:
    """Why this installation must not start agents there; empty when it may."""
    obstacles: list[KnarrError] = []
    first: dict[str, LocalCluster] = {}
    for one in found:
        name, context = one.cluster.name, one.cluster.context
        if one.trouble is not None:
            if not isinstance(one.trouble, Retryable):
                obstacles.append(one.trouble)
            continue
        other = first.setdefault(one.uid, one.cluster)
        if other is not one.cluster:
            obstacles.append(
                rejected("KNR6209", f"contexts {other.context!r} and {context!r} lead to one and the same cluster")
            )
        if name in known.adopt:
            continue
        if one.epoch and one.epoch != known.epoch:
            told = f"cluster {name} (context {context}) obeys another installation, of epoch {one.epoch[:12]!r}"
            obstacles.append(rejected("KNR4006", told))
        if known.uids.get(name, one.uid) != one.uid:
            obstacles.append(rejected("KNR3020", f"context {context} is not the cluster that {name} was until now"))
    return obstacles


async def _looked(cluster: LocalCluster) -> Found:
    try:
        async with asyncio.timeout(_SECONDS):
            given = await credentials(cluster.kubeconfig, cluster.context)
            async with KubernetesCluster(given, requests_at_once=_REQUESTS_AT_ONCE) as asked:
                uid = (await asked.identity()).uid
                stored = await SecretStore(asked, AGENT_NAMESPACE).read(PIN_KEY)
    except KnarrError as error:
        return Found(cluster=cluster, trouble=error)
    except TimeoutError:
        silence = retryable("KNR4012", f"the API server did not answer in {_SECONDS:g} s")
        return Found(cluster=cluster, trouble=silence)
    return Found(cluster=cluster, uid=uid, epoch=_epoch(stored))


def _epoch(stored: bytes | None) -> str:
    """The agent itself judges a state that cannot be read (KNR4008)."""
    try:
        return Pin(**orjson.loads(stored)).epoch if stored is not None else ""
    except (TypeError, ValueError):
        return ""
