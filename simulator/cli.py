"""Command line of the simulator. ``run`` is its composition root: the only place with the real reactor."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import click

from simulator import show
from simulator.behaviours.faults import FaultKind
from simulator.capture_cli import capture
from simulator.cli_common import (
    EXIT_BAD_CONFIGURATION,
    EXIT_REFUSED,
    FILE,
    as_json_option,
    print_values,
    talks_to_simulator,
)
from simulator.config_file import load_settings, parse_settings
from simulator.control_client import ControlClient
from simulator.errors import ConfigFaults, SimulatorError
from simulator.load.cli import load
from simulator.mo_cli import mo, replay
from simulator.presets_cli import presets
from simulator.scenario.cli import scenario
from simulator.settings import SimulatorSettings
from simulator.values import parse_status


def main() -> None:
    """Entry point of ``motcua-simulator``."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except ConfigFaults as faults:
        for fault in faults.faults:
            click.echo(f"motcua-simulator: {fault}", err=True)
        sys.exit(EXIT_BAD_CONFIGURATION)
    except SimulatorError as error:
        click.echo(f"motcua-simulator: {error}", err=True)
        sys.exit(EXIT_REFUSED)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """An SMSC on your own machine: accounts, receipts, handsets, faults on demand."""


cli.add_command(capture)
cli.add_command(load)
cli.add_command(mo)
cli.add_command(presets)
cli.add_command(replay)
cli.add_command(scenario)


@cli.command()
@click.option("--config", type=FILE, help="YAML file; without one: any system_id and password on one port")
@click.option("--preset", help="habits of a known SMSC, in place of a file: 'motcua-simulator presets' lists them")
@click.option("--port", type=click.IntRange(0, 65535), help="SMPP port, where there is one account; 0 takes a free one")
@click.option("--control-port", type=click.IntRange(0, 65535), help="port of the HTTP control interface")
@click.option("--page-port", type=click.IntRange(0, 65535), help="the page on a port of its own, too")
@click.option("--record", type=FILE, help="file for the record of everything that passed, JSON lines")
@click.option("--capture", "pcap", type=FILE, help="every PDU into this file, for Wireshark")
@click.option("--capture-log", type=FILE, help="every PDU into this file, decoded, one a line")
@click.option("--capture-full", is_flag=True, help="captures show telephone numbers and passwords as they are")
@click.option("--seed", type=int, help="of all randomness")
@click.option("--json", "as_json", is_flag=True, help="announce readiness as one JSON object")
def run(
    config: Path | None,
    preset: str | None,
    port: int | None,
    control_port: int | None,
    page_port: int | None,
    record: Path | None,
    pcap: Path | None,
    capture_log: Path | None,
    capture_full: bool,
    seed: int | None,
    as_json: bool,
) -> None:
    """Run the simulator until it is stopped (Ctrl-C, SIGTERM)."""
    if config is not None and preset is not None:
        raise click.UsageError("--preset stands in place of a file; in a file, write 'preset:' into an account")
    loaded = load_settings(config) if preset is None else parse_settings({"accounts": {preset: {"preset": preset}}})
    settings = _overridden(loaded, port, {"port": control_port, "page_port": page_port}, record, seed)
    captured = {"pcap": pcap, "log": capture_log, "full": capture_full or None}
    given = {name: value for name, value in captured.items() if value is not None}
    settings = settings.model_copy(update={"capture": settings.capture.model_copy(update=given)})
    from twisted.internet import reactor as installed  # the composition root: only a command that runs installs one

    from simulator import log
    from simulator.simulator import Simulator

    log.configure(settings.log)
    reactor: Any = installed
    simulator = Simulator(reactor, settings)
    simulator.start()
    reactor.addSystemEventTrigger("before", "shutdown", simulator.stop)

    def announce() -> None:
        if as_json:
            url = f"http://{settings.control.host}:"
            urls = {"control": f"{url}{simulator.control_port}", "page": f"{url}{simulator.page_port}/page"}
            click.echo(json.dumps({"ready": True, "ports": simulator.ports, **urls, "seed": simulator.seed}))
        else:
            for line in show.start_lines(settings, simulator):
                click.echo(line)
        sys.stdout.flush()

    # Once the reactor runs: whoever reads "ready" may send SIGTERM at once, and an orderly end needs its handler.
    reactor.callWhenRunning(announce)
    # What lives is bounded and has few cycles: the collector's usual pace costs a fifth of the time under load.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    reactor.run()


