"""`knarr down`: take the agents' own namespace out of real clusters. Workloads stay."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click


@click.command(epilog="\b\nExamples:\n  knarr down\n  knarr down --context kind-dev --yes")
@click.option(
    "--context", "contexts", multiple=True, metavar="CONTEXT", help="Only these; default: those of the last up."
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: the one of the last up.")
@click.option("--state", type=click.Path(path_type=Path), help="State folder of the installation.")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
def down(contexts: tuple[str, ...], kubeconfig: Path | None, state: Path | None, sure: bool) -> None:
    """Remove the agents' namespace (knarr-system) from the clusters of an installation, after asking.

    What the apps put into the clusters stays. Without its namespace an agent that comes back starts afresh.
    """
    from knarr.cli.install.place import Place, default_state
    from knarr.cli.install.removal import clusters_of, remove_namespace

    clusters = clusters_of(Place(state or default_state()), contexts, kubeconfig)
    if not clusters:
        click.echo("no real cluster belongs to this installation; nothing to remove")
        return
    click.echo("the namespace knarr-system would be removed from: " + ", ".join(c.context for c in clusters))
    if not sure:
        click.confirm("Remove it?", abort=True)
    for cluster in clusters:
        outcome = asyncio.run(remove_namespace(cluster))
        click.echo(f"{cluster.context}: {outcome}")
