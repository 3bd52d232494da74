"""What rendering costs: one app among a thousand, a cold thousand, a wide fleet, a chart; and whether it is right.

    python benchmarks/render.py [--apps N]

Keys: one_of_1000_s (commit → revision over a real NATS; median of several commits, with floor_one_of_10_s beside it),
speedup (a cold thousand against one `kubectl kustomize` after another), renders and matrix_s (10,000 clusters × 50 apps
in 5 variants, and how much longer than 5 clusters), helm_ratio (a chart of 200 objects against `helm template`),
unequal (objects that differ from the tools' own). Builds kustomize and helm on first use.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from figures import finish, say

from knarr.bundle.canonical import canonical_json, id_of
from knarr.bundle.packing import unpack
from knarr.bundle.sealing import MasterKey, seal
from knarr.local.nats import NatsServer
from knarr.local.tools import helm_command, kustomize_command
from knarr.messaging.blobs import put_sealed
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.streams import REVISIONS, ensure_streams
from knarr.messaging.subjects import commit_subject, rendered_subject, revision_subject
from knarr.pipeline.codec import encode
from knarr.pipeline.names import FLEET_SOURCE
from knarr.pipeline.revision import CommitRendered, RevisionRendered
from knarr.pipeline.snapshot import (
    Commit,
    FileEntry,
    FileMode,
    Manifest,
    Pack,
    PackedContent,
    SealedAddress,
    SnapshotStored,
)
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.normalise import Found, flatten, normalise
from knarr.renderer.core.tree import File, Tree
from knarr.renderer.core.yaml_kubectl import read_documents
from knarr.renderer.main import run
from knarr.renderer.offline import Offline, Tools, offline
from knarr.renderer.ports import Snapshot
from knarr.renderer.settings import Settings

ROOT = Path(__file__).parent.parent
KUBECTL = str(Path(sys.prefix) / "bin" / "kubectl")
SNAPSHOT_KEY, BUNDLE_KEY = MasterKey(b"s" * 32), MasterKey(b"b" * 32)
CLUSTER = "apiVersion: knarr.dev/v1\nkind: Cluster\nname: {name}\nlabels: {{stage: s{stage}}}\n"
KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
Files = dict[str, str]


class MemoryContents:
    """Contents by id, from memory."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def read(self, content_id: bytes) -> bytes:
        return self.values[content_id]


def blob_id(content: bytes) -> bytes:
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).digest()


def kustomize_app(name: str, tag: str = "1.0") -> Files:
    """Base and overlay: a Deployment, a Service, a generated ConfigMap."""
    base, overlay = f"apps/{name}/base", f"apps/{name}/overlay"
    return {
        f"apps/{name}/knarr.yaml": f"apiVersion: knarr.dev/v1\nkind: App\nnamespace: {name}\npath: overlay\n",
        f"{base}/kustomization.yaml": KUSTOMIZATION + "resources: [deployment.yaml, service.yaml]\n",
        f"{base}/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n"
        "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n"
        "      containers: [{name: web, image: registry.example.com/web, envFrom: [{configMapRef: {name: web}}]}]\n",
        f"{base}/service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
        "  selector: {app: web}\n  ports: [{port: 80}]\n",
        f"{overlay}/kustomization.yaml": KUSTOMIZATION + "resources: [../base]\nconfigMapGenerator:\n"
        f"  - name: web\n    literals: [name={name}]\n"
        f"images:\n  - {{name: registry.example.com/web, newTag: '{tag}'}}\n",
    }


def fleet_files(apps: int) -> Files:
    files = {
        "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\n",
        "clusters/c.yaml": CLUSTER.format(name="c", stage=0),
    }
    for number in range(apps):
        files.update(kustomize_app(f"app-{number}"))
    return files


def snapshot_of(files: Mapping[str, str]) -> Snapshot:
    contents = MemoryContents()
    listed = []
    for path, text in files.items():
        data = text.encode()
        contents.values[blob_id(data)] = data
        listed.append(File(path=path, mode=FileMode.REGULAR, content_id=blob_id(data), size=len(data)))
    return Snapshot(commit=Commit(source="fleet", number=1), tree=Tree(listed), contents=contents)


