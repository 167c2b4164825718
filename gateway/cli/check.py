"""``motcua-gateway check``: the configuration, the databases and the binds, one line for each fault."""

from __future__ import annotations

from pathlib import Path

import click

from gateway import log as logging_setup
from gateway.cli import cli, config_option, load_or_exit
from gateway.errors import ConfigError
from gateway.settings import LogSettings


@cli.command()
@config_option
@click.option("--offline", is_flag=True, help="Only read the configuration: open no database and try no bind.")
def check(config_path: Path, offline: bool) -> None:
    """Validate the configuration, open each database view, try each bind.

    Prints one line per fault: its YAML path, what is wrong, what to do. Exit status 1 when there are faults.
    """
    settings = load_or_exit(config_path)
    from gateway.app.check import run_check  # brings the reactor: only this command and 'run' want one

    faults = 0

    def show(name: str, found: list[ConfigError]) -> None:
        nonlocal faults
        faults += len(found)
        for fault in found:
            click.echo(str(fault))
        if not found:
            click.echo(f"{name}: ok")

    # The faults are the output; events of the links that are tried would only stand between them.
    logging_setup.configure(LogSettings(level="error"))
    run_check(settings, show, offline=offline)
    if faults:
        click.echo(f"{faults} fault{'s' if faults > 1 else ''} found", err=True)
        raise SystemExit(1)
