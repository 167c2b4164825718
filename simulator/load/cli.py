"""``motcua-simulator load esme`` and ``load smsc``: how much the other side takes, and how fast it answers."""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from simulator.cli_common import EXIT_REFUSED, FILE, as_json_option
from simulator.load.pace import Pace

F = TypeVar("F", bound=Callable[..., None])
_DEFAULT_DURATION_S = 10.0


@click.group()
def load() -> None:
    """Messages at a rate, and how long their answers took. Exit code 0: all answered; 1: something is missing; 2: wrong options."""


def _rate(_ctx: click.Context, _param: click.Parameter, value: str) -> float | None:
    if value == "max":
        return None
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1_000_000:
        raise click.BadParameter(f"'{value}' is no rate: a number of messages a second, or max")
    return rate


def _common(command: F) -> F:
    """What both roles take."""
    options = [
        click.option("--rate", default="100", callback=_rate, show_default=True, help="messages a second, or max"),
        click.option("--count", type=click.IntRange(1), help="messages"),
        click.option(
            "--duration", "duration_s", type=click.FloatRange(min=0, min_open=True),
            help=f"seconds of sending; default: {_DEFAULT_DURATION_S:g}, unless there is a count",
        ),
        click.option("--system-id", default="load", show_default=True),
        click.option("--password", default="load", show_default=True, envvar="MOTCUA_LOAD_PASSWORD"),
        click.option(
            "--wait", "wait_s", type=click.FloatRange(0, 3600), default=30.0, show_default=True,
            help="seconds for what is still awaited after the last message",
        ),
        click.option("--seed", type=int, help="of all randomness; default: drawn anew"),
        click.option("--progress", is_flag=True, help="a line each second on standard error, though it is no terminal"),
        as_json_option,
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _seconds(count: int | None, duration_s: float | None) -> float | None:
    return _DEFAULT_DURATION_S if duration_s is None and count is None else duration_s


def _target(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"'{value}' is not HOST:PORT like 127.0.0.1:2775")
    return host.strip("[]"), int(port)


@load.command()
@click.argument("target", metavar="HOST:PORT", callback=_target)
@_common
@click.option("--binds", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option(
    "--window", type=click.IntRange(1, 100_000), default=100, show_default=True, help="open submits of a bind"
)
@click.option(
    "--mode",
    type=click.Choice(["transceiver", "transmitter", "pair"]),
    default="transceiver",
    show_default=True,
    help="pair: a transmitter and a receiver for each bind",
)
@click.option(
    "--interface-version", type=click.Choice(["3.3", "3.4", "5.0"]), default="3.4", show_default=True, help="of SMPP"
)
@click.option("--text", default="Motcua load {sequence}", show_default=True, help="{sequence}, {number}, {random:8}")
@click.option("--coding", type=click.Choice(["auto", "gsm7", "ucs2"]), default="auto", show_default=True)
@click.option(
    "--form", type=click.Choice(["udh8", "udh16", "sar", "payload"]), default="udh8", show_default=True,
    help="of a long text",
)  # fmt: skip
@click.option("--from", "source_addr", default="MotcuaSMS", show_default=True, help="source_addr")
@click.option(
    "--to-pattern", default="849########", show_default=True, help="handsets: # counts up, ? is a random digit"
)
@click.option("--receipts", is_flag=True, help="ask for a receipt for each submit, and await them")
@click.option("--obey-throttling", is_flag=True, help="send what was throttled again, after a pause")
def esme(
    target: tuple[str, int],
    rate: float | None,
    count: int | None,
    duration_s: float | None,
    wait_s: float,
    seed: int | None,
    progress: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """As ESME: bind to HOST:PORT and submit. The rate counts submit_sm: parts of a long text one by one."""
    from twisted.internet import reactor as installed

    from simulator.load.esme import EsmeLoad
    from simulator.load.esme_connect import connect
    from simulator.load.run import LoadRun, print_report
    from simulator.load.submit_pdus import Sender, SubmitBodies
    from simulator.load.templates import NumberPattern, TextTemplate

    if options["receipts"] and options["mode"] == "transmitter":
        raise click.UsageError("a transmitter gets no receipts: --mode pair or transceiver")
    rng = random.Random(seed)
    source = options["source_addr"]
    sender = Sender(source, *((1, 1) if source.lstrip("+").isdigit() else (5, 0)), receipts=options["receipts"])
    try:
        text, to = TextTemplate(options["text"], rng), NumberPattern(options["to_pattern"], rng)
        bodies = SubmitBodies(sender, text, to, coding=options["coding"], form=options["form"])
        next(bodies.message(1))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    reactor: Any = installed
    run = LoadRun(reactor, progress)
    modes = ["transmitter", "receiver"] if options["mode"] == "pair" else [options["mode"]]
    made = EsmeLoad(
        reactor,
        bodies,
        Pace(rate, None, _seconds(count, duration_s)),  # the messages are counted, the pace counts their parts
        count=count,
        receipts=options["receipts"],
        obey_throttling=options["obey_throttling"],
        wait_s=wait_s,
        links=options["binds"] * len(modes),
        done=run.done,
    )
    connect(reactor, made, target, modes * options["binds"], options, wait_s)
    _run(run, made, as_json, print_report)


def _run(run: Any, made: Any, as_json: bool, print_report: Any) -> None:
    began_s = time.process_time()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    run.run(made)
    print_report(made, as_json, began_s)
    if not made.complete:
        sys.exit(EXIT_REFUSED)


@load.command()
@_common
@click.option("--config", type=FILE, help="the simulator's file, for its accounts; default: one account of --system-id")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=2775, show_default=True, help="where there is no --config"
)
@click.option(
    "--control-port", type=click.IntRange(0, 65535), default=0, help="of the control interface; 0: a free one"
)
@click.option("--window", type=click.IntRange(1, 100_000), default=100, show_default=True, help="open MO of a bind")
@click.option("--text", default="MCKH {code}", show_default=True, help="{code}, {sequence}, {number}, {random:8}")
@click.option(
    "--codes", "codes_file", type=FILE, help="a code a line, taken in turn; default: 0101700000, 0101700001 …"
)
@click.option(
    "--from-pattern", default="849########", show_default=True, help="handsets: # counts up, ? is a random digit"
)
@click.option("--to", default="8083", show_default=True, help="the shortcode")
@click.option("--replies", is_flag=True, help="await a submit_sm from the shortcode to each handset")
@click.option(
    "--bind-wait", "bind_s", type=click.FloatRange(0, 86_400), default=60.0, show_default=True,
    help="seconds for the first ESME that can receive",
)  # fmt: skip
def smsc(
    rate: float | None,
    count: int | None,
    duration_s: float | None,
    wait_s: float,
    seed: int | None,
    progress: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """As SMSC: listen, and let handsets send to the ESME that binds."""
    from twisted.internet import reactor as installed

    from simulator import log
    from simulator.load.run import LoadRun, print_report
    from simulator.load.smsc import MoLoad
    from simulator.load.smsc_settings import codes, settings_of
    from simulator.load.templates import NumberPattern, TextTemplate
    from simulator.simulator import Simulator

    rng = random.Random(seed)
    try:
        text = TextTemplate(options["text"], rng, codes(options["codes_file"]))
        sender = NumberPattern(options["from_pattern"], rng)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = settings_of(options, seed)
    log.configure(settings.log)
    reactor: Any = installed
    run = LoadRun(reactor, progress)
    simulator = Simulator(reactor, settings)
    simulator.start()
    made = MoLoad(
        simulator,
        Pace(rate, count, _seconds(count, duration_s)),
        text,
        sender,
        to=options["to"],
        replies=options["replies"],
        window=options["window"],
        wait_s=wait_s,
        bind_s=options["bind_s"],
        done=run.done,
    )
    reactor.addSystemEventTrigger("after", "shutdown", simulator.stop)
    _run(run, made, as_json, print_report)
