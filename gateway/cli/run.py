"""``motcua-gateway run``: the daemon."""

from __future__ import annotations

from pathlib import Path

from gateway.cli import cli, config_option, load_or_exit


@cli.command()
@config_option
def run(config_path: Path) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, then drain and stop."""
    settings = load_or_exit(config_path)
    from gateway.app.daemon import run_daemon  # installs the reactor: only this command wants one

    raise SystemExit(run_daemon(settings))
