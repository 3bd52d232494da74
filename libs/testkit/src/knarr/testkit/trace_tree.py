"""A trace as a tree with durations: what `benchmarks/trace_tree.py` prints, and what tests look at. Pure.

Spans as Jaeger's query API gives them: times in microseconds since 1970, references of type CHILD_OF and FOLLOWS_FROM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One span with what it caused, in the order in which that began. Microseconds."""

    service: str
    name: str
    started: int
    took: int
    tags: Mapping[str, Any]
    below: tuple[Node, ...]

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.below:
            yield from child.walk()


def roots(trace: Mapping[str, Any]) -> tuple[Node, ...]:
    """The spans whose parent is not in the trace; one in a trace that is whole."""
    spans = sorted(trace["spans"], key=lambda s: (s["startTime"], -s["duration"]))
    known = {s["spanID"] for s in spans}
    services = {key: process["serviceName"] for key, process in trace["processes"].items()}
    below: dict[str, list[Mapping[str, Any]]] = {}
    tops = []
    for span in spans:
        parent = parent_of(span)
        if parent in known:
            below.setdefault(parent, []).append(span)
        else:
            tops.append(span)

    def node(span: Mapping[str, Any]) -> Node:
        return Node(
            service=services[span["processID"]],
            name=span["operationName"],
            started=span["startTime"],
            took=span["duration"],
            tags={tag["key"]: tag["value"] for tag in span["tags"]},
            below=tuple(node(child) for child in below.get(span["spanID"], ())),
        )

    return tuple(node(span) for span in tops)


def parent_of(span: Mapping[str, Any]) -> str:
    """The parent's span id in the same trace; empty for a root."""
    own = span["traceID"]
    parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF" and r["traceID"] == own]
    return parents[0] if parents else ""


def links(span: Mapping[str, Any]) -> frozenset[str]:
    """The traces that the span links to."""
    return frozenset(r["traceID"] for r in span["references"] if r["traceID"] != span["traceID"])


def lines(node: Node, *, shown: Sequence[str] = ("knarr.app", "knarr.cluster", "knarr.outcome")) -> list[str]:
    """One line per span: when it began after the root, how long it took, and what it was."""
    titled = [("  " * depth + _title(n, shown), n) for depth, n in _deep(node, 0)]
    widest = max(len(title) for title, _ in titled)
    return [
        f"{title:<{widest}}  +{_milliseconds(n.started - node.started)}  {_milliseconds(n.took)}" for title, n in titled
    ]


def _deep(node: Node, depth: int) -> Iterator[tuple[int, Node]]:
    yield depth, node
    for child in node.below:
        yield from _deep(child, depth + 1)


def _title(node: Node, shown: Sequence[str]) -> str:
    told = " ".join(str(node.tags[tag]) for tag in shown if tag in node.tags)
    return f"{node.service}: {node.name}" + (f" [{told}]" if told else "")


def _milliseconds(microseconds: int) -> str:
    return f"{microseconds / 1000:8.1f} ms"