# --- one app among a thousand, over the broker ----------------------------------------------------------------------


class Publisher:
    """Plays the fetcher: the first manifest is complete, the others are deltas."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._manifests: list[SealedAddress] = []
        self.number = 0

    async def commit(self, files: Mapping[str, str]) -> Commit:
        contents = {path: text.encode() for path, text in files.items()}
        listed = list(contents.items())
        packs: list[SealedAddress] = []
        entries: list[FileEntry] = []
        for start in range(0, len(listed), 1000):
            part = listed[start : start + 1000]
            pack = seal(SNAPSHOT_KEY, encode(Pack(contents=tuple(_packed(data) for _, data in part))))
            await put_sealed(self._broker, "snapshot", pack.address, pack.chunks)
            packs.append(pack.as_address())
            entries += [_entry(path, data, len(packs) - 1) for path, data in part]
        manifest = Manifest(complete=not self._manifests, entries=tuple(entries), packs=tuple(packs))
        sealed = seal(SNAPSHOT_KEY, encode(manifest))
        await put_sealed(self._broker, "snapshot", sealed.address, sealed.chunks)
        self._manifests.append(sealed.as_address())
        self.number += 1
        commit = Commit(source="fleet", number=self.number, sha=f"{self.number:040x}")
        stored = SnapshotStored(commit=commit, manifests=tuple(self._manifests))
        await self._broker.publish(commit_subject("fleet"), stored)
        return commit


def _packed(data: bytes) -> PackedContent:
    return PackedContent(content_id=blob_id(data), content=data)


def _entry(path: str, data: bytes, pack: int) -> FileEntry:
    return FileEntry(path=path.encode(), mode=FileMode.REGULAR, content_id=blob_id(data), size=len(data), pack=pack)


async def one_of(apps: int, commits: int) -> float:
    """Median seconds from the commit's publication to the revision of the one app that it changes."""
    with tempfile.TemporaryDirectory() as folder:
        async with NatsServer(Path(folder, "nats")) as nats:
            settings = Settings(
                nats_urls=(nats.url,),
                nkey_seed="",
                snapshot_key=SNAPSHOT_KEY,
                bundle_key=BUNDLE_KEY,
                state=Path(folder, "state"),
                listen="127.0.0.1:0",
                kustomize=kustomize_command(build=True).argv,
                allow_unconfined=False,
                limits=Limits(),
            )
            async with Broker(BrokerSettings(urls=(nats.url,), name="bench")) as broker:
                await broker.wait_connected(10)
                await ensure_streams(broker.jetstream())
                renderer = asyncio.ensure_future(run(settings))
                try:
                    return await _measured(broker, apps, commits)
                finally:
                    renderer.cancel()
                    await asyncio.gather(renderer, return_exceptions=True)


async def _measured(broker: Broker, apps: int, commits: int) -> float:
    publisher = Publisher(broker)
    await _closed(broker, await publisher.commit(fleet_files(apps)), 600)
    times = []
    for number in range(commits):
        app = f"app-{number % apps}"
        changed = {path: text for path, text in kustomize_app(app, f"2.{number}").items() if "overlay/" in path}
        started = time.perf_counter()
        commit = await publisher.commit(changed)
        while True:
            found = await broker.newest(REVISIONS, revision_subject(app), RevisionRendered)
            if found and found.value.commit and found.value.commit.number == commit.number:
                break
            await asyncio.sleep(0.005)
        times.append(time.perf_counter() - started)
        await _closed(broker, commit, 60)
    return statistics.median(times)


