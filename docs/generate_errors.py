"""Writes docs/errors/ from the catalogue: a page per number and an index. `make docs`; CI runs it with --check."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from knarr.pipeline.errors import CATALOGUE, Entry

FOLDER = Path(__file__).resolve().parent / "errors"
_KINDS = {
    "retryable": "It may pass: Knarr tries again by itself.",
    "rejected": "The input is refused; the last good state stays.",
    "bug": "Knarr itself is wrong; please report it.",
}


def pages() -> dict[str, str]:
    """File name → content."""
    found = {f"{entry.code}.md": _page(entry) for entry in CATALOGUE.values()}
    rows = [f"| [{e.code}]({e.code}.md) | {e.title} | {e.kind.value} |" for e in sorted(CATALOGUE.values(), key=_code)]
    head = ["# Error numbers", "", "`knarr explain KNRnnnn` prints the same.", "", "| number | title | kind |"]
    found["README.md"] = "\n".join([*head, "| --- | --- | --- |", *rows]) + "\n"
    return found


def _code(entry: Entry) -> str:
    return entry.code


def _page(entry: Entry) -> str:
    return (
        f"# {entry.code}: {entry.title}\n\n"
        f"**Kind:** {entry.kind.value}. {_KINDS[entry.kind.value]}\n\n"
        f"**Cause:** {entry.cause}\n\n"
        f"**Next step:** {entry.next_step}\n"
    )


def main() -> int:
    """Exit code 1 with --check when a page is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    wanted = pages()
    present = {p.name: p.read_text() for p in FOLDER.glob("*.md")}
    if parser.parse_args().check:
        stale = sorted(n for n in wanted.keys() | present.keys() if wanted.get(n) != present.get(n))
        print("stale, run `make docs`: " + ", ".join(stale[:10]) if stale else "docs/errors is current")
        return 1 if stale else 0
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
