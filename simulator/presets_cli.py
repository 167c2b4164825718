"""``motcua-simulator presets``: the known habits, and one of them as it would stand in a file."""

from __future__ import annotations

import textwrap

import click
import yaml

from simulator.cli_common import EXIT_REFUSED


@click.command()
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """The SMSCs whose habits 'preset: NAME' gives an account; with NAME, its settings as YAML."""
    from simulator import presets as known

    if name is None:
        for preset in known.presets().values():
            click.echo(preset.name)
            click.echo(textwrap.indent(textwrap.fill(preset.about, 100), "    "))
        return
    chosen = known.presets().get(name)
    if chosen is None:
        click.echo(f"there is no preset '{name}'; it is one of: {', '.join(known.presets())}", err=True)
        raise SystemExit(EXIT_REFUSED)
    click.echo(f"# {chosen.about}")
    click.echo(yaml.safe_dump(chosen.account, sort_keys=False, allow_unicode=True), nl=False)
