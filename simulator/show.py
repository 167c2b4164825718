"""What the commands print for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from simulator.settings import DEFAULT_CONTROL_PORT, AccountSettings, SimulatorSettings

if TYPE_CHECKING:
    from simulator.simulator import Simulator

_VIETNAM = timezone(timedelta(hours=7))


def clock_time(at: float) -> str:
    """Unix seconds → 2026-01-05 17:30:02, Vietnam's time."""
    return datetime.fromtimestamp(at, _VIETNAM).strftime("%Y-%m-%d %H:%M:%S")


def start_lines(settings: SimulatorSettings, simulator: Simulator) -> Iterator[str]:
    """The first thing an engineer reads: what listens where, and what to do next."""
    ports, control_port, seed = simulator.ports, simulator.control_port, simulator.seed
    yield f"SMSC simulator ready. Seed {seed}: --seed {seed} repeats the same run."
    width = max(len(name) for name in settings.accounts)
    for name, account in settings.accounts.items():
        yield f"  account {name:<{width}}  {settings.host}:{ports[name]}  {_contract(account)}"
    url = f"http://{settings.control.host}:{control_port}"
    yield f"  control {'':<{width}}  {url}"
    yield f"  page    {'':<{width}}  http://{settings.control.host}:{simulator.page_port}/page"
    if settings.record.path is not None:
        yield f"  record  {'':<{width}}  {settings.record.path}"
    option = "" if control_port == DEFAULT_CONTROL_PORT else f" --control {url}"
    yield f'A handset sends:     motcua-simulator mo{option} --from 84905123456 --to 8083 "MCKH 0101701234"'
    yield f"A handset received:  motcua-simulator inbox{option} 84905123456"
    yield f"Binds and counters:  motcua-simulator status{option}"
    yield f"A fault on demand:   motcua-simulator fault{option} {next(iter(settings.accounts))} throttle --seconds 3"


def _contract(account: AccountSettings) -> str:
    words = [
        "any system_id" if account.system_id == "*" else f"system_id {account.system_id}",
        "any password" if account.password == "*" else "password as configured",
    ]
    if len(account.modes) < 3:
        words.append(" or ".join(account.modes))
    if account.tps is not None:
        words.append(f"{account.tps} submit_sm/s")
    if account.prefixes:
        shown = " ".join(account.prefixes[:4])
        words.append(f"handsets {shown}{' …' if len(account.prefixes) > 4 else ''}")
    return ", ".join(words)


def mo_lines(mo: dict[str, Any]) -> Iterator[str]:
    """What became of an MO."""
    head = f"MO {mo['id']} {mo['from']} → {mo['to']} by {mo['account']}"
    if mo["state"] == "not_charged":
        yield f"{head}: the operator did not take it, the balance is too low"
        return
    for number, part in enumerate(mo["parts"], start=1):
        of = f" part {number} of {len(mo['parts'])}" if len(mo["parts"]) > 1 else ""
        if part["answered_at"] is None:
            yield f"{head}{of}: no answer yet; kept, and sent again until an ESME takes it"
        else:
            took_ms = 1000 * (part["answered_at"] - mo["at"])
            yield f"{head}{of}: {part['status_name']} after {took_ms:.0f} ms, attempt {part['attempts']}"


def inbox_lines(inbox: dict[str, Any]) -> Iterator[str]:
    """What one handset received."""
    yield f"{inbox['number']}: {_count(len(inbox['messages']), 'message')}"
    for message in inbox["messages"]:
        notes = [f"{message['parts']} parts"] if message["parts"] > 1 else []
        if message["missing"]:
            notes.append("missing " + ", ".join(str(part) for part in message["missing"]))
        if message["copy"] > 1:
            notes.append(f"COPY {message['copy']}")
        note = f"  ({'; '.join(notes)})" if notes else ""
        yield f"  {clock_time(message['at'])}  {message['sender']}  by {message['account']}{note}"
        for line in message["text"].splitlines() or [""]:
            yield f"    {line}"


def status_lines(status: dict[str, Any]) -> Iterator[str]:
    """Accounts, binds, counters."""
    record = status["record"]
    yield f"Up {status['uptime_s']:.0f} s, seed {status['seed']}, {_count(status['handsets'], 'handset')}, " + (
        f"{record['entries']} entries in {record['path'] or 'memory'}"
    )
    for account in status["accounts"]:
        counters = account["counters"]
        yield f"{account['account']}  port {account['port']}  system_id {account['system_id']}"
        for bind in account["binds"] or [None]:
            if bind is None:
                yield "  no bind"
            else:
                yield f"  bound  {bind['mode']:<11}  {bind['system_id']}  version {bind['version']}  from {bind['peer']}"
        yield (
            f"  submit_sm {counters['submits']} ({counters['submits_last_s']}/s, peak {counters['submits_peak_s']}/s), "
            f"accepted {counters['accepted']}, reached handsets {counters['reached_handsets']}, "
            f"under way {account['under_way']}"
        )
        if counters["refused"]:
            yield "  refused " + ", ".join(f"{name} {count}" for name, count in counters["refused"].items())
        yield (
            f"  receipts answered {counters['receipts_answered']}, lost {counters['receipts_lost']}; "
            f"MO sent {counters['mo_sent']}; waiting for an ESME {account['waiting']}"
        )
        for fault in account["faults"]:
            left = [f"{fault['seconds_left']} s"] if fault["seconds_left"] is not None else []
            left += [f"{fault['count_left']} submit_sm"] if fault["count_left"] is not None else []
            yield f"  FAULT {fault['fault']} {fault.get('status', '')} {', '.join(left) or 'until it is cleared'}"


def charging_lines(charging: dict[str, Any]) -> Iterator[str]:
    """The operators' books."""
    for name, books in charging["accounts"].items():
        yield f"{name}: {_count(len(books['entries']), 'entry', 'entries')}"
        for entry in books["entries"]:
            yield (
                f"  {clock_time(entry['at'])}  {entry['phone']} → {entry['shortcode']}  MO {entry['mo_id']}  "
                f"{entry['decision'] or 'taken at the MO'}: {entry['outcome']} {entry['amount_vnd']:+d} VND, "
                f"balance {entry['balance_vnd']}"
            )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
