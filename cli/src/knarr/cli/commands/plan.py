"""`knarr plan CLUSTER [APP]`: what a cluster's agent would do, asked of that agent; nothing is changed."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import Any

import click

from knarr.cli.api import Api, find_api
from knarr.cli.plans import plan_text
from knarr.pipeline.errors import retryable

_LOOK_SECONDS = 0.1


@click.command(
    epilog="""\b
Examples:
  knarr plan prod-eu-1                            every app that the cluster should have
  knarr plan prod-eu-1 catalog
  knarr plan prod-eu-1 catalog --revision 3f2a91c0d1e2   a held revision, before it is approved
"""
)
@click.argument("cluster")
@click.argument("app", required=False)
@click.option("--revision", default="", metavar="R", help="Another revision than the newest; needs APP.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option("--all", "everything", is_flag=True, help="Show unchanged objects, too.")
@click.option("--wait", "seconds", default=30.0, show_default=True, metavar="SECONDS", help="For the agent's answer.")
@click.option("--state", type=click.Path(path_type=Path), help="State folder of the installation.")
def plan(
    cluster: str, app: str | None, revision: str, output: str, everything: bool, seconds: float, state: Path | None
) -> None:
    """Ask CLUSTER's agent what it would create, change and delete for APP. Values are masked by the agent.

    The agent compares with what is in the cluster now and changes nothing. Exit code 3 when it would fail or refuse.
    """
    if revision and app is None:
        raise click.UsageError("--revision needs APP")
    api = find_api(state)
    apps = [app] if app is not None else _apps_of(api, cluster)
    if not apps:
        click.echo(f"{cluster} should have no app")
    plans = [_planned(api, cluster, name, revision, seconds) for name in apps]
    if output == "json":
        click.echo(json.dumps(plans, indent=2))
    else:
        click.echo("\n\n".join(plan_text(found, everything=everything) for found in plans))
    if any(found["failures"] for found in plans):
        click.get_current_context().exit(3)


def _apps_of(api: Api, cluster: str) -> list[str]:
    placements = api.get(f"clusters/{cluster}")["placements"]
    return sorted(str(p["app"]) for p in placements if p["standing"] != "removed")


def _planned(api: Api, cluster: str, app: str, revision: str, seconds: float) -> dict[str, Any]:
    """KNR6215 when the agent does not answer in time."""
    body = {"app": app, "actor": getpass.getuser(), **({"revision": revision} if revision else {})}
    command = api.post(f"clusters/{cluster}/plan", body)["command_id"]
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = api.get(f"clusters/{cluster}/plans/{command}")
        if found["answered"]:
            return found
        if time.monotonic() > deadline:
            raise retryable("KNR6215", f"{cluster} did not answer for {app} within {seconds:g} s")
        time.sleep(_LOOK_SECONDS)
