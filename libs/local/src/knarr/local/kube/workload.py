"""What makes pods run in a local cluster: controller manager, scheduler and kwok. Owned by `cluster`.

A bare API server stores objects and nothing more; with only the collector, owners and namespaces go away as they would
in a real cluster; with everything, Deployments roll out and Jobs complete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from knarr.local.health import answers_ok
from knarr.local.kube.admin import Admin
from knarr.local.kube.identity import Identity
from knarr.local.kube.stages import kwok_configuration
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess

NODE_NAME = "knarr-node-1"
_EVERYTHING = "*,-node-ipam-controller,-cloud-node-lifecycle-controller"
_COLLECTING = (
    "garbage-collector-controller,namespace-controller,serviceaccount-controller,"
    "root-ca-certificate-publisher-controller,clusterrole-aggregation-controller"
)


class ControllerManager:
    """A kube-controller-manager with all its controllers, or only with those that collect garbage."""

    def __init__(self, program: Path, state_dir: Path, identity: Identity, *, everything: bool) -> None:
        self._health = _Health(state_dir, "kube-controller-manager")
        argv = (
            str(program),
            *self._health.flags(identity),
            f"--service-account-private-key-file={identity.signing_key_file}",
            f"--root-ca-file={identity.ca_file}",
            f"--controllers={_EVERYTHING if everything else _COLLECTING}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--concurrent-namespace-syncs=10",
        )
        self.process = OwnedProcess(Command(name="kube-controller-manager", argv=argv), state_dir)

    async def start(self) -> None:
        """Start it and wait for its health."""
        await self.process.start(self._health.ready, deadline_seconds=60.0)


class Scheduler:
    """A kube-scheduler: kwok plays nodes but does not schedule."""

    def __init__(self, program: Path, state_dir: Path, identity: Identity) -> None:
        self._health = _Health(state_dir, "kube-scheduler")
        argv = (str(program), *self._health.flags(identity), "--kube-api-qps=500", "--kube-api-burst=1000")
        self.process = OwnedProcess(Command(name="kube-scheduler", argv=argv), state_dir)

    async def start(self) -> None:
        """Start it and wait for its health."""
        await self.process.start(self._health.ready, deadline_seconds=60.0)


class Kwok:
    """kwok with our stages, and one node with room for everything."""

    def __init__(self, program: Path, state_dir: Path, identity: Identity) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        stages = state_dir / "stages.yaml"
        stages.write_text(kwok_configuration())
        self._port = free_port()
        argv = (
            str(program),
            f"--kubeconfig={identity.kubeconfig}",
            f"--config={stages}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=120",
            f"--server-address=127.0.0.1:{self._port}",
        )
        # A home of its own: kwok would otherwise read a configuration from the user's.
        home = {"HOME": str(state_dir)}
        self.process = OwnedProcess(Command(name="kwok", argv=argv, environment=home), state_dir)

    async def start(self, admin: Admin) -> None:
        """Start it, make the node, and wait until that is ready."""
        await self.process.start(self._ready, deadline_seconds=60.0)
        await admin.create("/api/v1/nodes", _NODE)
        await admin.until(f"/api/v1/nodes/{NODE_NAME}", _is_ready)

    async def _ready(self) -> bool:
        return await answers_ok(f"http://127.0.0.1:{self._port}/healthz")


class _Health:
    """The secure port of a Kubernetes component, with the certificate that it makes for itself."""

    def __init__(self, state_dir: Path, name: str) -> None:
        self._port = free_port()
        self._certificates = state_dir / f"{name}-certificates"
        self._ca_file = self._certificates / f"{name}.crt"

    def flags(self, identity: Identity) -> tuple[str, ...]:
        return (
            f"--kubeconfig={identity.kubeconfig}",
            f"--authentication-kubeconfig={identity.kubeconfig}",
            f"--authorization-kubeconfig={identity.kubeconfig}",
            f"--secure-port={self._port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self._certificates}",
            "--leader-elect=false",
            "--profiling=false",
        )

    async def ready(self) -> bool:
        return await answers_ok(f"https://127.0.0.1:{self._port}/healthz", ca_file=self._ca_file)


_NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": NODE_NAME, "labels": {"kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": "linux"}},
}


def _condition(kind: str) -> Callable[[dict[str, object]], bool]:
    def holds(item: dict[str, object]) -> bool:
        status = item.get("status")
        conditions = status.get("conditions", []) if isinstance(status, dict) else []
        return any(c["type"] == kind and c["status"] == "True" for c in conditions)

    return holds


_is_ready = _condition("Ready")
