"""The load as SMSC: handsets send at a rate to whoever binds; answers and, if wanted, replies are awaited.

A whole simulator plays the SMSC, so every account setting works: charging, ids of MO in TLVs, receipts for the replies. Times count
from when an MO should have left, as in the load as ESME.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from gateway.smpp.constants import status_name
from simulator.behaviours.base import Submission
from simulator.delivery import handset
from simulator.errors import SimulatorError
from simulator.load.latencies import Latencies
from simulator.load.pace import Pace
from simulator.load.templates import NumberPattern, TextTemplate
from simulator.mo import Mo, MoRequest
from simulator.phones import international
from simulator.simulator import Simulator

_TICK_S = 0.002
_BIND_LOOK_S = 0.05
_AT_ONCE = 500


class MoLoad:
    """Drives a started simulator.

    Args:
        simulator: with the accounts that ESMEs bind to.
        pace: when the MO should leave.
        text, sender: of each MO.
        to: the shortcode.
        replies: await a submit_sm from the shortcode to each handset.
        window: MO without an answer at a time, where the pace has no rate.
        wait_s: for answers and replies, after the last MO.
        bind_s: for the first ESME that can receive.
        done: called once, at the end.
    """

    def __init__(
        self,
        simulator: Simulator,
        pace: Pace,
        text: TextTemplate,
        sender: NumberPattern,
        *,
        to: str,
        replies: bool,
        window: int,
        wait_s: float,
        bind_s: float,
        done: Callable[[], None],
    ) -> None:
        self._simulator = simulator
        self._schedule = simulator.world.schedule
        self._now = self._schedule.now
        self._pace = pace
        self._text = text
        self._sender = sender
        self._to = to
        self._want_replies = replies
        self._window = window
        self._wait_s = wait_s
        self._done = done
        self.answers = Latencies()
        self.replies = Latencies()
        self.statuses: Counter[str] = Counter()
        self.reply_statuses: Counter[int] = Counter()
        self.sent = 0
        self.answered = 0
        self.replied = 0
        self.more_replies = 0  # to a handset whose MO had its reply, or that sent none
        self.most_behind_s = 0.0
        self.fault: SimulatorError | None = None
        self.began_at = self.last_sent_at = self.last_answer_at = 0.0
        self._waiting: dict[str, deque[float]] = {}  # handset: when its MO without a reply should have left
        self._ended = False
        self._deadline = self._now() + bind_s
        for account in simulator.accounts.values():
            account.submits.watcher = self._submitted
        self._schedule.call_later(0.0, self._await_bind)

    def stop(self) -> None:
        """Send no more, wait for nothing."""
        self._end()

    def leave(self) -> None:
        """Unbind all ESMEs."""
        for account in self._simulator.accounts.values():
            for session in list(account.sessions):
                session.unbind()

    @property
    def gone(self) -> bool:
        """No ESME is bound any more."""
        return not any(account.sessions for account in self._simulator.accounts.values())

    @property
    def total(self) -> int:
        """What the rate of the progress line counts."""
        return self.answered

    @property
    def complete(self) -> bool:
        """Every MO was answered, and every reply that is awaited is here."""
        answered = self.sent > 0 and self.answered == self.sent and self.fault is None
        return answered and not (self._want_replies and self.replied < self.sent)

    def progress(self) -> str:
        """One line about this moment."""
        if not self.began_at:
            ports = ", ".join(str(port) for port in sorted(set(self._simulator.ports.values())))
            return f"waiting for an ESME that can receive, on port {ports}"
        replies = f", replies {self.replied}" if self._want_replies else ""
        mean_ms = self.answers.take_mean_ms()
        mean = "" if mean_ms is None else f", answers after {mean_ms:,.1f} ms"
        return f"sent {self.sent}, open {self.sent - self.answered}{replies}{mean}"

    def _await_bind(self) -> None:
        if self._ended:
            return
        if any(account.has_receiver for account in self._simulator.accounts.values()):
            self.began_at = self._now()
            self._pace.begin(self.began_at)
            self._pump()
        elif self._now() >= self._deadline:
            ports = ", ".join(str(port) for port in sorted(set(self._simulator.ports.values())))
            self.fault = SimulatorError(
                f"port {ports}", "no ESME that can receive has bound", "Start it, or give it more time with --bind-wait"
            )
            self._end()
        else:
            self._schedule.call_later(_BIND_LOOK_S, self._await_bind)

    def _pump(self) -> None:
        if self._ended:
            return
        now = self._now()
        due = min(self._pace.due(now), self.sent + _AT_ONCE)
        if self._pace.rate is None:
            due = min(due, self.answered + self._window)
        while self.sent < due:
            self._send(now)
        if self._pace.over(self.sent, now):
            self._settle(now + self._wait_s)
        else:
            wait_s = self._pace.intended_at(self.sent, now) - now
            self._schedule.call_later(max(_TICK_S, wait_s), self._pump)

    def _send(self, now: float) -> None:
        intended_at = self._pace.intended_at(self.sent, now)
        sequence = self.sent + 1
        phone = international(self._sender.number(sequence))
        if self._want_replies:
            self._waiting.setdefault(phone, deque()).append(intended_at)
        self.sent = sequence
        self.last_sent_at = now
        self.most_behind_s = max(self.most_behind_s, now - intended_at)
        mo = self._simulator.send_mo(MoRequest(phone, self._to, self._text.text(sequence, phone)))
        mo.when_settled().addCallback(self._answered, intended_at)

    def _answered(self, mo: Mo, intended_at: float) -> None:
        for part in mo.parts:
            self.statuses["none" if part.status is None else status_name(part.status)] += 1
        if all(part.status is not None for part in mo.parts):
            self.answered += 1
            self.last_answer_at = self._now()
            self.answers.add(self.last_answer_at - intended_at)

    def _submitted(self, submission: Submission) -> None:
        """Any submit_sm of an ESME."""
        pdu = submission.pdu
        part = submission.concatenation
        if not self._want_replies or pdu.source_addr != self._to or (part is not None and part.part > 1):
            return
        self.reply_statuses[int(submission.status)] += 1
        waiting = self._waiting.get(handset(pdu.destination_addr))
        if not waiting:
            self.more_replies += 1
        elif submission.status == 0:
            self.replied += 1
            self.replies.add(submission.at - waiting.popleft())

    def _settle(self, deadline: float) -> None:
        if self._ended:
            return
        waiting = self.answered < self.sent or (self._want_replies and self.replied < self.sent)
        if not waiting or self._now() >= deadline:
            self._end()
        else:
            self._schedule.call_later(_BIND_LOOK_S / 5, self._settle, deadline)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._done()

    def as_dict(self) -> dict[str, Any]:
        """The report, so far."""
        sending_s = max(self.last_sent_at - self.began_at, 1e-9)
        answering_s = max(self.last_answer_at - self.began_at, 1e-9)
        report: dict[str, Any] = {
            "role": "smsc",
            "offered_per_s": self._pace.rate,
            "sent": self.sent,
            "sent_per_s": round((self.sent - 1) / sending_s, 3) if self.sent > 1 else None,
            "answered": self.answered,
            "answered_per_s": round((self.answered - 1) / answering_s, 3) if self.answered > 1 else None,
            "unanswered": self.sent - self.answered,
            "statuses": dict(sorted(self.statuses.items())),
            "most_behind_ms": round(self.most_behind_s * 1000, 3),
            "answer_ms": self.answers.as_dict(),
            "complete": self.complete,
        }
        if self._want_replies:
            report["replies"] = {
                "received": self.replied,
                "missing": self.sent - self.replied,
                "unmatched": self.more_replies,
                "statuses": {status_name(status): count for status, count in sorted(self.reply_statuses.items())},
            }
            report["reply_ms"] = self.replies.as_dict()
        return report
