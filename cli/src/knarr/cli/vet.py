"""`knarr vet`: every check that the renderer makes, before a push and in any continuous integration."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from knarr.cli.charts import ChartFetching, chart_options

if TYPE_CHECKING:
    from knarr.renderer.core.findings import Finding


@click.command(
    epilog="""\b
Examples:
  knarr vet                             the fleet repository in this folder
  knarr vet ./fleet --source team-a=../team-a
  knarr vet --fetch-charts              charts of repositories, too (asks the network)
  knarr vet -o sarif > knarr.sarif      for the code host
  knarr vet -o junit > knarr.xml        for the build server
"""
)
@click.argument("fleet", type=click.Path(path_type=Path), default=Path())
@click.option("-o", "--output", type=click.Choice(["text", "json", "sarif", "junit"]), default="text")
@click.option("--source", "sources", multiple=True, metavar="NAME=FOLDER", help="A checkout of another source.")
@chart_options
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
def vet(
    fleet: Path, output: str, sources: tuple[str, ...], fetch_charts: bool, credentials: Path | None, strict: bool
) -> None:
    """Check a fleet repository offline: documents, targets, rendering, schemas, secrets.

    Exit code 0 when nothing stands in the way, 1 when something does.
    """
    from knarr.renderer.core import findings as forms
    from knarr.renderer.core.findings import Severity

    found, apps = asyncio.run(_vetted(fleet, sources, ChartFetching(wanted=fetch_charts, credentials=credentials)))
    match output:
        case "json":
            click.echo(forms.as_json(found), nl=False)
        case "sarif":
            click.echo(forms.as_sarif(found, version("knarr")), nl=False)
        case "junit":
            click.echo(forms.as_junit(found, apps), nl=False)
        case _:
            click.echo(forms.as_text(found), nl=False)
            click.echo(_summary(found, apps))

    def fails(finding: Finding) -> bool:
        return finding.severity is Severity.ERROR or (strict and finding.severity is Severity.WARNING)

    if any(fails(finding) for finding in found):
        sys.exit(1)


async def _vetted(
    fleet: Path, sources: tuple[str, ...], charts: ChartFetching
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    from knarr.cli.laptop import folder_snapshots, laptop_renderer
    from knarr.renderer.vet import findings_of, rendered_offline

    snapshots = await charts.complete(folder_snapshots(fleet, sources))
    async with laptop_renderer() as renderer:
        result = await rendered_offline(renderer, snapshots)
        return findings_of(result, fetched=charts.wanted), tuple(sorted(result.finished))


def _summary(found: tuple[Finding, ...], apps: tuple[str, ...]) -> str:
    from knarr.renderer.core.findings import Severity

    counts = {s: sum(f.severity is s for f in found) for s in Severity}
    parts = ((len(apps), "app"), (counts[Severity.ERROR], "error"), (counts[Severity.WARNING], "warning"))
    words = "{}: {}, {}".format(*(f"{n} {word}" if n == 1 else f"{n} {word}s" for n, word in parts))
    return words + ("" if counts[Severity.ERROR] or counts[Severity.WARNING] else ", all well")
