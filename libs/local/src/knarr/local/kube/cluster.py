"""One local cluster: an API server in the fleet's etcd, and on demand what makes pods run in it.

Made by `KubeFleet.start_cluster`. Faults are the caller's to choose: kill, stop, freeze and start its API server.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knarr.local.build import binary
from knarr.local.kube.admin import Admin
from knarr.local.kube.api_server import ApiServer
from knarr.local.kube.identity import make_identity
from knarr.local.kube.workload import ControllerManager, Kwok, Scheduler
from knarr.local.process import OwnedProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """What runs beside the API server: nothing, the garbage collector, or all that makes pods run."""

    controllers: bool = False
    collector: bool = False


class KubeCluster:
    """A real Kubernetes cluster on this machine."""

    def __init__(self, name: str, state_dir: Path, etcd_url: str, options: ClusterOptions) -> None:
        self.name = name
        self._state_dir, self._options = state_dir, options
        self._identity = make_identity(state_dir)
        serves_pods = options.controllers or options.collector
        program = binary("kube-apiserver")
        self._api_server = ApiServer(program, name, state_dir, self._identity, etcd_url, pods=serves_pods)
        self._workload: list[OwnedProcess] = []
        self.url = self._api_server.url
        self.admin = Admin(self.url, self._identity)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig file, with the server's certificate as its authority."""
        return self._identity.kubeconfig

    @property
    def ca_file(self) -> Path:
        """The certificate that clients check the server against."""
        return self._identity.ca_file

    @property
    def admin_token(self) -> str:
        """A bearer token in the group system:masters."""
        return self._identity.admin_token

    async def request(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        """One request as the administrator: status and decoded answer."""
        return await self.admin.request(method, path, body, **options)

    async def start(self) -> None:
        """Start the API server, then what was asked for beside it. Leaves nothing running when it fails."""
        try:
            await self.start_api_server()
            await self._start_workload()
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, grace_seconds: float = 15.0) -> None:
        """Stop the clients first, then the API server, while etcd still answers."""
        async with asyncio.TaskGroup() as group:
            for process in self._workload:
                group.create_task(process.stop(grace_seconds=grace_seconds))
        await self._api_server.process.stop(grace_seconds=grace_seconds)
        self._workload.clear()

    async def kill(self) -> None:
        """Kill everything at once. The cluster's state stays in etcd."""
        for process in (*self._workload, self._api_server.process):
            await process.kill()
        self._workload.clear()

    async def start_api_server(self) -> None:
        """Start it on its port, with its keys and its state as they were."""
        await self._api_server.start()

    async def kill_api_server(self) -> None:
        """SIGKILL it; clients see reset connections."""
        await self._api_server.process.kill()

    async def restart_api_server(self) -> None:
        """Kill it and start it again on the same port."""
        await self.kill_api_server()
        await self.start_api_server()

    def freeze_api_server(self) -> None:
        """Let it hang: connections open, nothing answers."""
        self._api_server.process.signal(signal.SIGSTOP)

    def thaw_api_server(self) -> None:
        """Let a frozen one go on."""
        self._api_server.process.signal(signal.SIGCONT)

    async def _start_workload(self) -> None:
        if not (self._options.controllers or self._options.collector):
            return
        folder, identity = self._state_dir, self._identity
        manager = ControllerManager(
            binary("kube-controller-manager"), folder, identity, everything=self._options.controllers
        )
        self._workload.append(manager.process)
        async with asyncio.TaskGroup() as group:
            group.create_task(manager.start())
            if self._options.controllers:
                scheduler = Scheduler(binary("kube-scheduler"), folder, identity)
                kwok = Kwok(binary("kwok"), folder, identity)
                self._workload += [scheduler.process, kwok.process]
                group.create_task(scheduler.start())
                group.create_task(kwok.start(self.admin))
        await self.admin.until("/api/v1/namespaces/default/serviceaccounts/default", lambda _: True)
