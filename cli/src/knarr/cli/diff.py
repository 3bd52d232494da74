"""`knarr diff`: what a change would do to the fleet, before anybody deploys it."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from knarr.cli.charts import ChartFetching, chart_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from knarr.renderer.core.compare import FleetChange
    from knarr.renderer.diff import Line
    from knarr.renderer.offline import Result

_WIDEST = 160
_STYLES = {
    "head": "bold",
    "deletion": "bold white on red",
    "created": "bold green",
    "changed": "bold yellow",
    "removed": "red",
    "added": "green",
    "place": "dim",
}


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
    from knarr.renderer.diff import lines_of

    charts = ChartFetching(wanted=fetch_charts, credentials=credentials)
    change, whole = asyncio.run(_changed(before, after, fleet, sources, charts))
    _show(list(lines_of(change, bodies=not summary)), svg)
    if fail_on_deletion and change.deletions:
        sys.exit(3)
    if not whole:
        sys.exit(1)


async def _changed(
    before: str, after: str | None, fleet: Path, sources: tuple[str, ...], charts: ChartFetching
) -> tuple[FleetChange, bool]:
    from knarr.cli.laptop import commit_snapshots, folder_snapshots, laptop_renderer
    from knarr.renderer.diff import diff as compared
    from knarr.renderer.vet import rendered_offline

    async with laptop_renderer() as renderer:
        was = await rendered_offline(renderer, await charts.complete(commit_snapshots(fleet, before, sources)))
        newer = commit_snapshots(fleet, after, sources) if after else folder_snapshots(fleet, sources)
        becomes = await rendered_offline(renderer, await charts.complete(newer))
    missing = [*_unrendered(was, before), *_unrendered(becomes, after or "the folder")]
    for line in dict.fromkeys(missing):
        click.echo(line, err=True)
    return compared(was, becomes), not missing


def _unrendered(result: Result, side: str) -> Iterator[str]:
    """What the difference leaves out, on either side: an app that did not render before seems never to have been."""
    from knarr.renderer.vet import UNCHECKED_CODE, findings_of

    for finding in findings_of(result):
        failure = finding.failure
        if finding.severity.value == "error" or failure.code == UNCHECKED_CODE:
            yield f"{side}: {failure.origin or finding.app}: {failure.code}: {failure.message}"


def _show(lines: list[Line], svg: Path | None) -> None:
    if svg is None and not sys.stdout.isatty():
        click.echo("".join(f"{text}\n" for _, text in lines), nl=False)
        return
    from rich.console import Console
    from rich.text import Text

    width = min(_WIDEST, max(len(text) for _, text in lines) + 1) if svg is not None else None
    console = Console(record=svg is not None, highlight=False, width=width, soft_wrap=svg is None)
    for kind, text in lines:
        console.print(Text(text, style=_STYLES.get(kind.value, "")))
    if svg is not None:
        svg.write_text(_without_addresses(console.export_svg(title="knarr diff")))


def _without_addresses(picture: str) -> str:
    """A picture in a pull request must not make its readers ask another host for a font."""
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
