"""``motcua-gateway run``: the daemon."""

from __future__ import annotations

import re
from pathlib import Path

import click

from gateway.cli import cli, config_option, load_or_exit
from gateway.settings import NODE_NAME


def _node_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    if name is not None and not re.fullmatch(NODE_NAME, name):
        raise click.BadParameter("1 to 40 letters, digits, '_', '.' or '-'")
    return name


@cli.command()
@config_option
@click.option(
    "--node",
    envvar="MOTCUA_NODE",
    show_envvar=True,
    callback=_node_name,
    help="This node's name, in place of the file's: all nodes may have the same file.",
)
def run(config_path: Path, node: str | None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, then drain and stop."""
    settings = load_or_exit(config_path)
    if node is not None:
        settings = settings.model_copy(update={"node": node})
    from gateway.app.daemon import run_daemon  # installs the reactor: only this command wants one

    raise SystemExit(run_daemon(settings))
