"""Vendors the page's libraries from npm packages, reproducibly.

`python services/status/vendor_page.py` fetches each package of `page/vendor/manifest.json` with `npm pack`, checks the
package against its integrity, copies the named files and writes their hashes. `--check` recomputes the hashes of what
is committed, without a network; a test does the same. Bare imports become relative ones, because a strict content
security policy allows no inline import map. No download address is kept: the registry is npm's own setting.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "src/knarr/status/page/vendor"
MANIFEST = FOLDER / "manifest.json"
_NPM_SECONDS = 120


def main() -> int:
    """Exit code: 1 when something committed is not what the manifest says."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        wrong = mismatches(manifest)
        print("\n".join(wrong) or "vendored files are as the manifest says")
        return 1 if wrong else 0
    for package in manifest["packages"]:
        _vendor(package, manifest["imports"])
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return 0


def mismatches(manifest: dict[str, Any]) -> list[str]:
    """What is committed and differs from the manifest, or is in neither."""
    stated = {f["to"]: f["sha256"] for p in manifest["packages"] for f in p["files"]}
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in FOLDER.iterdir() if p != MANIFEST}
    return [
        f"{name} differs from the manifest" for name in sorted(stated | found) if stated.get(name) != found.get(name)
    ]


def _vendor(package: dict[str, Any], imports: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", f"{package['name']}@{package['version']}"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_NPM_SECONDS)
        packed = (Path(folder) / done.stdout.split()[-1]).read_bytes()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
    if package.get("integrity") not in (None, integrity):
        raise SystemExit(f"{package['name']} {package['version']} is not the package that was vendored before")
    package["integrity"] = integrity
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for file in package["files"]:
            member = archive.extractfile(f"package/{file['from']}")
            if member is None:
                raise SystemExit(f"{package['name']} has no {file['from']}")
            text = _relative(member.read().decode(), imports)
            (FOLDER / file["to"]).write_text(text, encoding="utf-8")
            file["sha256"] = hashlib.sha256(text.encode()).hexdigest()


def _relative(text: str, imports: dict[str, str]) -> str:
    for bare, relative in imports.items():
        text = re.sub(rf"""(from\s*|import\s*)(["']){re.escape(bare)}\2""", rf"\1\2{relative}\2", text)
    return re.sub(r"//# sourceMappingURL=.*\n?", "", text)


if __name__ == "__main__":
    sys.exit(main())
