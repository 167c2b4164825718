"""Server-Sent Events for the page: what changed, a few times a second, and nothing while nobody looks.

Each event is a line ``event: NAME`` and one line of JSON (HTML standard, 9.2). A subscriber that reads too slowly misses
PDUs, of which it is told, and gets the newest state when it reads again: nothing is piled up for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.http import Request
from zope.interface import implementer  # type: ignore[import-untyped]

from simulator.control_history import History
from simulator.control_http import encode_json
from simulator.control_pdus import summary
from simulator.errors import RequestError

if TYPE_CHECKING:
    from simulator.simulator import Simulator

_TICK_S = 0.2  # a reply appears on the page while one looks at it
_TICKS_OF_STATE = 5
_SUBSCRIBERS = 20
_PDUS_AT_ONCE = 60  # per tick: 300 a second are more than anybody reads
_PDUS_AT_FIRST = 200
_TOUCHED_AT_ONCE = 200


@implementer(IPushProducer)
class Subscriber:
    """One open page."""

    def __init__(self, request: Request, last_pdu: int) -> None:
        self.request = request
        self.last_pdu = last_pdu
        self.touched: dict[str, None] = {}  # handsets, in the order in which they changed
        self.books: object = None
        self.gone = False
        self.paused = False

    def send(self, event: str, values: Any) -> None:
        self.request.write(b"event: %s\ndata: %s\n\n" % (event.encode(), encode_json(values)))

    def pauseProducing(self) -> None:
        """The client reads too slowly."""
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.gone = True


class LiveFeed:
    """All open pages."""

    def __init__(self, simulator: Simulator, history: History) -> None:
        self._simulator = simulator
        self._history = history
        self._subscribers: set[Subscriber] = set()
        self._ticks = 0
        self._ticking = False

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, request: Request) -> None:
        """Answer this request until its client goes. Raises :class:`RequestError` when there are too many."""
        if len(self._subscribers) >= _SUBSCRIBERS:
            raise RequestError("events", f"{_SUBSCRIBERS} pages are open already", "Close one of them")
        request.setResponseCode(200)
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        request.setHeader("X-Accel-Buffering", "no")
        pdus = self._simulator.world.pdus
        one = Subscriber(request, max(0, pdus.count - _PDUS_AT_FIRST))
        request.notifyFinish().addBoth(self._gone, one)
        request.registerProducer(one, True)
        if not self._subscribers:
            self._simulator.world.inbox.watchers.append(self._touch)
        self._subscribers.add(one)
        one.send("hello", {"history": self._history.as_dict(), "status": self._simulator.status()})
        self._send_pdus(one, _PDUS_AT_FIRST)
        if not self._ticking:
            self._ticking = True
            self._simulator.world.schedule.call_later(_TICK_S, self._tick)

    def _gone(self, _: Failure | None, one: Subscriber) -> None:
        one.gone = True
        self._subscribers.discard(one)
        if not self._subscribers:
            self._simulator.world.inbox.watchers.remove(self._touch)

    def _touch(self, number: str) -> None:
        for one in self._subscribers:
            if len(one.touched) < _TOUCHED_AT_ONCE:
                one.touched[number] = None

    def _tick(self) -> None:
        if not self._subscribers:
            self._ticking = False
            return
        self._ticks += 1
        with_state = self._ticks % _TICKS_OF_STATE == 0
        status = self._simulator.status() if with_state else None
        for one in [each for each in self._subscribers if not each.paused and not each.gone]:
            if one.touched:
                touched, one.touched = list(one.touched), {}
                one.send("handsets", {"numbers": touched})
            self._send_pdus(one, _PDUS_AT_ONCE)
            if status is not None:
                one.send("state", {"status": status, "sample": self._history.newest})
                self._send_books(one)
        self._simulator.world.schedule.call_later(_TICK_S, self._tick)

    def _send_pdus(self, one: Subscriber, limit: int) -> None:
        pdus = self._simulator.world.pdus
        if pdus.count == one.last_pdu:
            return
        start = max(one.last_pdu, pdus.count - limit)
        entries = [summary(entry, self._simulator.alphabet) for entry in pdus.after(start)]
        one.send("pdus", {"pdus": entries, "skipped": pdus.count - one.last_pdu - len(entries)})
        one.last_pdu = pdus.count

    def _send_books(self, one: Subscriber) -> None:
        """Only that the operators' books changed: the page asks for what it shows."""
        books = [
            (
                len(charging.entries),
                charging.entries[-1].at if charging.entries else 0.0,
                sum(charging.balances().values()),
            )
            for account in self._simulator.accounts.values()
            if (charging := account.charging) is not None
        ]
        if books != one.books:
            one.books = books
            one.send("charging", {})
