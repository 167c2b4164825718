"""Which request is answered by which method of :class:`simulator.control.Control`. ``openapi`` describes the same paths."""

from __future__ import annotations

from typing import NamedTuple


class Route(NamedTuple):
    """``template``: ``{name}`` stands for one segment of the path, handed to the handler by that name."""

    method: str
    template: str
    handler: str
    says: str
    has_body: bool = False


ROUTES = (
    Route("GET", "/", "start", "this text; for a browser, the page"),
    Route("GET", "/page", "page", "the page, live"),
    Route("GET", "/page/{file}", "page", "its files"),
    Route("GET", "/events", "events", "what changes, as Server-Sent Events"),
    Route("GET", "/openapi.json", "openapi", "this interface, described for programs (OpenAPI 3.1)"),
    Route("GET", "/metrics", "metrics", "counters for Prometheus"),
    Route("GET", "/status", "status", "accounts, binds, counters, faults"),
    Route("GET", "/history", "history", "rates in each of the last 300 seconds"),
    Route("GET", "/inbox", "inbox_all", "handsets, and how many messages each has"),
    Route("GET", "/inbox/{number}", "inbox", "what a handset received"),
    Route("GET", "/handsets", "handsets", "handsets with the newest messages: ?limit=L"),
    Route("GET", "/handsets/{number}", "handset", "what a handset sent and received: ?limit=L"),
    Route("POST", "/mo", "send_mo", '{"from": "84905123456", "to": "8083", "text": "MCKH 0101701234"}', True),
    Route("GET", "/mo/{id}", "mo", "what became of it"),
    Route("GET", "/faults", "fault_kinds", "the faults that there are, and what each takes"),
    Route("POST", "/fault/{account}", "fault", '{"fault": "throttle", "seconds": 3}; "all" for every account', True),
    Route("DELETE", "/fault/{account}", "clear_faults", "back to what the configuration says"),
    Route("DELETE", "/fault/{account}/{fault}", "clear_faults", "this fault only"),
    Route("GET", "/pdus", "pdus", "the newest PDUs: ?after=N&limit=L&command=C&account=A&contains=WORDS"),
    Route("GET", "/pdus/{n}", "pdu", "one PDU: fields, TLVs, octets"),
    Route("GET", "/capture", "captures", "captures that run"),
    Route("POST", "/capture", "start_capture", '{"pcap": "line.pcap", "log": "line.log", "account": null}', True),
    Route("DELETE", "/capture/{id}", "stop_capture", "end one; its files are complete"),
    Route("GET", "/record", "record", "what passed: ?after=N&event=E&account=A&limit=L"),
    Route("POST", "/record/flush", "flush_record", "write what is buffered to the record's file", True),
    Route("GET", "/charging", "charging", "the operators' books: ?limit=L for the newest entries"),
    Route("POST", "/charging/{account}/balance", "balance", '{"phone": "84905123456", "balance_vnd": 0}', True),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a request and what its path names; None: there is nothing."""
    words = _words(path)
    for route in ROUTES:
        template = _words(route.template)
        if route.method != method or len(template) != len(words):
            continue
        pairs = list(zip(template, words, strict=True))
        if all(_is_name(part) or part == word for part, word in pairs):
            return route, {part[1:-1]: word for part, word in pairs if _is_name(part)}
    return None


def as_text() -> str:
    """For people who ask with curl."""
    width = max(len(route.template) for route in ROUTES)
    return "".join(f"{route.method:<6} {route.template:<{width}}  {route.says}\n" for route in ROUTES)


def _words(path: str) -> list[str]:
    stripped = path.strip("/")
    return stripped.split("/") if stripped else []


def _is_name(part: str) -> bool:
    return part.startswith("{")
