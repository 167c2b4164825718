"""The command line: ``motcua-gateway``. It parses, calls, prints; the work is done elsewhere.

Exit status: 0 done, 1 the thing asked for has faults, 2 wrong use of the command.
"""

from __future__ import annotations

import importlib
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


#: Each is a module of this package, which adds its commands to the group below.
_COMMANDS = (
    "check",
    "db",
    "explain",
    "mo",
    "outbox",
    "preview",
    "reconcile",
    "report",
    "retention",
    "run",
    "source",
    "templates",
    "trace",
)


class _Group(click.Group):
    """Imports only what the wanted command needs, and shows an expected error as one line, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            importlib.import_module(f"gateway.cli.{cmd_name}")
        return super().get_command(ctx, cmd_name)

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
