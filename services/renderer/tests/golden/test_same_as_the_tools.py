"""What Knarr makes of the examples equals what the tools make of them, object by object, after canonicalisation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from knarr.bundle.canonical import canonical_json, id_of
from knarr.bundle.packing import unpack
from knarr.pipeline.names import FLEET_SOURCE, AppName, ObjectId
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.normalise import Found, flatten, normalise
from knarr.renderer.core.yaml_kubectl import read_documents
from knarr.renderer.offline import offline

EXAMPLES = Path(__file__).parents[4] / "examples"
KUBECTL = str(Path(sys.prefix) / "bin" / "kubectl")


@pytest.mark.parametrize(
    ("fleet", "app", "cluster", "folder", "namespace"),
    [
        ("kustomize", "store", "store-eu", "store/overlays/eu", ""),
        ("kustomize", "store", "store-us", "store/overlays/us", ""),
        ("shop", "checkout", "dev-1", "apps/checkout/overlays/dev", "shop"),
        ("shop", "checkout", "prod-eu-1", "apps/checkout/overlays/prod", "shop"),
    ],
)
async def test_kustomize(fleet: str, app: str, cluster: str, folder: str, namespace: str, tmp_path: Path) -> None:
    root = EXAMPLES / fleet
    async with offline(tmp_path) as renderer:
        result = await renderer.render({FLEET_SOURCE: folder_snapshot(root, FLEET_SOURCE)})
    variant = next(v for v in result.revisions[AppName(app)].variants if cluster in v.clusters)
    assert variant.bundle is not None
    ours = {id_of(o): canonical_json(o) for o in unpack(result.plain[variant.bundle.digest]).objects}
    assert ours == theirs(root / folder, namespace)
    assert all(entry.origin.startswith(folder.split("/")[0]) for entry in variant.origins)


def theirs(folder: Path, namespace: str) -> dict[ObjectId, bytes]:
    output = subprocess.run([KUBECTL, "kustomize", str(folder)], check=True, capture_output=True).stdout
    found = [item for d in read_documents(output, "tool", Limits()) for item in flatten(d.value, d.origin)]
    normal = normalise([f for f in found if isinstance(f, Found)], namespace, {}, Limits())
    return {id_of(o): canonical_json(o) for o in normal.objects}
