"""MO from a CSV file, at a rate or at the file's own times. Talks to a running simulator over one connection."""

from __future__ import annotations

import csv
import http.client
import json
import math
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.errors import SimulatorError

_DEFAULT_RATE = 10.0
_TEXT_COLUMNS = ("account", "coding", "form", "octets")
_NUMBER_COLUMNS = ("copies", "data_coding", "esm_class")
_COLUMNS = frozenset({"from", "to", "text", "at", "order", "flash", "tlvs", *_TEXT_COLUMNS, *_NUMBER_COLUMNS})
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One MO of a file."""

    line: int
    body: dict[str, Any]  # of POST /mo
    at_s: float | None


def parse_tlv(text: str) -> dict[str, Any]:
    """``0x1402=text`` (a C-octet string) or ``0x0204=hex:0001`` as the control interface has it. Raises ValueError."""
    tag_text, equals, value = text.partition("=")
    try:
        tag = int(tag_text, 0)
    except ValueError:
        tag = -1
    if not equals or not 0 <= tag <= 0xFFFF:
        raise ValueError(f"'{text}' is no TLV: write 0x1402=text or 0x0204=hex:0001")
    if value.startswith("hex:"):
        return {"tag": tag, "value": bytes.fromhex(value[4:]).hex()}
    return {"tag": tag, "value": (value.encode() + b"\0").hex()}


def read_rows(path: Path) -> list[Row]:
    """Read a file. Raises :class:`SimulatorError` that names the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            unknown = [name for name in names if name not in _COLUMNS]
            if unknown or not {"from", "to"} <= set(names) or not {"text", "octets"} & set(names):
                what = (
                    f"unknown columns {', '.join(unknown)}" if unknown else "the columns from, to and text are needed"
                )
                raise _fault(path, 1, what)
            return [_row(path, reader.line_num, values) for values in reader]
    except OSError as error:
        raise SimulatorError(str(path), f"cannot be read ({error.strerror})", "Name an existing file") from error
    except UnicodeDecodeError as error:
        raise SimulatorError(str(path), "is not UTF-8 text", "Save it as UTF-8") from error


def _row(path: Path, line: int, values: dict[str, str | None]) -> Row:
    cells = {name: value for name, value in values.items() if name is not None and value not in (None, "")}
    if None in values:
        raise _fault(path, line, "more cells than the first line has names")
    body: dict[str, Any] = {"from": cells.get("from", ""), "to": cells.get("to", ""), "text": cells.get("text", "")}
    body["wait_s"] = 0
    try:
        body.update({name: cells[name] for name in _TEXT_COLUMNS if name in cells})
        body.update({name: int(str(cells[name]), 0) for name in _NUMBER_COLUMNS if name in cells})
        if "order" in cells:
            body["order"] = [int(word) for word in str(cells["order"]).replace(",", " ").split()]
        if "flash" in cells:
            body["flash"] = str(cells["flash"]).lower() in ("1", "true", "yes")
        if "tlvs" in cells:
            body["tlvs"] = [parse_tlv(one) for one in str(cells["tlvs"]).split(";")]
        at_s = float(str(cells["at"])) if "at" in cells else None
    except ValueError as error:
        raise _fault(path, line, str(error)) from error
    if at_s is not None and not (math.isfinite(at_s) and at_s >= 0):
        raise _fault(path, line, f"at '{at_s}' is not a number of seconds")
    return Row(line, body, at_s)


def _fault(path: Path, line: int, what: str) -> SimulatorError:
    return SimulatorError(f"{path}:{line}", what, "docs/simulator.md shows a file")


def due_times(rows: Sequence[Row], rate: float | None, speed: float, repeat: int) -> Iterator[tuple[float, Row]]:
    """When each row leaves, in seconds from the beginning."""
    own = rate is None and any(row.at_s is not None for row in rows)
    step_s = 1 / (rate or _DEFAULT_RATE)
    length_s = max((row.at_s or 0.0 for row in rows), default=0.0) / speed + step_s if own else len(rows) * step_s
    for turn in range(repeat):
        for index, row in enumerate(rows):
            yield turn * length_s + ((row.at_s or 0.0) / speed if own else index * step_s), row


class Replay:
    """Sends rows to a running simulator.

    Args:
        url: of its control interface.
        clock, sleep: tests pass their own.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        self._url = url
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=30)
        self._clock = clock
        self._sleep = sleep

    def run(
        self, rows: Sequence[Row], *, rate: float | None, speed: float = 1.0, repeat: int = 1, wait_s: float = 30.0
    ) -> dict[str, Any]:
        """Send all, wait for their answers, and tell what became of them. Raises :class:`SimulatorError`."""
        began = self._clock()
        mos: dict[int, dict[str, Any]] = {}
        for due_s, row in sorted(due_times(rows, rate, speed, repeat), key=lambda one: one[0]):
            wait = began + due_s - self._clock()
            if wait > 0:
                self._sleep(wait)
            answer = self._ask("POST", "/mo", row.body, f"line {row.line}")
            mos[answer["id"]] = answer
        took_s = self._clock() - began
        deadline = self._clock() + wait_s
        while waiting := [number for number, mo in mos.items() if mo["state"] == "kept"]:
            for number in waiting:
                mos[number] = self._ask("GET", f"/mo/{number}", None, f"MO {number}")
            if self._clock() > deadline:
                break
            self._sleep(_POLL_S)
        self._connection.close()
        return _report(mos, took_s)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, where: str) -> dict[str, Any]:
        data = None if body is None else json.dumps(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(method, path, data, headers)
            response = self._connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SimulatorError(
                self._url, f"no simulator answers ({error})", "Start it: motcua-simulator run"
            ) from error
        if response.status != 200:
            fault = answer["error"]
            raise SimulatorError(f"{where}: {fault['where']}", fault["what"], fault["remedy"])
        return answer


def _report(mos: dict[int, dict[str, Any]], took_s: float) -> dict[str, Any]:
    answered = sorted(
        part["answered_at"] - mo["at"] for mo in mos.values() for part in mo["parts"] if part["answered_at"] is not None
    )
    return {
        "sent": len(mos),
        "seconds": round(took_s, 3),
        "rate": round(len(mos) / took_s, 2) if took_s else 0.0,
        "states": dict(Counter(mo["state"] for mo in mos.values())),
        "statuses": dict(Counter(part["status_name"] or "none" for mo in mos.values() for part in mo["parts"])),
        "answer_ms": {name: _rank(answered, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))},
    }


def _rank(values: list[float], share: float) -> float | None:
    if not values:
        return None
    return round(1000 * values[max(0, math.ceil(share * len(values)) - 1)], 1)


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for people."""
    yield f"{report['sent']} MO in {report['seconds']:.1f} s, {report['rate']:.1f} a second"
    yield "  " + ", ".join(f"{state} {count}" for state, count in sorted(report["states"].items()))
    yield "  deliver_sm_resp " + ", ".join(f"{name} {count}" for name, count in sorted(report["statuses"].items()))
    if report["answer_ms"]["p50"] is not None:
        yield "  answered after " + ", ".join(f"{name} {ms} ms" for name, ms in report["answer_ms"].items())
