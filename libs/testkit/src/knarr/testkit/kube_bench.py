"""One agent on a real API server, with a hub in memory: what tests of the whole flow on Kubernetes stand on.

Many share one server: a test has a namespace of its own, and its agent's state lies in another beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from nacl.signing import SigningKey

from knarr.agent.adapters.kubernetes import KubernetesCluster, SecretStore, credentials
from knarr.agent.agent import Agent, Identity
from knarr.agent.main import load_expressions
from knarr.agent.ports import Store
from knarr.agent.start import Trust
from knarr.bundle.packing import Bundle
from knarr.local.kube import KubeCluster
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, AppState
from knarr.testkit.agent_hub import EPOCH, Assigner, MemoryHub, assigned, bundle_of

Object = dict[str, Any]
SIGNER = SigningKey(b"s" * 32)
MERGE = "application/merge-patch+json"
_SECONDS = 60.0
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
# Where the kinds that tests look at are served; the rest is given as a whole path.
_ROOTS = {
    "deployments": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "cronjobs": "/apis/batch/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}


def rolled_out(replicas: int, generation: int = 1) -> Object:
    """The status of a Deployment that is available."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    available = {"type": "Available", "status": "True"}
    return {**counts, "observedGeneration": generation, "conditions": [available]}


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody else with rights in one namespace of the cluster: reads, writes, and waits for what becomes of it."""

    kube: KubeCluster
    namespace: str

    def path(self, plural: str, name: str = "") -> str:
        """An object of the test's namespace by plural and name; what begins with a slash is a path already."""
        if plural.startswith("/"):
            return f"{plural}/{name}" if name else plural
        place = f"{_ROOTS.get(plural, '/api/v1')}/namespaces/{self.namespace}/{plural}"
        return f"{place}/{name}" if name else place

    async def get(self, plural: str, name: str) -> Object | None:
        """The object; None when it is not there."""
        status, found = await self.kube.request("GET", self.path(plural, name))
        assert status in (200, 404), found
        return found if status == 200 else None

    async def create(self, plural: str, manifest: Object) -> Object:
        """As `kubectl create` does."""
        status, made = await self.kube.request("POST", self.path(plural) + "?fieldManager=somebody", manifest)
        assert status == 201, made
        return dict(made)

    async def deny(self, operation: str, plural: str, allowed: str, message: str) -> None:
        """A real ValidatingAdmissionPolicy for core objects of the namespace; `allowed` is its CEL expression."""
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": [plural]}
        where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}}
        spec = {
            "matchConstraints": {**where, "resourceRules": [rule]},
            "validations": [{"expression": allowed, "message": message}],
            "failurePolicy": "Fail",
        }
        await self.create(POLICIES, {"metadata": {"name": self.namespace}, "spec": spec})
        binding = {"policyName": self.namespace, "validationActions": ["Deny"]}
        await self.create(BINDINGS, {"metadata": {"name": self.namespace}, "spec": binding})

    async def edit(self, plural: str, name: str, patch: Object, *, manager: str = "kubectl-edit") -> Object:
        """A merge patch as that field manager."""
        path = f"{self.path(plural, name)}?fieldManager={manager}"
        status, found = await self.kube.request("PATCH", path, patch, content_type=MERGE)
        assert status == 200, found
        return dict(found)

    async def apply(self, plural: str, manifest: Object, *, manager: str, force: bool = False) -> Object:
        """Server-side apply as that field manager."""
        query = f"?fieldManager={manager}&force={'true' if force else 'false'}"
        path = self.path(plural, manifest["metadata"]["name"]) + query
        status, found = await self.kube.request("PATCH", path, manifest, content_type="application/apply-patch+yaml")
        assert status in (200, 201), found
        return dict(found)

    async def status(self, plural: str, name: str, status: Object) -> None:
        """What its controller would say."""
        path = f"{self.path(plural, name)}/status?fieldManager=controller"
        code, found = await self.kube.request("PATCH", path, {"status": status}, content_type=MERGE)
        assert code == 200, found

    async def delete(self, plural: str, name: str) -> None:
        """Deletes it."""
        status, found = await self.kube.request("DELETE", self.path(plural, name))
        assert status in (200, 202), found

    async def until(
        self, plural: str, name: str, holds: Callable[[Object | None], bool], seconds: float = _SECONDS
    ) -> Object | None:
        """Waits until something holds of the object, or of its absence (None)."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.get(plural, name)
            if holds(found):
                return found
            assert time.monotonic() < deadline, f"{plural}/{name} is not as awaited: {found}"
            await asyncio.sleep(0.02)


@dataclass(slots=True, kw_only=True)
class KubeBench:
    """The agent, the hub's part, and another hand in the cluster."""

    hub: MemoryHub
    hand: Hand
    cluster: KubernetesCluster
    store: Store
    agent: Agent
    assigner: Assigner
    running: asyncio.Future[None]
    apps: dict[str, AssignedApp] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The test's own."""
        return self.hand.namespace

    def bundle(self, app: str, *objects: Object, **policy: Any) -> Bundle:
        """An app's bundle, in the test's namespace unless it says otherwise."""
        return bundle_of(app, *objects, **{"namespace": self.namespace, **policy})

    def assign(self, *bundles: Bundle, tombstones: tuple[str, ...] = (), **more: Any) -> dict[str, AssignedApp]:
        """Assigns these apps and nothing else."""
        self.apps = {bundle.header.app: self.prepared(bundle) for bundle in bundles}
        self.hub.store(self.assigner.signed(self.apps.values(), tombstones=tombstones, **more))
        return self.apps

    def prepared(self, bundle: Bundle) -> AssignedApp:
        """The bundle lies ready; it is not assigned yet."""
        app, sealed = assigned(bundle)
        self.hub.blobs[sealed.address] = sealed.data
        return app

    async def report(self, app: str, state: AppState, seconds: float = _SECONDS) -> AppReport:
        """The app's report once it has that state with the assigned bundle."""
        return await self.until(app, lambda r: r.state is state, seconds)

    async def hub_state(self, app: str, state: AppState) -> AppReport:
        """The app's report once it has that state, whatever the bundle."""
        await self.hub.until(lambda: (r := self.hub.app(app)) is not None and r.state is state)
        found = self.hub.app(app)
        assert found is not None
        return found

    async def healthy(self, *apps: str) -> None:
        """Waits until these apps (or all that are assigned) are healthy as assigned."""
        for app in apps or tuple(self.apps):
            await self.report(app, AppState.HEALTHY)

    async def until(self, app: str, holds: Callable[[AppReport], bool], seconds: float = _SECONDS) -> AppReport:
        """The app's report for the assigned bundle, once something holds of it."""

        def reached() -> bool:
            report = self.hub.app(app)
            wanted = self.apps.get(app)
            return report is not None and (wanted is None or report.digest == wanted.digest) and holds(report)

        try:
            await self.hub.until(reached, seconds)
        except TimeoutError:
            raise AssertionError(f"{app} is not as awaited: {self.hub.app(app)}") from None
        found = self.hub.app(app)
        assert found is not None
        return found

    async def failure(self, app: str, code: str, seconds: float = _SECONDS) -> Failure:
        """The app's failure with that number, once it is reported."""
        report = await self.until(app, lambda r: any(f.code == code for f in r.failures), seconds)
        return next(f for f in report.failures if f.code == code)


