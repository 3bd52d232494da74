"""What kwok plays: nodes that are ready, and pods that meet the fate they ask for.

A pod chooses its fate with the label or annotation `knarr.dev/fate` (see `Fate`); without one it becomes ready at once,
and completes if a Job owns it. Called by `cluster`, which writes the result into kwok's configuration file.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

FATE_KEY = "knarr.dev/fate"
DELAY_KEY = "knarr.dev/fate-delay"

_FATE = f'.metadata.annotations["{FATE_KEY}"] // .metadata.labels["{FATE_KEY}"]'
_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_OWNER = ".metadata.ownerReferences.[].kind"
_JSON = dict[str, Any]


class Fate(Enum):
    """What becomes of a pod that asks for it."""

    READY = "ready"
    SLOW_START = "slow-start"  # ready after the annotation knarr.dev/fate-delay, 3 s without it
    NEVER_READY = "never-ready"  # runs, and is never ready
    IMAGE_PULL = "image-pull"  # ImagePullBackOff for ever
    CRASH_LOOP = "crash-loop"  # CrashLoopBackOff with a growing restart count
    FAILED = "failed"  # ends with exit code 1


_OTHER_FATES = [f.value for f in Fate if f is not Fate.READY]

_NODE_CONDITIONS = """\
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ Now | Quote }}
  lastTransitionTime: {{ or $.metadata.creationTimestamp Now | Quote }}
{{ end }}
"""

_NODE_STATUS = (
    _NODE_CONDITIONS
    + """\
addresses:
- {type: InternalIP, address: {{ NodeIP | Quote }}}
- {type: Hostname, address: {{ NodeName | Quote }}}
allocatable: {cpu: 1k, memory: 1Ti, pods: 100k}
capacity: {cpu: 1k, memory: 1Ti, pods: 100k}
nodeInfo:
  architecture: amd64
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: kwok
  kubeletVersion: kwok
  machineID: ""
  operatingSystem: linux
  osImage: kwok
  systemUUID: ""
