"""`knarr explain KNRnnnn`: what a numbered error means."""

from __future__ import annotations

import click


@click.command(epilog="\b\nExamples:\n  knarr explain KNR3003\n  knarr explain --all")
@click.argument("code", required=False)
@click.option("--all", "everything", is_flag=True, help="List every number with its title.")
def explain(code: str | None, everything: bool) -> None:
    """Say what an error number means, what usually causes it, and what to do next."""
    from knarr.pipeline.errors import CATALOGUE

    if everything or code is None:
        for entry in CATALOGUE.values():
            click.echo(f"{entry.code}  {entry.title}")
        return
    found = CATALOGUE.get(code.upper()) or CATALOGUE.get(f"KNR{code}")
    if found is None:
        raise click.ClickException(f"there is no error {code}; `knarr explain --all` lists them")
    click.echo(f"{found.code}  {found.title}  ({found.kind.value})\n")
    click.echo(f"Cause:  {found.cause}")
    click.echo(f"Next:   {found.next_step}")
