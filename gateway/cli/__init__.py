"""The command line: ``motcua-gateway``. It parses, calls, prints; the work is done elsewhere.

Exit status: 0 done, 1 the thing asked for has faults, 2 wrong use of the command.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

import gateway
from gateway.errors import GatewayError
from gateway.settings import ConfigFaults, GatewaySettings, load_settings

#: The folder of a service: its configuration lies where the README says.
DEFAULT_CONFIG = Path("config/gateway.yaml")

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The configuration file.",
)


def load_or_exit(path: Path) -> GatewaySettings:
    """The settings, or one line per fault on standard error and exit 1."""
    try:
        return load_settings(path)
    except ConfigFaults as faults:
        for fault in faults.faults:
            click.echo(str(fault), err=True)
        raise SystemExit(1) from None


class _Group(click.Group):
    """Shows an expected error as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            click.echo(f"error: {error}", err=True)
            raise SystemExit(1) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(gateway.__version__, prog_name="motcua-gateway")
def cli() -> None:
    """Motcua Gateway: tells citizens about their dossiers by SMS."""


def main() -> None:
    """Entry point of ``motcua-gateway``. Output is UTF-8 whatever the locale says: it is Vietnamese."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    cli()


from gateway.cli import (  # noqa: E402 - each adds its commands to the group above
    check,
    db,
    explain,
    mo,
    preview,
    reconcile,
    report,
    run,
    source,
    templates,
    trace,
)

__all__ = [
    "check",
    "cli",
    "config_option",
    "db",
    "explain",
    "load_or_exit",
    "main",
    "mo",
    "preview",
    "reconcile",
    "report",
    "run",
    "source",
    "templates",
    "trace",
]
