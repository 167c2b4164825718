"""The control interface: HTTP with JSON bodies, on loopback, and the page that uses it. docs/simulator.md describes each path.

``control_routes`` says which method answers what, ``openapi`` describes the same for programs, ``control_http`` keeps other
sites' pages out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from simulator import control_http as http
from simulator import control_pdus, control_routes
from simulator.account import Account
from simulator.behaviours.charging import entry_as_dict
from simulator.behaviours.faults import FaultKind
from simulator.control_handsets import conversation, handset_list
from simulator.control_history import History
from simulator.control_http import Content, NotFound
from simulator.control_live import LiveFeed
from simulator.control_metrics import Metrics
from simulator.control_page import INDEX, page_file
from simulator.control_requests import BalanceBody, CaptureBody, FaultBody, MoBody, fault_kinds, parse_body
from simulator.errors import RequestError, SimulatorError
from simulator.mo import Mo
from simulator.openapi import DESCRIPTION
from simulator.pdu_ring import PduEntry
from simulator.phones import international

if TYPE_CHECKING:
    from simulator.simulator import Simulator

log = structlog.get_logger()

_RECORD_PAGE = 10_000
_PDU_PAGE = 200
_PDU_PAGE_MOST = 5_000
_HANDSETS = 50
_CONVERSATION = 200
_INTERNAL_FAULT = {
    "error": {"where": "simulator", "what": "an internal fault", "remedy": "Its log has the traceback; report it"}
}


class _Streaming:
    """The answer is being written by somebody else."""


Answer = dict[str, Any] | Content | Deferred[dict[str, Any]] | _Streaming


class _LateAnswer:
    """An answer that is not there yet, to a client that may not wait for it."""

    def __init__(self, request: Request, answer: Deferred[dict[str, Any]]) -> None:
        self._request = request
        self._gone = False
        request.notifyFinish().addErrback(self._client_gone)
        answer.addCallbacks(self._send, self._send_fault)

    def _client_gone(self, _: Failure) -> None:
        self._gone = True

    def _send(self, values: dict[str, Any], code: int = 200) -> None:
        if not self._gone:
            self._request.write(http.write(self._request, code, values))
            self._request.finish()

    def _send_fault(self, failure: Failure) -> None:
        log.error("control_request_failed", error=failure.getTraceback())
        self._send(_INTERNAL_FAULT, 500)


class Control(Resource):
    """Every path in one leaf: a table finds the method that answers."""

    isLeaf = True

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._simulator = simulator
        self._samples = History(simulator)
        self._samples.start()
        self._live = LiveFeed(simulator, self._samples)
        self._counters = Metrics(simulator)

    def render(self, request: Request) -> int | bytes:
        """Answer one request; every fault becomes a JSON answer with its remedy."""
        http.set_safe_headers(request)
        try:
            http.check_origin(request, self._simulator.settings.control.names)
            answer = self._dispatch(request)
        except RequestError as error:
            return http.refuse(request, error)
        except Exception:
            log.exception("control_request_failed", path=request.path.decode("latin-1"))
            return http.write(request, 500, _INTERNAL_FAULT)
        if isinstance(answer, _Streaming):
            return NOT_DONE_YET
        if isinstance(answer, Deferred):
            _LateAnswer(request, answer)
            return NOT_DONE_YET
        return http.write(request, 200, answer)

    def _dispatch(self, request: Request) -> Answer:
        method = request.method.decode("latin-1")
        path = unquote(request.path.decode("latin-1"))
        found = control_routes.find(method, path)
        if found is None:
            raise NotFound(f"{method} {path}", "there is nothing here", "GET / lists the paths")
        route, names = found
        handler: Callable[..., Answer] = getattr(self, f"_{route.handler}")
        if route.has_body:
            return handler(http.read_body(request), **names)
        return handler(request, **names)

    # The page and what it needs

    def _start(self, request: Request) -> Answer:
        if http.wants_html(request):
            return page_file(INDEX)
        return Content(control_routes.as_text().encode(), "text/plain; charset=utf-8")

    def _page(self, request: Request, file: str = INDEX) -> Answer:
        return page_file(file)

    def _events(self, request: Request) -> Answer:
        self._live.subscribe(request)
        return _Streaming()

    def _openapi(self, request: Request) -> Answer:
        return DESCRIPTION

    def _metrics(self, request: Request) -> Answer:
        return self._counters.content()

    def _history(self, request: Request) -> Answer:
        return self._samples.as_dict()

    # State

    def _status(self, request: Request) -> Answer:
        return self._simulator.status()

    # Handsets

    def _inbox_all(self, request: Request) -> Answer:
        inbox = self._simulator.world.inbox
        return {"handsets": [{"number": number, "messages": len(inbox.messages(number))} for number in inbox.numbers()]}

    def _inbox(self, request: Request, number: str) -> Answer:
        inbox = self._simulator.world.inbox
        phone = number if number in inbox else international(number)
        return {"number": phone, "messages": [asdict(message) for message in inbox.messages(phone)]}

    def _handsets(self, request: Request) -> Answer:
        return handset_list(self._simulator, http.number(request, "limit", _HANDSETS, 1000))

    def _handset(self, request: Request, number: str) -> Answer:
        return conversation(self._simulator, number, http.number(request, "limit", _CONVERSATION, 1000))

    def _send_mo(self, values: Any) -> Answer:
        body: MoBody = parse_body(MoBody, values)
        mo = self._simulator.send_mo(body.request(), body.account)
        if mo.settled or not body.wait_s:
            return mo.as_dict()
        answer: Deferred[dict[str, Any]] = Deferred()
        waiter = mo.when_settled()

        def done(_: Mo | Failure) -> None:
            if not answer.called:
                answer.callback(mo.as_dict())

        waiter.addBoth(done)
        self._simulator.world.schedule.call_later(body.wait_s, lambda: None if waiter.called else waiter.cancel())
        return answer

    def _mo(self, request: Request, id: str) -> Answer:
        if not id.isdigit():
            raise RequestError("mo", f"'{id}' is not the number of an MO", "POST /mo gives it as 'id'")
        return self._simulator.mo(http.parse_number(id, "mo")).as_dict()

    # Faults

    def _fault_kinds(self, request: Request) -> Answer:
        return fault_kinds()

    def _fault(self, values: Any, account: str) -> Answer:
        body: FaultBody = parse_body(FaultBody, values)
        now = self._simulator.world.schedule.now()
        return {
            "fault": body.fault.value,
            "accounts": {one.name: {"sessions": one.order(body.active(now))} for one in self._accounts(account)},
        }

    def _clear_faults(self, request: Request, account: str, fault: str | None = None) -> Answer:
        accounts = self._accounts(account)
        if fault is not None and fault not in list(FaultKind):
            raise RequestError("fault", f"there is no fault '{fault}'", "GET /faults lists them")
        for one in accounts:
            one.clear_faults(None if fault is None else FaultKind(fault))
        return {"cleared": [one.name for one in accounts]}

    def _accounts(self, name: str) -> list[Account]:
        return list(self._simulator.accounts.values()) if name == "all" else [self._simulator.account(name)]

    # PDUs and the record

    def _pdus(self, request: Request) -> Answer:
        """With ``after`` the next ones from there, oldest first; without, the newest ones, in the same order."""
        ring = self._simulator.world.pdus
        limit = http.number(request, "limit", _PDU_PAGE, _PDU_PAGE_MOST)
        after = http.number(request, "after", None)
        command, account = http.argument(request, "command"), http.argument(request, "account")
        words = http.argument(request, "contains") or ""
        entries = ring.newest_first() if after is None else ring.after(after)
        found = islice(self._matching(entries, account, command, words), limit)
        pdus = sorted(found, key=lambda values: int(values["n"]))
        return {
            "pdus": pdus,
            "next": pdus[-1]["n"] if pdus and len(pdus) == limit and after is not None else ring.count,
            "first_in_memory": ring.first_in_memory,
            "count": ring.count,
        }

    def _matching(
        self, entries: Iterable[PduEntry], account: str | None, command: str | None, words: str
    ) -> Iterator[dict[str, Any]]:
        for entry in entries:
            if account in (None, entry.wire.account):
                values = control_pdus.summary(entry, self._simulator.alphabet)
                if command in (None, values["command"]) and control_pdus.matches(values, words):
                    yield values

    def _pdu(self, request: Request, n: str) -> Answer:
        entry = self._simulator.world.pdus.get(http.parse_number(n, "n"))
        if entry is None:
            raise NotFound(
                f"/pdus/{n}", "this PDU is not in memory", "GET /pdus tells which are: first_in_memory, count"
            )
        return control_pdus.detail(entry, self._simulator.alphabet)

    def _captures(self, request: Request) -> Answer:
        return {"captures": [one.as_dict() for one in self._simulator.world.captures.running.values()]}

    def _start_capture(self, values: Any) -> Answer:
        body: CaptureBody = parse_body(CaptureBody, values)
        if body.account is not None:
            self._simulator.account(body.account)
        settings = body.settings()
        for path in (settings.pcap, settings.log):
            if path is not None and path.exists():
                raise RequestError("capture", f"{path} is there already", "Name a new file, or remove this one")
        try:
            return self._simulator.world.captures.start(settings, body.account).as_dict()
        except SimulatorError as error:
            raise RequestError(error.where, error.what, error.remedy) from error

    def _stop_capture(self, request: Request, id: str) -> Answer:
        return self._simulator.world.captures.stop(http.parse_number(id, "capture")).as_dict()

    def _record(self, request: Request) -> Answer:
        record = self._simulator.world.record
        record.flush()
        after, limit = http.number(request, "after", 0), http.number(request, "limit", _RECORD_PAGE)
        event, account = http.argument(request, "event"), http.argument(request, "account")
        entries: list[dict[str, Any]] = []
        last = after
        for line in record.lines(after):
            if len(entries) >= limit:
                break
            entry = json.loads(line)
            last = entry["n"]
            if event in (None, entry["event"]) and account in (None, entry.get("account")):
                entries.append(entry)
        path = self._simulator.settings.record.path
        return {
            "entries": entries,
            "next": last,
            "first_in_memory": record.first_in_memory,
            "count": record.count,
            "path": str(path) if path else None,
        }

    def _flush_record(self, values: Any) -> Answer:
        self._simulator.world.record.flush()
        return {"entries": self._simulator.world.record.count}

    # Charging

    def _charging(self, request: Request) -> Answer:
        limit = http.number(request, "limit", None)
        books = {}
        for name, account in self._simulator.accounts.items():
            if account.charging is not None:
                entries = account.charging.entries
                start = 0 if limit is None else max(0, len(entries) - limit)
                books[name] = {
                    "balances": account.charging.balances(),
                    "entries": [entry_as_dict(entry) for entry in islice(entries, start, None)],
                }
        return {"accounts": books}

    def _balance(self, values: Any, account: str) -> Answer:
        charging = self._simulator.account(account).charging
        if charging is None:
            raise NotFound(f"/charging/{account}", "there is nothing here", "Give the account a section 'charging'")
        body: BalanceBody = parse_body(BalanceBody, values)
        phone = international(body.phone)
        charging.set_balance(phone, body.balance_vnd)
        return {"phone": phone, "balance_vnd": body.balance_vnd}


def control_site(simulator: Simulator) -> Site:
    """The web site of a simulator."""
    return Site(Control(simulator))
