"""`knarr diff`: what a change would do to the fleet, before anybody deploys it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from knarr.cli.charts import ChartFetching, chart_options

if TYPE_CHECKING:
    from knarr.renderer.core.compare import FleetChange


@click.command(
    epilog="""\b
Examples:
  knarr diff HEAD                       what the folder changes against the last commit
  knarr diff main my-branch             what a branch changes against another
  knarr diff main --summary             without the lines of the objects
  knarr diff main --svg diff.svg        as a picture, for a pull request
"""
)
@click.argument("before")
@click.argument("after", required=False)
@click.option("--fleet", type=click.Path(path_type=Path), default=Path(), help="The fleet repository's folder.")
@click.option("--source", "sources", multiple=True, metavar="NAME=FOLDER", help="A checkout of another source.")
@chart_options
@click.option("--summary", is_flag=True, help="Objects by name only.")
@click.option("--svg", type=click.Path(path_type=Path), help="Draws it into this file.")
@click.option("--fail-on-deletion", is_flag=True, help="Exit code 3 when an object would be deleted.")
def diff(
    before: str,
    after: str | None,
    fleet: Path,
    sources: tuple[str, ...],
    fetch_charts: bool,
    credentials: Path | None,
    summary: bool,
    svg: Path | None,
    fail_on_deletion: bool,
) -> None:
    """Show what the commit AFTER (left out: the folder as it is) changes against the commit BEFORE.

    Clusters and apps touched, objects created, changed and deleted: one difference per distinct variant, Secrets
    masked, deletions first. Exit code 1 when something does not render: then the difference is not the whole one.
    """
    from knarr.renderer.diff import as_text

    charts = ChartFetching(wanted=fetch_charts, credentials=credentials)
    change, whole = asyncio.run(_changed(before, after, fleet, sources, charts))
    text = as_text(change, bodies=not summary)
    _show(text, svg)
    if fail_on_deletion and change.deletions:
        sys.exit(3)
    if not whole:
        sys.exit(1)


async def _changed(
    before: str, after: str | None, fleet: Path, sources: tuple[str, ...], charts: ChartFetching
) -> tuple[FleetChange, bool]:
    from knarr.cli.laptop import commit_snapshots, folder_snapshots, laptop_renderer
    from knarr.renderer.diff import diff as compared
    from knarr.renderer.vet import UNCHECKED_CODE, findings_of, rendered_offline

    async with laptop_renderer() as renderer:
        was = await rendered_offline(renderer, await charts.complete(commit_snapshots(fleet, before, sources)))
        newer = commit_snapshots(fleet, after, sources) if after else folder_snapshots(fleet, sources)
        becomes = await rendered_offline(renderer, await charts.complete(newer))
    missing = [f for f in findings_of(becomes) if f.severity.value == "error" or f.failure.code == UNCHECKED_CODE]
    for finding in missing:
        failure = finding.failure
        click.echo(f"{failure.origin or finding.app}: {failure.code}: {failure.message}", err=True)
    return compared(was, becomes), not missing


def _show(text: str, svg: Path | None) -> None:
    if svg is None and not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(record=svg is not None, highlight=False, width=None if svg is None else 120, soft_wrap=True)
    for line in text.splitlines():
        console.print(Text(line, style=_style(line)))
    if svg is not None:
        console.save_svg(str(svg), title="knarr diff")


def _style(line: str) -> str:
    bare = line.strip()
    if line.startswith("!!"):
        return "bold white on red"
    if bare.startswith("-"):
        return "red"
    if bare.startswith("+"):
        return "green"
    if bare.startswith("~"):
        return "yellow"
    return "dim" if bare.startswith("@@") else ""
