"""``motcua-simulator mo`` and ``replay``: handsets send, one message or a whole file of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from simulator import show
from simulator.cli_common import EXIT_KEPT, EXIT_REFUSED, FILE, as_json_option, print_values, talks_to_simulator
from simulator.control_client import ControlClient
from simulator.replay import parse_tlv


def _tlvs(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        return [parse_tlv(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _numbers(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[int] | None:
    try:
        return None if value is None else [int(word) for word in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"'{value}' is not a list of numbers like 2,1,3") from None


def _octet(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        number = int(value, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= 255:
        raise click.BadParameter(f"'{value}' is not an octet: 0 to 255, or 0x00 to 0xFF")
    return number


@click.command()
@click.option("--from", "phone", required=True, help="the handset: 84905123456 or 0905123456")
@click.option("--to", required=True, help="the shortcode: 8083")
@click.option("--account", help="operator's account; default: by the handset's prefix")
@click.option(
    "--coding", type=click.Choice(["auto", "gsm7", "ucs2", "ascii", "latin1"]), default="auto", help="auto: by the text"
)
@click.option("--form", type=click.Choice(["udh8", "udh16", "sar", "payload"]), help="of a long text")
@click.option("--copies", type=click.IntRange(1, 100), default=1, help="deliver the same MO so many times")
@click.option(
    "--order",
    callback=_numbers,
    metavar="N,N,…",
    help="parts of a long text as they leave: 3,1 (2 never comes), 1,1,2 (1 twice)",
)
@click.option("--flash", is_flag=True, help="class 0")
@click.option(
    "--tlv",
    "tlvs",
    multiple=True,
    callback=_tlvs,
    metavar="TAG=VALUE",
    help="0x1402=text or 0x0204=hex:0001; may stand often",
)
@click.option("--octets", help="in place of TEXT, in hexadecimal")
@click.option("--data-coding", callback=_octet, metavar="OCTET", help="in place of what the coding says: 0x04")
@click.option(
    "--esm-class", callback=_octet, metavar="OCTET", help="0x40 when the octets begin with a user data header"
)
@click.option("--wait", "wait_s", type=click.FloatRange(0, 600), default=10.0, help="seconds to wait for the answer")
@click.argument("text", required=False, default="")
@as_json_option
@talks_to_simulator
def mo(client: ControlClient, phone: str, wait_s: float, as_json: bool, **options: Any) -> None:
    """A handset sends TEXT. Exit code 0: taken; 1: refused; 3: kept, no ESME has taken it yet."""
    if not options["text"] and options["octets"] is None:
        raise click.UsageError("say what the handset sends: TEXT, or --octets")
    chosen = {name: value for name, value in options.items() if value is not None}
    body = {"from": phone, "wait_s": wait_s, **chosen}
    answer = client.post("mo", body=body, timeout_s=wait_s + 30)
    print_values(answer, as_json, show.mo_lines)
    if answer["state"] != "delivered":
        sys.exit(EXIT_KEPT if answer["state"] == "kept" else EXIT_REFUSED)


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="MO a second; default: by the column 'at', or 10"
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    help="of the column 'at': 10 is ten times as fast",
)
@click.option("--repeat", type=click.IntRange(1), default=1, help="the file so many times over")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 3600), default=30.0, help="seconds to wait for answers at the end"
)
@as_json_option
@talks_to_simulator
def replay(
    client: ControlClient, file: Path, rate: float | None, speed: float, repeat: int, wait_s: float, as_json: bool
) -> None:
    """Handsets send what FILE says: CSV with a first line of names, from, to and text among them.

    Also understood: at (seconds from the beginning), account, coding, form, copies, order, flash, octets, data_coding,
    esm_class, tlvs (0x1402=text;0x0204=hex:0001). Exit code as of 'mo'.
    """
    from simulator.replay import Replay, read_rows, report_lines

    rows = read_rows(file)
    report = Replay(client.url).run(rows, rate=rate, speed=speed, repeat=repeat, wait_s=wait_s)
    print_values(report, as_json, report_lines)
    if report["states"].get("kept"):
        sys.exit(EXIT_KEPT)
    if set(report["states"]) - {"delivered"}:
        sys.exit(EXIT_REFUSED)
