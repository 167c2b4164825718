"""``motcua-gateway trace``: the PDUs of one bind of the running daemon, as they cross the wire."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gateway.cli import cli, config_option, load_or_exit
from gateway.errors import GatewayError
from gateway.settings import BindSettings, GatewaySettings

CONNECT_TIMEOUT_S = 5.0


@cli.command()
@click.argument("bind")
@config_option
@click.option("--pcap", "pcap_path", type=click.Path(path_type=Path), help="Also write a capture for Wireshark.")
@click.option("--seconds", type=float, default=None, help="End after this time; default: on Ctrl-C.")
@click.option("--full", is_flag=True, help="Show whole telephone numbers.")
def trace(bind: str, config_path: Path, pcap_path: Path | None, seconds: float | None, full: bool) -> None:
    """Show what a bind of the daemon on this machine sends (>) and receives (<), a line for each PDU.

    To trace from the first PDU of a connection, or for days, use the setting 'trace' of the bind.
    """
    settings = load_or_exit(config_path)
    found = _bind(settings, bind)
    from gateway.app.tracing import Shower, registry_of
    from gateway.smpp.pcap import FILE_HEADER, Capture

    shower, capture = Shower(found, registry_of(settings, found), full=full), Capture()
    try:
        file = pcap_path.open("wb", buffering=0) if pcap_path is not None else None
    except OSError as error:
        raise GatewayError(f"{pcap_path} cannot be written: {error.strerror}") from error
    try:
        if file is not None:
            file.write(FILE_HEADER)
        for traced in _traced(settings.trace_socket, bind, seconds):
            safe = shower.safe(traced)
            click.echo(shower.line(safe))
            if file is not None:
                file.write(capture.packets(safe))
    except KeyboardInterrupt:
        click.echo("", err=True)
    except OSError as error:
        raise GatewayError(f"the trace ended: {error}") from error
    finally:
        if file is not None:
            file.close()


def _bind(settings: GatewaySettings, name: str) -> BindSettings:
    binds = {bind.name: bind for operator in settings.operators.values() for bind in operator.binds}
    if name not in binds:
        raise GatewayError(f"there is no bind '{name}'; there are {', '.join(binds)}")
    return binds[name]


def _traced(path: Path | None, bind: str, seconds: float | None) -> Iterator[Any]:
    """PDUs as they come, until the time is over or the daemon stops."""
    from gateway.smpp.trace import Address, Traced

    if path is None:
        raise GatewayError("trace_socket is null in this configuration; set it, or use the bind's setting 'trace'")
    deadline = None if seconds is None else time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(CONNECT_TIMEOUT_S)
        try:
            line.connect(str(path))
        except OSError as error:
            what = f"no daemon answers at {path} ({error.strerror or error})"
            raise GatewayError(
                f"{what}. Is it running, with this configuration, as this user, in this folder?"
            ) from error
        line.sendall(json.dumps({"bind": bind}).encode() + b"\n")
        for values in _lines(line, deadline):
            if "error" in values:
                raise GatewayError(f"the daemon says: {values['error']}")
            if "bind" in values:
                click.echo(f"looking at {bind}; Ctrl-C ends", err=True)
            elif "lost" in values:
                click.echo(f"{values['lost']} PDUs were not shown: too many at once", err=True)
            else:
                yield Traced(
                    values["at"],
                    values["connection"],
                    values["sent"],
                    Address(*values["ours"]),
                    Address(*values["theirs"]),
                    bytes.fromhex(values["octets"]),
                )


def _lines(line: socket.socket, deadline: float | None) -> Iterator[dict[str, Any]]:
    held = b""
    while True:
        if deadline is None:
            line.settimeout(None)
        else:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            line.settimeout(left)
        try:
            data = line.recv(65_536)
        except TimeoutError:
            return
        if not data:
            click.echo("the daemon ended the trace", err=True)
            return
        *whole, held = (held + data).split(b"\n")
        for one in whole:
            yield json.loads(one)
