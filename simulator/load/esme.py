"""The load as ESME: submits at a rate within windows, and notes what becomes of each.

A message's time counts from when it should have left, not from when it could. At a fixed rate a stall of the SMSC therefore shows
in every message that it held up, in the window and before it ("coordinated omission" is what hides them otherwise).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gateway.smpp.constants import CommandStatus, status_name
from gateway.smpp.pdu import DataSm, DeliverSm, Pdu
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.smpp.receipt import is_receipt
from simulator.errors import SimulatorError
from simulator.load.esme_link import EsmeLink
from simulator.load.latencies import Latencies
from simulator.load.pace import Pace
from simulator.load.receipt_book import ReceiptBook
from simulator.load.submit_pdus import SubmitBodies

_TICK_S = 0.001  # at high rates several messages leave together
_SETTLE_TICK_S = 0.01  # how often the end looks whether everything is here
_AT_ONCE = 500  # submits before what has arrived is looked at
_THROTTLED = frozenset({int(CommandStatus.ESME_RTHROTTLED), int(CommandStatus.ESME_RMSGQFUL)})
_PAUSE_S = 0.1  # after a throttling status that is obeyed; doubles up to the next
_PAUSE_MOST_S = 3.2


class _Sent(NamedTuple):
    """One submit_sm on its way."""

    intended_at: float
    body: bytes


class EsmeLoad:
    """Submits over its links as soon as all of them are bound.

    Args:
        clock: the reactor.
        bodies: the messages.
        pace: when they should leave; counts submit_sm, parts of a long message one by one.
        count: the most messages; None: until the pace is over.
        receipts: await a final receipt for each accepted submit_sm.
        obey_throttling: send what was throttled again, after a pause.
        wait_s: for answers and receipts, after the last submit.
        links: begin when so many are bound.
        done: called once, at the end.
    """

    def __init__(
        self,
        clock: ReactorTime,
        bodies: SubmitBodies,
        pace: Pace,
        *,
        count: int | None,
        receipts: bool,
        obey_throttling: bool,
        wait_s: float,
        links: int,
        done: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._now = clock.seconds
        self._pace = pace
        self._submits = self._each(bodies, count)
        self._next: bytes | None = None
        self._want_receipts = receipts
        self._obey = obey_throttling
        self._wait_s = wait_s
        self._done = done
        self._awaited_links = links
        self.links: list[EsmeLink] = []
        self.answers = Latencies()
        self.receipts = ReceiptBook()
        self.statuses: Counter[int] = Counter()
        self.messages = 0
        self.sent = 0
        self.answered = 0
        self.repeated = 0
        self.expired = 0
        self.unanswered = 0  # left open by a link that was lost
        self.mos = 0
        self.most_behind_s = 0.0
        self.lost_links: list[str] = []
        self.fault: SimulatorError | None = None
        self.began_at = self.last_sent_at = self.last_answer_at = 0.0
        self._again: deque[_Sent] = deque()
        self._pause_s = _PAUSE_S
        self._paused_until = 0.0
        self._turn = 0
        self._call: DelayedCall | None = None
        self._running = False
        self._ended = False

    def _start(self) -> None:
        self.began_at = self._now()
        self._pace.begin(self.began_at)
        self._running = True
        self._next = next(self._submits, None)
        self._pump()

    def stop(self) -> None:
        """Send no more, wait for nothing."""
        self._end()

    def leave(self) -> None:
        """Unbind all links."""
        for link in self.links:
            link.unbind()

    @property
    def gone(self) -> bool:
        """No link is up any more."""
        return not any(link.up for link in self.links)

    def progress(self) -> str:
        """One line about this moment."""
        awaited = f", receipts {self.receipts.matched}" if self._want_receipts else ""
        mean_ms = self.answers.take_mean_ms()
        mean = "" if mean_ms is None else f", answers after {mean_ms:,.1f} ms"
        refused = self.answered - self.statuses[0]
        return f"sent {self.sent}, open {self.open}, refused {refused}{awaited}{mean}"

    @property
    def total(self) -> int:
        """What the rate of the progress line counts."""
        return self.answered

    @property
    def open(self) -> int:
        """Submits without an answer that may still come."""
        return self.sent - self.answered - self.expired - self.unanswered

    @property
    def complete(self) -> bool:
        """Every submit was answered, and every receipt that is awaited is here."""
        answered = self.answered == self.sent and self.sent > 0 and not self._again
        return answered and not (self._want_receipts and self.receipts.missing) and self.fault is None

    # What the links tell

    def bound(self) -> None:
        """One more link is up."""
        self._awaited_links -= 1
        if not self._awaited_links and not self._ended:
            self._start()

    def failed(self, error: SimulatorError) -> None:
        self.fault = self.fault or error
        self._end()

    def lost(self, link: EsmeLink, reason: str, tokens: Sequence[object]) -> None:
        if self._ended:
            return
        self.lost_links.append(reason)
        self.unanswered += len(tokens)
        if not any(one.up for one in self.links):
            self._end()

    def answered_late(self, token: object, response: Pdu) -> None:
        self.expired -= 1
        self.settled(token, response)

    def settled(self, token: object, response: Pdu) -> None:
        """An answer is here."""
        assert isinstance(token, _Sent)
        now = self._now()
        status = response.command_status
        self.answered += 1
        self.statuses[status] += 1
        self.last_answer_at = now
        if status in _THROTTLED and self._obey:
            self._again.append(token)
            if now >= self._paused_until:
                self._paused_until = now + self._pause_s
                self._pause_s = min(2 * self._pause_s, _PAUSE_MOST_S)
            return
        self.answers.add(now - token.intended_at)
        if status == 0:
            self._pause_s = _PAUSE_S
            if self._want_receipts:
                self.receipts.accepted(getattr(response, "message_id", ""), token.intended_at)

    def gave_up(self, token: object) -> None:
        """No answer in time; it may still come."""
        self.expired += 1

    def delivered(self, pdu: DeliverSm | DataSm) -> None:
        if is_receipt(pdu, recognise_without_esm_class=True):
            self.receipts.received(pdu, self._now())
        else:
            self.mos += 1

    def handled(self) -> None:
        """All that arrived together was told: windows have room."""
        if self._running:
            self._pump()

    # Sending

    def _each(self, bodies: SubmitBodies, count: int | None) -> Iterator[bytes]:
        sequence = 0
        while count is None or sequence < count:
            sequence += 1
            self.messages = sequence
            yield from bodies.message(sequence)

    def _pump(self) -> None:
        """Send what is due and fits into the windows; set the next call."""
        now = self._now()
        if now >= self._paused_until:
            self._send(now)
        if self._over(now):
            self._running = False
            self._settle(now + self._wait_s)
        else:
            self._call_at(now)

    def _send(self, now: float) -> None:
        left = _AT_ONCE
        due = self._pace.due(now)
        while left:
            link = self._pick()
            if link is None:
                return
            room = min(left, link.free)
            left -= room
            for _ in range(room):
                if self._again:
                    sent = self._again.popleft()
                    self.repeated += 1
                elif self.sent - self.repeated < due and self._next is not None:
                    index = self.sent - self.repeated
                    sent = _Sent(self._pace.intended_at(index, now), self._next)
                    self._next = next(self._submits, None)
                else:
                    return
                self.most_behind_s = max(self.most_behind_s, now - sent.intended_at)
                link.submit(sent.body, sent, now)
                self.sent += 1
                self.last_sent_at = now

    def _pick(self) -> EsmeLink | None:
        links = self.links
        for _ in links:
            self._turn = (self._turn + 1) % len(links)
            if links[self._turn].free:
                return links[self._turn]
        return None

    def _over(self, now: float) -> bool:
        fresh = self.sent - self.repeated
        return not self._again and (self._next is None or self._pace.over(fresh, now))

    def _call_at(self, now: float) -> None:
        if self._call is not None and self._call.active():
            return
        if now < self._paused_until:
            delay_s = self._paused_until - now
        elif not any(link.free for link in self.links):
            return  # an answer, or its lack, wakes it
        else:
            delay_s = max(_TICK_S, self._pace.intended_at(self.sent - self.repeated, now) - now)
        self._call = self._clock.callLater(delay_s, self._tick)

    def _tick(self) -> None:
        self._call = None
        if self._running:
            self._pump()

    def _settle(self, deadline: float) -> None:
        """Everything has left: wait for answers and receipts."""
        if self._ended:
            return
        if self._again:  # throttled after the last one had left
            self._running = True
            self._pump()
            return
        awaited = self.receipts.missing if self._want_receipts else 0
        if (not self.open and not awaited) or self._now() >= deadline:
            self._end()
        else:
            self._clock.callLater(_SETTLE_TICK_S, self._settle, deadline)

    def _end(self) -> None:
        if not self._ended:
            self._ended, self._running = True, False
            self._done()

    # The report

    def as_dict(self) -> dict[str, Any]:
        """What happened so far."""
        sending_s = max(self.last_sent_at - self.began_at, 1e-9)
        answering_s = max(self.last_answer_at - self.began_at, 1e-9)
        report: dict[str, Any] = {
            "role": "esme",
            "offered_per_s": self._pace.rate,
            "messages": self.messages if self._next is None else max(0, self.messages - 1),
            "sent": self.sent,
            "sent_per_s": round((self.sent - 1) / sending_s, 3) if self.sent > 1 else None,
            "answered": self.answered,
            "answered_per_s": round((self.answered - 1) / answering_s, 3) if self.answered > 1 else None,
            "unanswered": self.sent - self.answered,
            "statuses": {status_name(status): count for status, count in sorted(self.statuses.items())},
            "throttled": sum(self.statuses[status] for status in _THROTTLED),
            "sent_again": self.repeated,
            "most_behind_ms": round(self.most_behind_s * 1000, 3),
            "links_lost": self.lost_links,
            "mo": self.mos,
            "answer_ms": self.answers.as_dict(),
            "complete": self.complete,
        }
        if self._want_receipts:
            book = self.receipts
            report["receipts"] = {
                "awaited": book.expected,
                "received": book.matched,
                "missing": book.missing,
                "unmatched": book.unmatched,
                "early": book.early,
                "intermediate": book.intermediate,
                "states": dict(sorted(book.states.items())),
            }
            report["receipt_ms"] = book.latencies.as_dict()
        return report
