"""`knarr render`: the canonical bytes that one cluster would be assigned for one app."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from knarr.cli.charts import ChartFetching, chart_options


@click.command(
    epilog="""\b
Examples:
  knarr render checkout --cluster prod-eu-1
  knarr render checkout --cluster prod-eu-1 -o yaml
  knarr render checkout --cluster prod-eu-1 --ref main | sha256sum
"""
)
@click.argument("app")
@click.option("--cluster", default="", metavar="NAME", help="Needed where the fleet names its clusters.")
@click.option("--fleet", type=click.Path(path_type=Path), default=Path(), help="The fleet repository's folder.")
@click.option("--ref", default="", help="A commit, branch or tag instead of the folder as it is.")
@click.option("--source", "sources", multiple=True, metavar="NAME=FOLDER", help="A checkout of another source.")
@chart_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["canonical", "yaml", "digest"]),
    default="canonical",
    help="canonical: the bytes whose sha256 the assignment names; yaml: for reading, Secrets included.",
)
def render(
    app: str,
    cluster: str,
    fleet: Path,
    ref: str,
    sources: tuple[str, ...],
    fetch_charts: bool,
    credentials: Path | None,
    output: str,
) -> None:
    """Print what CLUSTER would be assigned for APP."""
    charts = ChartFetching(wanted=fetch_charts, credentials=credentials)
    digest, plain = asyncio.run(_rendered(app, cluster, fleet, ref, sources, charts))
    if output == "digest":
        click.echo(digest.hex())
    elif output == "yaml":
        click.echo(_as_yaml(plain), nl=False)
    else:
        sys.stdout.buffer.write(plain)
        sys.stdout.buffer.flush()


async def _rendered(
    app: str, cluster: str, fleet: Path, ref: str, sources: tuple[str, ...], charts: ChartFetching
) -> tuple[bytes, bytes]:
    from knarr.cli.laptop import commit_snapshots, folder_snapshots, laptop_renderer
    from knarr.renderer.vet import IMAGINARY_CLUSTER, bundle_for, rendered_offline

    snapshots = commit_snapshots(fleet, ref, sources) if ref else folder_snapshots(fleet, sources)
    async with laptop_renderer() as renderer:
        wanted = cluster or IMAGINARY_CLUSTER
        return bundle_for(await rendered_offline(renderer, await charts.complete(snapshots), wanted), app, wanted)


def _as_yaml(plain: bytes) -> str:
    import yaml

    from knarr.bundle.packing import unpack

    text: str = yaml.dump_all(unpack(plain).objects, Dumper=yaml.CSafeDumper, sort_keys=False, explicit_start=True)
    return text
