"""`knarr rbac`: the least that an app's service account must be allowed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from knarr.bundle.packing import Bundle


@click.command(
    epilog="""\b
Examples:
  knarr rbac catalog --cluster prod-eu-1 | kubectl apply -f -
  knarr rbac catalog --service-account deployer
  knarr rbac catalog --chart-values > agent-values.yaml
"""
)
@click.argument("app")
@click.option("--cluster", default="", metavar="NAME", help="Needed where the fleet names its clusters.")
@click.option("--fleet", type=click.Path(path_type=Path), default=Path(), help="The fleet repository's folder.")
@click.option("--source", "sources", multiple=True, metavar="NAME=FOLDER", help="A checkout of another source.")
@click.option("--service-account", default="", metavar="NAME", help="Default: the one that the app names, or its own.")
@click.option("--chart-values", is_flag=True, help="Instead: what the agent itself needs, as values of its chart.")
def rbac(
    app: str, cluster: str, fleet: Path, sources: tuple[str, ...], service_account: str, chart_values: bool
) -> None:
    """Print the minimal roles with which APP, as it is now in the folder, can be applied to CLUSTER.

    A service account in the app's namespace with a role there, further roles in other namespaces, and a cluster role
    for objects without a namespace. A later commit that brings a new kind needs them printed again.
    """
    from knarr.cli.roles import needs_of

    bundle = asyncio.run(_bundle(app, cluster, fleet, sources))
    account = service_account or bundle.header.service_account or app
    needs = needs_of(bundle, account)
    for kind in needs.guessed:
        click.echo(f"the plural of {kind} is a guess: its definition is not part of this app", err=True)
    if bundle.header.service_account != account:
        click.echo(f"knarr.yaml of {app} must say `serviceAccount: {account}` for this to take effect", err=True)
    click.echo(_text((needs.agent,) if chart_values else needs.account), nl=False)


async def _bundle(app: str, cluster: str, fleet: Path, sources: tuple[str, ...]) -> Bundle:
    from knarr.bundle.packing import unpack
    from knarr.cli.laptop import folder_snapshots, laptop_renderer
    from knarr.renderer.vet import IMAGINARY_CLUSTER, bundle_for, rendered_offline

    wanted = cluster or IMAGINARY_CLUSTER
    async with laptop_renderer() as renderer:
        result = await rendered_offline(renderer, folder_snapshots(fleet, sources), wanted)
    return unpack(bundle_for(result, app, wanted)[1])


def _text(documents: tuple[object, ...]) -> str:
    import yaml

    class Plain(yaml.SafeDumper):
        """Without anchors: people read this."""

        def ignore_aliases(self, _data: object) -> bool:
            return True

    text: str = yaml.dump_all(documents, Dumper=Plain, sort_keys=False, explicit_start=len(documents) > 1)
    return text