def _overridden(
    settings: SimulatorSettings,
    port: int | None,
    control: dict[str, int | None],
    record: Path | None,
    seed: int | None,
) -> SimulatorSettings:
    if port is not None:
        if len(settings.accounts) > 1:
            raise click.UsageError(
                f"--port is for one account; the configuration has {len(settings.accounts)}: set their ports there"
            )
        accounts = {name: account.model_copy(update={"port": port}) for name, account in settings.accounts.items()}
        settings = settings.model_copy(update={"accounts": accounts})
    given = {name: value for name, value in control.items() if value is not None}
    if given:
        settings = settings.model_copy(update={"control": settings.control.model_copy(update=given)})
    if record is not None:
        settings = settings.model_copy(update={"record": settings.record.model_copy(update={"path": record})})
    return settings if seed is None else settings.model_copy(update={"seed": seed})


@cli.command()
@click.argument("number", required=False)
@as_json_option
@talks_to_simulator
def inbox(client: ControlClient, number: str | None, as_json: bool) -> None:
    """What the handset NUMBER received; without one, all handsets."""
    if number is not None:
        print_values(client.get("inbox", number), as_json, show.inbox_lines)
        return
    inboxes = [client.get("inbox", handset["number"]) for handset in client.get("inbox")["handsets"]]
    if as_json:
        click.echo(json.dumps({"handsets": inboxes}, ensure_ascii=False))
    elif not inboxes:
        click.echo("No handset has received anything.")
    for one in () if as_json else inboxes:
        print_values(one, False, show.inbox_lines)


@cli.command()
@as_json_option
@talks_to_simulator
def status(client: ControlClient, as_json: bool) -> None:
    """Accounts, binds, counters, faults."""
    print_values(client.get("status"), as_json, show.status_lines)


@cli.command()
@click.argument("account")
@click.argument("kind", type=click.Choice([*(kind.value for kind in FaultKind), "clear"]))
@click.option("--seconds", type=float, help="how long; default: until it is cleared")
@click.option("--count", type=int, help="so many submit_sm")
@click.option("--status", "command_status", help="of 'status': 0x0B or ESME_RINVDSTADR")
@click.option("--by", "by_s", type=float, help="seconds, of delay-answers, hold-answers, slow-reader")
@as_json_option
@talks_to_simulator
def fault(
    client: ControlClient,
    account: str,
    kind: str,
    seconds: float | None,
    count: int | None,
    command_status: str | None,
    by_s: float | None,
    as_json: bool,
) -> None:
    """Order a fault on ACCOUNT ("all" for every one): throttle, cut, drop-answers … "clear" ends them."""
    if kind == "clear":
        print_values(
            client.delete("fault", account), as_json, lambda answer: [f"cleared: {', '.join(answer['cleared'])}"]
        )
        return
    body: dict[str, Any] = {"fault": kind, "seconds": seconds, "count": count, "by_s": by_s}
    if command_status is not None:
        try:
            body["status"] = parse_status(command_status)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--status") from error
    answer = client.post("fault", account, body={name: value for name, value in body.items() if value is not None})
    print_values(
        answer,
        as_json,
        lambda done: [
            f"{name}: {done['fault']}, sessions now {hit['sessions']}" for name, hit in done["accounts"].items()
        ],
    )


@cli.command()
@click.option("--after", type=click.IntRange(0), default=0, help="only entries with a higher number")
@click.option("--event", help="submit, receipt, mo, bind, unbind, bind_refused, fault, operation")
@click.option("--account", help="only this account")
@click.option("--flush", is_flag=True, help="only write what is buffered to the record's file")
@talks_to_simulator
def record(client: ControlClient, after: int, event: str | None, account: str | None, flush: bool) -> None:
    """What passed, as JSON lines: the newest entries, from memory."""
    if flush:
        client.post("record", "flush", body={})
        return
    while True:
        page = client.get("record", after=after, event=event, account=account)
        for entry in page["entries"]:
            click.echo(json.dumps(entry, ensure_ascii=False))
        if page["next"] <= after:
            return
        after = page["next"]


@cli.command()
@as_json_option
@talks_to_simulator
def charging(client: ControlClient, as_json: bool) -> None:
    """The operators' books: what was decided and charged for each MO."""
    print_values(client.get("charging"), as_json, show.charging_lines)


@cli.command()
@click.argument("account")
@click.argument("number")
@click.argument("balance_vnd", type=int)
@as_json_option
@talks_to_simulator
def balance(client: ControlClient, account: str, number: str, balance_vnd: int, as_json: bool) -> None:
    """Set the balance of the handset NUMBER at ACCOUNT, in VND."""
    answer = client.post("charging", account, "balance", body={"phone": number, "balance_vnd": balance_vnd})
    print_values(answer, as_json, lambda done: [f"{done['phone']}: {done['balance_vnd']} VND"])


if __name__ == "__main__":
    main()
