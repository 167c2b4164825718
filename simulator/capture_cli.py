"""``motcua-simulator capture``: PDUs of a running simulator into files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from simulator.cli_common import FILE, as_json_option, print_values, talks_to_simulator
from simulator.control_client import ControlClient


@click.group()
def capture() -> None:
    """PDUs of a running simulator into a pcap for Wireshark, or a log for people."""


@capture.command("start")
@click.option("--pcap", type=FILE, help="for Wireshark; a file that is not there yet")
@click.option("--log", "log_file", type=FILE, help="one decoded PDU a line; a file that is not there yet")
@click.option("--account", help="only this account; default: all")
@click.option("--full", is_flag=True, help="telephone numbers and passwords as they are")
@click.option("--rotate-octets", type=click.IntRange(10_000), help="a larger file becomes FILE.1; default: 100000000")
@click.option("--keep", type=click.IntRange(1, 1000), help="older files that stay; default: 3")
@as_json_option
@talks_to_simulator
def start(client: ControlClient, pcap: Path | None, log_file: Path | None, as_json: bool, **options: Any) -> None:
    """From now on, until it is stopped or the simulator ends."""
    if pcap is None and log_file is None:
        raise click.UsageError("name a file: --pcap FILE, --log FILE, or both")
    # The simulator may have been started in another folder.
    files = {name: str(path.absolute()) for name, path in (("pcap", pcap), ("log", log_file)) if path is not None}
    body = {**files, **{name: value for name, value in options.items() if value is not None}}
    print_values(client.post("capture", body=body), as_json, _lines)


@capture.command("stop")
@click.argument("number", metavar="NUMBER", type=click.IntRange(1))
@as_json_option
@talks_to_simulator
def stop(client: ControlClient, number: int, as_json: bool) -> None:
    """End capture NUMBER; its files are complete then."""
    print_values(client.delete("capture", str(number)), as_json, _lines)


@capture.command("list")
@as_json_option
@talks_to_simulator
def list_(client: ControlClient, as_json: bool) -> None:
    """The captures that run."""
    print_values(
        client.get("capture"), as_json, lambda found: (line for one in found["captures"] for line in _lines(one))
    )


def _lines(one: dict[str, Any]) -> Iterator[str]:
    files = " ".join(one[name] for name in ("pcap", "log") if one[name])
    shown = "numbers and passwords in full" if one["full"] else "numbers masked"
    yield f"capture {one['id']} of {one['account'] or 'all accounts'}: {one['pdus']} PDUs, {shown}, {files}"