async def _closed(broker: Broker, commit: Commit, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = await broker.newest(REVISIONS, rendered_subject("fleet"), CommitRendered)
            if found and found.value.commit and found.value.commit.number >= commit.number:
                return
            await asyncio.sleep(0.02)


# --- cold, wide, chart ----------------------------------------------------------------------------------------------


async def speedup(apps: int, folder: Path) -> dict[str, float]:
    files = fleet_files(apps)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    snapshot = snapshot_of(files)
    async with offline(folder / "work", Tools(kustomize=kustomize_command(build=True).argv)) as renderer:
        started = time.perf_counter()
        result = await renderer.render({FLEET_SOURCE: snapshot})
        ours = time.perf_counter() - started
    if len(result.revisions) != apps:
        raise SystemExit(f"only {len(result.revisions)} of {apps} apps were rendered")
    say(f"cold: {apps} apps in {ours:.1f} s; now kubectl, one after another")
    started = time.perf_counter()
    for number in range(apps):
        overlay = folder / f"apps/app-{number}/overlay"
        _told([KUBECTL, "kustomize", str(overlay)])
    theirs = time.perf_counter() - started
    return {"cold_s": round(ours, 3), "floor_kubectl_s": round(theirs, 3), "speedup": round(theirs / ours, 2)}


def wide_files(clusters: int) -> Files:
    """50 apps with an overlay for each of five stages."""
    files = {"fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\n"}
    for number in range(clusters):
        files[f"clusters/c{number}.yaml"] = CLUSTER.format(name=f"c{number}", stage=number % 5)
    for number in range(50):
        name = f"app-{number}"
        files.update({p: t for p, t in kustomize_app(name).items() if "/base/" in p})
        targets = "".join(
            f"  - {{selector: {{matchLabels: {{stage: s{stage}}}}}, overlay: overlays/s{stage}}}\n"
            for stage in range(5)
        )
        files[f"apps/{name}/knarr.yaml"] = f"apiVersion: knarr.dev/v1\nkind: App\ntargets:\n{targets}"
        for stage in range(5):
            files[f"apps/{name}/overlays/s{stage}/kustomization.yaml"] = (
                KUSTOMIZATION + f"namePrefix: s{stage}-\nresources: [../../base]\n"
            )
    return files


async def wide(folder: Path) -> dict[str, float | int]:
    """What 10,000 clusters cost beyond 5."""
    times, renders = {}, 0
    for clusters in (5, 10_000):
        snapshot = snapshot_of(wide_files(clusters))
        async with offline(folder / "work", Tools(kustomize=kustomize_command(build=True).argv)) as renderer:
            gc.collect()
            started = time.perf_counter()
            result = await renderer.render({FLEET_SOURCE: snapshot})
            times[clusters] = time.perf_counter() - started
        renders = result.rendered.renders
        placed = sum(len(v.clusters) for r in result.revisions.values() for v in r.variants)
        say(f"wide: {clusters} clusters, {renders} renders, {placed} placements, {times[clusters]:.2f} s")
    return {"renders": renders, "matrix_s": round(times[10_000] - times[5], 3), "floor_matrix_5_s": round(times[5], 3)}


async def helm_ratio(folder: Path) -> dict[str, float]:
    chart = {
        "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\n",
        "clusters/c.yaml": CLUSTER.format(name="c", stage=0),
        "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
        "chart/values.yaml": "count: 50\ntag: '0'\n",
    }
    for kind in range(4):
        chart[f"chart/templates/t{kind}.yaml"] = (
            "{{- range $i := until (int .Values.count) }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n"
            f"  name: {{{{ $.Release.Name }}}}-{kind}-{{{{ $i }}}}\n"
            "data:\n  tag: {{ $.Values.tag | quote }}\n{{- end }}\n"
        )
    for path, text in chart.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    helm = helm_command(build=True).argv
    theirs, ours = [], []
    async with offline(folder / "work") as renderer:
        await _helm_once(renderer, chart, "warm")
        for number in range(15):
            started = time.perf_counter()
            _told([*helm, "template", "chart", str(folder / "chart")])
            theirs.append(time.perf_counter() - started)
            ours.append(await _helm_once(renderer, chart, str(number)))
    mine, other = statistics.median(ours), statistics.median(theirs)
    return {"helm_s": round(mine, 4), "floor_helm_template_s": round(other, 4), "helm_ratio": round(mine / other, 2)}


async def _helm_once(renderer: Offline, chart: Files, tag: str) -> float:
    snapshot = snapshot_of({**chart, "chart/values.yaml": f"count: 50\ntag: 't{tag}'\n"})
    started = time.perf_counter()
    result = await renderer.render({FLEET_SOURCE: snapshot})
    seconds = time.perf_counter() - started
    if result.revisions["chart"].variants[0].bundle.object_count != 200:  # type: ignore[index,union-attr]
        raise SystemExit("the chart gave other than 200 objects")
    return seconds


# --- right ----------------------------------------------------------------------------------------------------------


async def unequal(folder: Path) -> dict[str, int]:
    """Objects of the examples that differ from what the tools say themselves."""
    compared = different = 0
    helm = helm_command(build=True).argv
    examples = ROOT / "examples"
    sets: list[tuple[Path, str, str, str, list[str]]] = [
        (examples / "kustomize", "store", "store-eu", "", [KUBECTL, "kustomize", "store/overlays/eu"]),
        (examples / "kustomize", "store", "store-us", "", [KUBECTL, "kustomize", "store/overlays/us"]),
        *(
            (examples / "shop", "checkout", cluster, "shop", [KUBECTL, "kustomize", f"apps/checkout/overlays/{stage}"])
            for cluster, stage in (("dev-1", "dev"), ("staging-eu", "staging"), ("prod-eu-1", "prod"))
        ),
        (examples / "helm", "blog", "old", "blog", [*helm, *_blog("old", "1.29.0"), "--set", "cache.enabled=false"]),
        (examples / "helm", "blog", "new", "blog", [*helm, *_blog("new", "1.36.0")]),
    ]
    async with offline(folder / "work", Tools(kustomize=kustomize_command(build=True).argv)) as renderer:
        for fleet, app, cluster, namespace, command in sets:
            result = await renderer.render({FLEET_SOURCE: folder_snapshot(fleet, FLEET_SOURCE)})
            variant = next(v for v in result.revisions[app].variants if cluster in v.clusters)  # type: ignore[index]
            assert variant.bundle is not None
            ours = {str(id_of(o)): canonical_json(o) for o in unpack(result.plain[variant.bundle.digest]).objects}
            theirs = _canonical(_told(command, fleet), namespace)
            compared += len({*ours, *theirs})
            different += sum(ours.get(id_) != theirs.get(id_) for id_ in {*ours, *theirs})
    return {"compared": compared, "unequal": different}


def _told(command: list[str], folder: Path | None = None) -> bytes:
    """A tool's output. Blocks on purpose: nothing else is to run meanwhile."""
    return subprocess.run(command, cwd=folder, check=True, capture_output=True).stdout


def _blog(cluster: str, kubernetes: str) -> list[str]:
    return [
        "template", "blog", "blog", "--include-crds", "--skip-tests", "--namespace", "blog",
        "-f", "blog/values-fleet.yaml", "--set", f"ingress.host={cluster}.example.com", "--kube-version", kubernetes,
    ]  # fmt: skip


def _canonical(output: bytes, namespace: str) -> dict[str, bytes]:
    limits = Limits()
    found: Iterable[Any] = (item for d in read_documents(output, "tool", limits) for item in flatten(d.value, d.origin))
    normal = normalise([f for f in found if isinstance(f, Found)], namespace, {}, limits)
    return {id_of(manifest): canonical_json(manifest) for manifest in normal.objects}


async def measured(apps: int) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        parts = [Path(tempfile.mkdtemp(dir=folder)) for _ in range(4)]
        say("unequal: examples against the tools")
        figures.update(await unequal(parts[0]))
        say("helm: 200 objects")
        figures.update(await helm_ratio(parts[1]))
        figures.update(await wide(parts[2]))
        say(f"cold: {apps} apps")
        figures.update(await speedup(apps, parts[3]))
    say("one of ten")
    figures["floor_one_of_10_s"] = round(await one_of(10, 11), 4)
    say(f"one of {apps}")
    figures["one_of_1000_s"] = round(await one_of(apps, 11), 4)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apps", type=int, default=1000)
    finish(asyncio.run(measured(parser.parse_args().apps)))


if __name__ == "__main__":
    main()