phase: Running
"""
)

_POD_ADDRESSES = """\
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
podIP: {{ PodIPWith .spec.nodeName ( or .spec.hostNetwork false ) ( or .metadata.uid "" ) \
( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
startTime: {{ or .status.startTime Now | Quote }}
"""

_INIT_CONTAINERS_DONE = """\
{{ if .spec.initContainers }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  {{ if eq ( or .restartPolicy "" ) "Always" }}
  started: true
  state: {running: {startedAt: {{ Now | Quote }}}}
  {{ else }}
  started: false
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}}}
  {{ end }}
{{ end }}
{{ end }}
"""

_RUNNING = "{running: {startedAt: {{ Now | Quote }}}}"
_IMAGE_PULL = '{waiting: {reason: ImagePullBackOff, message: "Back-off pulling image: not found"}}'
_CRASH_LOOP = '{waiting: {reason: CrashLoopBackOff, message: "back-off 10s restarting failed container"}}'


def _ended(reason: str, exit_code: int) -> str:
    times = "startedAt: {{ Now | Quote }}, finishedAt: {{ Now | Quote }}"
    return f"{{terminated: {{exitCode: {exit_code}, reason: {reason}, {times}}}}}"


def _conditions(*, ready: bool, reason: str = "") -> str:
    lines = ["conditions:"]
    for kind, status in (("Initialized", True), ("Ready", ready), ("ContainersReady", ready)):
        why = "" if status or not reason else f", reason: {reason}"
        since = "lastTransitionTime: {{ Now | Quote }}"
        lines.append(f'- {{type: {kind}, status: "{status}", {since}{why}}}')
    return "\n".join(lines) + "\n"


def _containers(state: str, *, ready: bool, restarts: str = "0", last_state: str = "") -> str:
    lines = [
        "containerStatuses:",
        "{{ range $index, $container := .spec.containers }}",
        "- name: {{ $container.name | Quote }}",
        "  image: {{ $container.image | Quote }}",
        f"  ready: {str(ready).lower()}",
        f"  started: {str(ready).lower()}",
        f"  restartCount: {restarts}",
        f"  state: {state}",
    ]
    if last_state:
        lines.append(f"  lastState: {last_state}")
    return "\n".join([*lines, "{{ end }}"]) + "\n"


def _pod(phase: str, conditions: str, containers: str) -> str:
    return f"phase: {phase}\n" + conditions + containers + _INIT_CONTAINERS_DONE + _POD_ADDRESSES


_IS_READY = _pod("Running", _conditions(ready=True), _containers(_RUNNING, ready=True))
_COMPLETED = _pod(
    "Succeeded", _conditions(ready=False, reason="PodCompleted"), _containers(_ended("Completed", 0), ready=False)
)
_NOT_READY = _conditions(ready=False, reason="ContainersNotReady")
_STATUS_OF_FATE = {
    Fate.NEVER_READY: _pod("Running", _NOT_READY, _containers(_RUNNING, ready=False)),
    Fate.IMAGE_PULL: _pod("Pending", _NOT_READY, _containers(_IMAGE_PULL, ready=False)),
    Fate.CRASH_LOOP: _pod(
        "Running", _NOT_READY, _containers(_CRASH_LOOP, ready=False, restarts="1", last_state=_ended("Error", 1))
    ),
    Fate.FAILED: _pod(
        "Failed", _conditions(ready=False, reason="PodFailed"), _containers(_ended("Error", 1), ready=False)
    ),
}
_RESTARTED = _pod(
    "Running",
    _NOT_READY,
    _containers(
        _CRASH_LOOP,
        ready=False,
        restarts="{{ add1 ( index $.status.containerStatuses $index ).restartCount }}",
        last_state=_ended("Error", 1),
    ),
)


def kwok_configuration() -> str:
    """The text of kwok's configuration file: a stream of Stage documents."""
    return "".join(f"---\n{json.dumps(stage, indent=1)}\n" for stage in _stages())


def _stages() -> list[_JSON]:
    alive, pending = _where(".metadata.deletionTimestamp", "DoesNotExist"), _where(".status.phase", "In", "Pending")
    running, unborn = _where(".status.phase", "In", "Running"), _where(".status.containerStatuses", "DoesNotExist")
    crashing = _where(_FATE, "In", Fate.CRASH_LOOP.value)
    slow = {"durationMilliseconds": 3000, "durationFrom": {"expressionFrom": f'.metadata.annotations["{DELAY_KEY}"]'}}
    fated = [
        _stage(f"pod-{fate.value}", "Pod", (alive, unborn, _where(_FATE, "In", fate.value)), status)
        for fate, status in _STATUS_OF_FATE.items()
    ]
    return [
        _stage("node-initialise", "Node", (_where(_READY, "NotIn", "True"),), _NODE_STATUS),
        _stage("node-heartbeat", "Node", (_where(_READY, "In", "True"),), _NODE_CONDITIONS, _between(240_000, 300_000)),
        _stage("pod-ready", "Pod", (alive, pending, _where(_FATE, "NotIn", *_OTHER_FATES)), _IS_READY),
        _stage("pod-slow-start", "Pod", (alive, pending, _where(_FATE, "In", Fate.SLOW_START.value)), _IS_READY, slow),
        *fated,
        _stage("pod-restart", "Pod", (alive, running, crashing), _RESTARTED, _between(2_000, 4_000)),
        _stage(
            "pod-complete",
            "Pod",
            (alive, running, _where(_OWNER, "In", "Job"), _where(_READY, "In", "True")),
            _COMPLETED,
        ),
        _deleting(),
    ]


def _stage(name: str, kind: str, where: tuple[_JSON, ...], status: str, delay: _JSON | None = None) -> _JSON:
    spec: _JSON = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": list(where)},
        "next": {"statusTemplate": status},
    }
    if delay is not None:
        spec["delay"] = delay
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _deleting() -> _JSON:
    stage = _stage("pod-delete", "Pod", (_where(".metadata.deletionTimestamp", "Exists"),), "")
    stage["spec"]["next"] = {"delete": True}
    return stage


def _where(key: str, operator: str, *values: str) -> _JSON:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def _between(at_least: int, at_most: int) -> _JSON:
    return {"durationMilliseconds": at_least, "jitterDurationMilliseconds": at_most}
