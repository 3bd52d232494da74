"""`knarr approve REVISION`: let a held revision pass."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from knarr.cli.api import find_api


@click.command(
    epilog="\b\nExamples:\n  knarr approve 3f2a91c0d1e2\n  knarr approve 3f2a91c0d1e2 --reason 'moved to Thanos' --yes"
)
@click.argument("revision")
@click.option("--reason", default="", help="Why; kept with the approval.")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@click.option("--state", type=click.Path(path_type=Path), help="State folder of the installation.")
def approve(revision: str, reason: str, sure: bool, state: Path | None) -> None:
    """Approve exactly this held revision. An unambiguous beginning of its id will do; what would go is shown first."""
    from knarr.cli.commands.status import told
    from knarr.pipeline.errors import rejected

    api = find_api(state)
    found = api.get(f"revisions/{revision}")
    click.echo(told(api, "revisions", found["revision"], "table"))
    if found["state"] != "held":
        raise rejected("KNR5041", f"{found['app']} {found['short']} is not held")
    if not sure:
        click.confirm("Approve this deletion?", abort=True)
    api.post(
        f"revisions/{found['revision']}/approve",
        {"reason": reason, "actor": getpass.getuser(), "evidence": found["held"]["evidence"]},
    )
    click.echo(f"approved {found['short']} of app {found['app']}")
