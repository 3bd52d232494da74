"""The command `knarr`: its sub-commands, and how a numbered error reaches the terminal."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import click

_COMMANDS = {
    "demo": "knarr.cli.commands.demo",
    "up": "knarr.cli.commands.up",
    "down": "knarr.cli.commands.down",
    "status": "knarr.cli.commands.status",
    "approve": "knarr.cli.commands.approve",
    "plan": "knarr.cli.commands.plan",
    "explain": "knarr.cli.commands.explain",
    "vet": "knarr.cli.vet",
    "render": "knarr.cli.render",
    "diff": "knarr.cli.diff",
    "rbac": "knarr.cli.rbac",
}


class LazyGroup(click.Group):
    """Imports a sub-command when it is asked for, so that `knarr --help` answers at once."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """In the order in which people meet them."""
        return [name for name, module in _COMMANDS.items() if importlib.util.find_spec(module) is not None]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        module = _COMMANDS.get(name)
        if module is None or importlib.util.find_spec(module) is None:
            return None
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="knarr", prog_name="knarr")
def knarr() -> None:
    """GitOps for fleets of Kubernetes clusters.

    \b
    Start with:
      knarr demo                                   the main job, shown on this machine
      knarr up --fleet ./my-fleet --simulate 3     your own fleet repository
      knarr status                                 which commit runs where
    """


def main() -> None:
    """Runs the command; a numbered error is three lines on stderr and exit code 1."""
    from knarr.pipeline.errors import KnarrError

    try:
        knarr.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except KnarrError as error:
        _explain(error)
        sys.exit(1)
    except BaseExceptionGroup as group:
        numbered = group.subgroup(KnarrError)
        if numbered is None:
            raise
        for leaf in _leaves(numbered):
            _explain(leaf)
        sys.exit(1)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found


def _explain(error: BaseException) -> None:
    from knarr.pipeline.errors import KnarrError, failure_of

    if isinstance(error, KnarrError):
        failure = failure_of(error)
        click.echo(f"knarr: {failure.code} {failure.message}", err=True)
        if failure.next_step:
            click.echo(f"  next: {failure.next_step}", err=True)
        click.echo(f"  more: knarr explain {failure.code}", err=True)