@asynccontextmanager
async def kube_bench(
    kube: KubeCluster,
    namespace: str,
    hub: MemoryHub | None = None,
    *,
    configuration: Any = None,
    epoch: str = EPOCH,
    adopt: bool = False,
    generation: int = 0,
    clock: Callable[[], float] = time.time,
    store: Callable[[Store], Store] = lambda real: real,
) -> AsyncIterator[KubeBench]:
    """An agent that runs until the end of the block; entered again with the same hub, it is a restart."""
    hub = hub or MemoryHub("c1")
    configuration = configuration or await credentials(kube.kubeconfig, "")
    async with KubernetesCluster(configuration) as cluster:
        kept = store(SecretStore(cluster, f"{namespace}-agent"))
        trust = Trust(epoch=epoch, keys=(bytes(SIGNER.verify_key),))
        own = f"{namespace}-agent"
        identity = Identity(cluster="c1", trust=trust, namespace=own, adopt=adopt, heartbeat_seconds=0.5)
        agent = Agent(
            identity=identity, cluster=cluster, store=kept, hub=hub, expressions=load_expressions, clock=clock
        )
        running = asyncio.ensure_future(agent.run())
        try:
            await _started(agent, running)
            if not hub.offline:
                await hub.until(lambda: (r := hub.cluster_report()) is not None and r.epoch == epoch)
            report = hub.cluster_report()
            uid = (await cluster.identity()).uid
            recipient = report.sealing_public_key if report else b""
            assigner = Assigner("c1", uid, recipient, signer=SIGNER, epoch=epoch, generation=generation)
            yield KubeBench(
                hub=hub,
                hand=Hand(kube, namespace),
                cluster=cluster,
                store=kept,
                agent=agent,
                assigner=assigner,
                running=running,
            )
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def _started(agent: Agent, running: asyncio.Future[None]) -> None:
    started = asyncio.ensure_future(agent.started.wait())
    await asyncio.wait((running, started), return_when=asyncio.FIRST_COMPLETED, timeout=_SECONDS)
    if not started.done():
        started.cancel()
        running.result()
