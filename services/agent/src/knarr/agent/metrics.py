"""The agent's metrics for Prometheus, read from the running agents when scraped. Names are never labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from knarr.agent.agent import Agent
from knarr.pipeline.report import AppState

_COUNTERS: dict[str, tuple[str, Callable[[Agent], float]]] = {
    "fetches": ("Bundles fetched from the hub", lambda a: a.loader.fetches if a.loader else 0),
    "state_writes": (
        "Writes to the store, each with all that had changed",
        lambda a: a.keeper.writes if a.keeper else 0,
    ),
    "passes": ("Looks at an app", lambda a: a.reconciler.passes if a.reconciler else 0),
    "reports": ("Reports acknowledged by the hub", lambda a: a.publisher.sent if a.publisher else 0),
    "dropped_transitions": (
        "Transitions dropped because too many came while the hub was away",
        lambda a: a.publisher.dropped_transitions if a.publisher else 0,
    ),
    "state_bytes": ("Bytes sent to the store", lambda a: getattr(a.store, "written_bytes", 0)),
    "state_requests": ("Requests made to write to the store", lambda a: getattr(a.store, "write_requests", 0)),
    "forged_hints": ("Hints that did not come from ASSIGNMENTS", lambda a: getattr(a.hub, "forged_hints", 0)),
}


class AgentCollector(Collector):
    """Sums over all agents of the process."""

    def __init__(self, agents: Callable[[], Iterable[Agent]]) -> None:
        self._agents = agents

    def collect(self) -> Iterator[Metric]:
        """What Prometheus reads."""
        agents = list(self._agents())
        for name, (text, count) in _COUNTERS.items():
            yield CounterMetricFamily(f"knarr_agent_{name}", text, value=sum(count(a) for a in agents))
        watched = sum(a.reconciler.observer.object_count for a in agents if a.reconciler)
        yield GaugeMetricFamily("knarr_agent_watched_objects", "Objects under watch", value=watched)
        waiting = sum(a.publisher.waiting for a in agents if a.publisher)
        yield GaugeMetricFamily("knarr_agent_reports_waiting", "Reports not acknowledged yet", value=waiting)
        states = GaugeMetricFamily("knarr_agent_apps", "Apps by state", labels=["state"])
        reached = [s.state for a in agents if a.reconciler for s in a.reconciler.states()]
        for state in AppState:
            if state is not AppState.UNSPECIFIED:
                states.add_metric([state.value], reached.count(state))
        yield states


def publish_metrics(agents: Callable[[], Iterable[Agent]]) -> Callable[[], None]:
    """Adds the agents to the process's metrics; returns what takes them out again."""
    collector = AgentCollector(agents)
    REGISTRY.register(collector)
    return lambda: REGISTRY.unregister(collector)
