"""What the commands have in common: exit codes, how the running simulator is found, how answers are printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from simulator.config_file import load_settings
from simulator.control_client import ControlClient
from simulator.settings import DEFAULT_CONTROL_PORT

F = TypeVar("F", bound=Callable[..., None])

EXIT_REFUSED = 1  # the ESME refused the MO, or the command failed
EXIT_BAD_CONFIGURATION = 2  # click's own code for a wrong command line, too
EXIT_KEPT = 3  # the MO has no answer yet
FILE = click.Path(path_type=Path)


def talks_to_simulator(command: F) -> F:
    """Adds --control and --config, and passes a :class:`ControlClient` as ``client``."""

    @click.option("--control", "url", envvar="MOTCUA_SIMULATOR", help="control interface of the running simulator")
    @click.option("--config", "config", type=FILE, help="the running simulator's file: its control port is taken")
    @wraps(command)
    def with_client(*args: Any, url: str | None, config: Path | None, **kwargs: Any) -> None:
        if url is None:
            settings = load_settings(config).control
            url = f"http://{settings.host}:{settings.port or DEFAULT_CONTROL_PORT}"
        command(*args, client=ControlClient(url), **kwargs)

    return with_client  # type: ignore[return-value]


as_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


def print_values(values: Any, as_json: bool, lines: Callable[[Any], Iterable[str]]) -> None:
    """As JSON, or as the lines that ``lines`` makes of them."""
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False))
    else:
        for line in lines(values):
            click.echo(line)
