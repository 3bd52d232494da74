"""`knarr up`: hub and agents on this machine, against your fleet repository and your contexts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  knarr up --fleet ./my-fleet --simulate 3
  knarr up --fleet https://git.example/fleet.git --context kind-dev --context prod-eu=eu
  knarr up --fleet ./my-fleet --context kind-dev --adopt kind-dev
  knarr up --fleet git@git.example:fleet.git --credentials ./logins.yaml --fleet-credentials git --simulate 1
"""
)
@click.option("--fleet", required=True, metavar="PATH|URL", help="The fleet repository: a folder in Git, or a URL.")
@click.option("--ref", default="", metavar="BRANCH", help="Branch to follow; default: the repository's own.")
@click.option(
    "--credentials",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Logins of private repositories and registries (docs/operations/sources.md).",
)
@click.option("--fleet-credentials", default="", metavar="NAME", help="Which of them is the fleet repository's.")
@click.option(
    "--context",
    "contexts",
    multiple=True,
    metavar="CONTEXT[=NAME]",
    help="A context of your kubeconfig; may be given again. Default name: the context, lower-cased.",
)
@click.option(
    "--simulate",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    show_default=True,
    help="Add N simulated clusters.",
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG or ~/.kube/config.")
@click.option("--state", type=click.Path(path_type=Path), help="State folder; default: ~/.local/state/knarr.")
@click.option("--adopt", multiple=True, metavar="NAME", help="Take a cluster over from another installation.")
@click.option(
    "--poll",
    type=click.FloatRange(min=0.1),
    default=5.0,
    metavar="SECONDS",
    show_default=True,
    help="How often Git is asked.",
)
def up(**asked: object) -> None:
    """Run Knarr on this machine until Ctrl-C.

    Everything listens on loopback only. Workloads stay when it stops; started again with the same state folder it goes
    on where it was. The first output says where the page is and which token writes need.
    """
    from knarr.cli.install.session import UpOptions, run_up

    os.umask(0o077)  # every part keeps copies of what Git and the clusters hold: for this user's eyes only

    options = UpOptions.of(asked)
    try:
        options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise click.BadParameter(f"the folder cannot be made: {error}", param_hint="--state") from error
    asyncio.run(run_up(options))
