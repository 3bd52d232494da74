"""`knarr demo`: the main job, shown on this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  knarr demo
  knarr demo --once     run the story to its end and exit
  knarr demo --real     on a dozen real API servers
"""
)
@click.option("--once", is_flag=True, help="Exit at the end: 0 only if all converged and nothing held was deleted.")
@click.option("--real", is_flag=True, help="Real kube-apiservers with controllers, scheduler and kwok.")
@click.option("--state", type=click.Path(path_type=Path), default=Path(".knarr/demo"), show_default=True)
def demo(once: bool, real: bool, state: Path) -> None:
    """Show commits become healthy clusters: NATS, PostgreSQL, Git, all services and a dozen agents on loopback.

    The story ends with the accident that Knarr exists to stop. It stays up until Ctrl-C, and then leaves nothing
    outside its state folder.
    """
    from knarr.cli.demo.stage import run_demo

    os.umask(0o077)  # as in `knarr up`

    asyncio.run(run_demo(state.resolve(), once=once, real=real))
