"""HTTP for the control interface: who may ask, how bodies are read, how answers are written.

The interface has no password, so it must not be reachable through somebody's browser. A page of another site cannot post
here: bodies must be ``application/json``, which browsers send across sites only after a question that this server does not
answer, and an ``Origin`` that is not this server is refused. A name that somebody points at this machine (DNS rebinding) is
refused by its ``Host``. The page itself may load nothing but its own files and may not make HTML out of texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from twisted.web.http import Request

from simulator.errors import RequestError

_BODY_LIMIT = 1 << 20
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
T = TypeVar("T")


class NotFound(RequestError):
    """There is nothing at this path (HTTP 404)."""


class NotForYou(RequestError):
    """The request comes from a page of another site, or by a name that is not this server's (HTTP 403)."""


@dataclass(frozen=True, slots=True)
class Content:
    """An answer that is not JSON."""

    octets: bytes
    media_type: str
    etag: str = ""


def set_safe_headers(request: Request) -> None:
    """Headers of every answer."""
    for name, value in _HEADERS.items():
        request.setHeader(name, value)


def check_origin(request: Request, names: Collection[str]) -> None:
    """Let only this server's own name in. ``names`` beside localhost and addresses. Raises :class:`NotForYou`.

    An IP address needs no list: only a name can be pointed at this machine by somebody else.
    """
    host = request.getHeader("host") or ""
    name = _host_name(host)
    if not (name == "localhost" or _is_address(name) or name in {known.lower() for known in names}):
        raise NotForYou(
            "Host", f"'{host}' is not a name of this simulator", "Use 127.0.0.1 or localhost, or list it: control.names"
        )
    origin = request.getHeader("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise NotForYou("Origin", f"'{origin}' is another site", "Pages of other sites may not use this interface")


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # an unfinished bracket
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def wants_html(request: Request) -> bool:
    """A browser that opens an address, not a program."""
    return "text/html" in (request.getHeader("accept") or "")


def read_body(request: Request) -> Any:
    """The JSON body. Raises :class:`RequestError`."""
    content_type = (request.getHeader("content-type") or "").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise RequestError("Content-Type", "is not application/json", "Send the body as application/json")
    assert request.content is not None
    data = request.content.read(_BODY_LIMIT + 1)
    if len(data) > _BODY_LIMIT:
        raise RequestError("body", f"is larger than {_BODY_LIMIT} octets", "Send less")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError("body", f"is not JSON ({error})", "docs/simulator.md shows the requests") from error


def argument(request: Request, name: str) -> str | None:
    """A parameter of the query."""
    values = (request.args or {}).get(name.encode())
    return values[0].decode("utf-8", "replace") if values else None


def number(request: Request, name: str, default: T, most: int | None = None) -> int | T:
    """A parameter in digits. Raises :class:`RequestError`."""
    text = argument(request, name)
    if text is None:
        return default
    value = parse_number(text, name)
    return value if most is None else min(value, most)


def parse_number(text: str, name: str) -> int:
    """Digits, not absurdly many. Raises :class:`RequestError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise RequestError(name, f"'{text}' is not a number", "Write it in digits")
    return int(text)


def refuse(request: Request, error: RequestError) -> bytes:
    """The answer to a request that makes no sense."""
    code = 404 if isinstance(error, NotFound) else 403 if isinstance(error, NotForYou) else 400
    return write(request, code, {"error": {"where": error.where, "what": error.what, "remedy": error.remedy}})


def write(request: Request, code: int, values: dict[str, Any] | Content) -> bytes:
    """The octets of an answer; its headers are set."""
    request.setResponseCode(code)
    if isinstance(values, Content):
        request.setHeader("Content-Type", values.media_type)
        if values.etag:
            request.setHeader("Cache-Control", "no-cache")
            request.setHeader("ETag", values.etag)
            if request.getHeader("if-none-match") == values.etag:
                request.setResponseCode(304)
                return b""
        return values.octets
    request.setHeader("Content-Type", "application/json; charset=utf-8")
    return encode_json(values)


_dumps: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False).encode


def encode_json(values: Any) -> bytes:
    """JSON in UTF-8, on one line."""
    # A text from the wire may hold half of a surrogate pair, which UTF-8 cannot.
    return _dumps(values).encode("utf-8", "replace")
