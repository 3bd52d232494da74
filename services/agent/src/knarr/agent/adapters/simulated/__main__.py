"""`python -m knarr.agent.adapters.simulated edit|delete|fault FOLDER …`: a hand in a simulated cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

from knarr.agent.adapters.simulated import outside


def main(arguments: list[str]) -> int:
    """Exit code 0; the running cluster carries it out within half a second."""
    parser = argparse.ArgumentParser(prog="python -m knarr.agent.adapters.simulated")
    commands = parser.add_subparsers(dest="command", required=True)
    editing = commands.add_parser("edit", help="merge-patch an object by hand")
    editing.add_argument("folder", type=Path)
    editing.add_argument("object_id", help="group/Kind/namespace/name")
    editing.add_argument("patch", help="a JSON merge patch")
    editing.add_argument("--manager", default="kubectl-edit")
    deleting = commands.add_parser("delete", help="delete an object by hand")
    deleting.add_argument("folder", type=Path)
    deleting.add_argument("object_id")
    failing = commands.add_parser("fault", help="images (patterns) that never become ready; none clears it")
    failing.add_argument("folder", type=Path)
    failing.add_argument("images", nargs="*")
    asked = parser.parse_args(arguments)
    match asked.command:
        case "edit":
            outside.edit(asked.folder, asked.object_id, orjson.loads(asked.patch), manager=asked.manager)
        case "delete":
            outside.delete(asked.folder, asked.object_id)
        case _:
            outside.never_ready(asked.folder, tuple(asked.images))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
