"""The page's own rules: vendored files are what the manifest says, nothing is inline, no address is kept."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

import knarr.status

PAGE = Path(knarr.status.__file__ or "").parent / "page"
SCRIPTS = sorted(p for p in PAGE.glob("*.js"))


def test_vendored_files_are_what_the_manifest_says() -> None:
    manifest = json.loads((PAGE / "vendor/manifest.json").read_text())
    stated = {f["to"]: f["sha256"] for p in manifest["packages"] for f in p["files"]}
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (PAGE / "vendor").iterdir()}
    assert found.pop("manifest.json")
    assert found == stated
    for package in manifest["packages"]:
        assert package["integrity"].startswith("sha512-")
        assert package["license"] in {"MIT", "Apache-2.0"}
        assert any(f["to"].endswith("LICENSE.txt") for f in package["files"])
        assert "resolved" not in package


def test_the_page_has_no_inline_script_or_style() -> None:
    text = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<style" not in text
    assert not re.search(r"\son[a-z]+=", text)


@pytest.mark.parametrize("script", SCRIPTS, ids=[p.name for p in SCRIPTS])
def test_scripts_never_make_markup_of_data(script: Path) -> None:
    text = script.read_text()
    for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert danger not in text
    for name in re.findall(r'from "(\./[^"]+)"', text):
        assert (PAGE / name).is_file()
