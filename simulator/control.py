"""The control interface: HTTP with JSON bodies, on loopback. docs/simulator.md describes each path.

A page in a browser cannot post here from another site: posts must be ``application/json``, which browsers do not send
across sites without asking first, and this server does not answer that question.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from simulator.behaviours.charging import entry_as_dict
from simulator.control_requests import BalanceBody, FaultBody, MoBody, parse_body
from simulator.errors import RequestError
from simulator.mo import Mo
from simulator.phones import international

if TYPE_CHECKING:
    from simulator.simulator import Simulator

log = structlog.get_logger()

_BODY_LIMIT = 1 << 20
_RECORD_PAGE = 10_000
_INTERNAL_FAULT = {
    "error": {"where": "simulator", "what": "an internal fault", "remedy": "Its log has the traceback; report it"}
}
PATHS = """\
GET    /status                    accounts, binds, counters, faults
GET    /inbox                     handsets, and how many messages each has
GET    /inbox/NUMBER              what a handset received
POST   /mo                        {"from": "84905123456", "to": "8083", "text": "MCKH 0101701234"}
GET    /mo/ID                     what became of it
POST   /fault/ACCOUNT             {"fault": "throttle", "seconds": 3}; ACCOUNT may be "all"
DELETE /fault/ACCOUNT             back to what the configuration says
GET    /record?after=N&event=E&account=A&limit=L
POST   /record/flush              write what is buffered to the record's file
GET    /charging                  the operators' books
POST   /charging/ACCOUNT/balance  {"phone": "84905123456", "balance_vnd": 0}
"""

Answer = dict[str, Any] | str | Deferred[dict[str, Any]]


class NotFound(RequestError):
    """There is nothing at this path (HTTP 404)."""


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
            self._request.write(_write(self._request, code, values))
            self._request.finish()

    def _send_fault(self, failure: Failure) -> None:
        log.error("control_request_failed", error=failure.getTraceback())
        self._send(_INTERNAL_FAULT, 500)


class Control(Resource):
    """All paths in one leaf: there are few, and their dispatch reads best as a table."""

    isLeaf = True

    def __init__(self, simulator: Simulator) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._simulator = simulator

    def render(self, request: Request) -> int | bytes:
        """Answer one request; every fault becomes a JSON answer with its remedy."""
        try:
            answer = self._dispatch(request)
        except RequestError as error:
            return _refuse(request, error)
        except Exception:
            log.exception("control_request_failed", path=request.path.decode("latin-1"))
            return _write(request, 500, _INTERNAL_FAULT)
        if isinstance(answer, Deferred):
            _LateAnswer(request, answer)
            return NOT_DONE_YET
        return _write(request, 200, answer)

    def _dispatch(self, request: Request) -> Answer:
        method = request.method.decode("latin-1")
        path = request.path.decode("utf-8", "replace").strip("/")
        head, *rest = path.split("/") if path else [""]
        handlers: dict[tuple[str, str, int], Callable[..., Answer]] = {
            ("GET", "", 0): lambda: PATHS,
            ("GET", "status", 0): self._simulator.status,
            ("GET", "inbox", 0): self._inbox_all,
            ("GET", "inbox", 1): self._inbox,
            ("POST", "mo", 0): lambda: self._mo(_body(request)),
            ("GET", "mo", 1): self._mo_state,
            ("POST", "fault", 1): lambda name: self._fault(name, _body(request)),
            ("DELETE", "fault", 1): self._clear,
            ("GET", "record", 0): lambda: self._record(request),
            ("POST", "record", 1): self._flush,
            ("GET", "charging", 0): self._charging,
            ("POST", "charging", 2): lambda name, what: self._balance(name, what, _body(request)),
        }
        handler = handlers.get((method, head, len(rest)))
        if handler is None:
            raise NotFound(f"{method} /{path}", "there is nothing here", "GET / lists the paths")
        return handler(*rest)

    # One method for each path

    def _inbox_all(self) -> Answer:
        inbox = self._simulator.world.inbox
        return {"handsets": [{"number": number, "messages": len(inbox.messages(number))} for number in inbox.numbers()]}

    def _inbox(self, number: str) -> Answer:
        inbox = self._simulator.world.inbox
        phone = number if number in inbox.numbers() else international(number)
        return {"number": phone, "messages": [asdict(message) for message in inbox.messages(phone)]}

    def _mo(self, values: Any) -> Answer:
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

    def _mo_state(self, number: str) -> Answer:
        if not number.isdigit():
            raise RequestError("mo", f"'{number}' is not the number of an MO", "POST /mo gives it as 'id'")
        return self._simulator.mo(int(number)).as_dict()

    def _fault(self, name: str, values: Any) -> Answer:
        body: FaultBody = parse_body(FaultBody, values)
        accounts = list(self._simulator.accounts.values()) if name == "all" else [self._simulator.account(name)]
        now = self._simulator.world.schedule.now()
        return {
            "fault": body.fault.value,
            "accounts": {account.name: {"sessions": account.order(body.active(now))} for account in accounts},
        }

    def _clear(self, name: str) -> Answer:
        accounts = list(self._simulator.accounts.values()) if name == "all" else [self._simulator.account(name)]
        for account in accounts:
            account.clear_faults()
        return {"cleared": [account.name for account in accounts]}

    def _record(self, request: Request) -> Answer:
        record = self._simulator.world.record
        record.flush()
        after, limit = _number(request, "after", 0), _number(request, "limit", _RECORD_PAGE)
        event, account = _argument(request, "event"), _argument(request, "account")
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

    def _flush(self, what: str) -> Answer:
        if what != "flush":
            raise NotFound(f"POST /record/{what}", "there is nothing here", "GET / lists the paths")
        self._simulator.world.record.flush()
        return {"entries": self._simulator.world.record.count}

    def _charging(self) -> Answer:
        return {
            "accounts": {
                name: {
                    "balances": account.charging.balances(),
                    "entries": [entry_as_dict(entry) for entry in account.charging.entries],
                }
                for name, account in self._simulator.accounts.items()
                if account.charging is not None
            }
        }

    def _balance(self, name: str, what: str, values: Any) -> Answer:
        charging = self._simulator.account(name).charging
        if what != "balance" or charging is None:
            raise NotFound(f"/charging/{name}/{what}", "there is nothing here", "Give the account a section 'charging'")
        body: BalanceBody = parse_body(BalanceBody, values)
        phone = international(body.phone)
        charging.set_balance(phone, body.balance_vnd)
        return {"phone": phone, "balance_vnd": body.balance_vnd}


def _body(request: Request) -> Any:
    content_type = (request.getHeader("content-type") or "").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise RequestError("Content-Type", "is not application/json", "Send the body as application/json")
    assert request.content is not None
    data = request.content.read(_BODY_LIMIT + 1)
    if len(data) > _BODY_LIMIT:
        raise RequestError("body", f"is larger than {_BODY_LIMIT} octets", "Send less")
    try:
        return json.loads(data)
    except ValueError as error:
        raise RequestError("body", f"is not JSON ({error})", "docs/simulator.md shows the requests") from error


def _argument(request: Request, name: str) -> str | None:
    values = (request.args or {}).get(name.encode())
    return values[0].decode("utf-8", "replace") if values else None


def _number(request: Request, name: str, default: int) -> int:
    text = _argument(request, name)
    if text is None:
        return default
    if not text.isdigit():
        raise RequestError(name, f"'{text}' is not a number", "Write it in digits")
    return int(text)


def _refuse(request: Request, error: RequestError) -> bytes:
    fault = {"where": error.where, "what": error.what, "remedy": error.remedy}
    return _write(request, 404 if isinstance(error, NotFound) else 400, {"error": fault})


def _write(request: Request, code: int, values: dict[str, Any] | str) -> bytes:
    request.setResponseCode(code)
    if isinstance(values, str):
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return values.encode()
    request.setHeader("Content-Type", "application/json; charset=utf-8")
    return json.dumps(values, ensure_ascii=False).encode()


def control_site(simulator: Simulator) -> Site:
    """The web site of a simulator."""
    return Site(Control(simulator))
