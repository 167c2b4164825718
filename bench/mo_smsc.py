"""The operator's side of bench/mo.py: an SMSC that sends queries and takes the replies. A process of its own.

Built on gateway/smpp's server side; it does nothing but what the measurement needs, so that it takes little of the machine.
Each query comes from a handset of its own, so a reply is known by its destination. Without --rate at most --open queries
wait for their replies, and the next one leaves when one has come: the figure is the capacity. With --rate queries leave at
that speed, whatever comes back. When all replies are there, the result is written to --result as one JSON object.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint

from gateway.smpp.connection import SessionSettings
from gateway.smpp.pdu import DeliverSm, Pdu, SubmitSm, make_response
from gateway.smpp.server import BindPdu, SmscFactory, SmscSession, SmscSettings

TICK_S = 0.002
WARM_UP_S = 1.0
#: A reply to another query than these means that the gateway could not look it up: the figures would be of something else.
ANSWERED = b"Ho so"
RECEIPT = "id:{0} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:Ho so cua quy"


def handset(number: int) -> str:
    return f"8490{number:07d}"


class Operator:
    """Plays the SMSC of one bind."""

    def __init__(self, reactor: Any, arguments: argparse.Namespace) -> None:
        self._reactor, self._arguments = reactor, arguments
        self._session: SmscSession | None = None
        self._sent_at: dict[str, float] = {}
        self._began = 0.0
        self._next = 0
        self._unacknowledged: dict[int, float] = {}
        self._receipts: deque[DeliverSm] = deque()
        self._message_id = 0
        self.waits_ms: list[float] = []
        self.acknowledged_ms: list[float] = []
        self.refused = self.twice = self.unanswered_words = self.receipts_acknowledged = 0

    # -- SmscHandler ----------------------------------------------------------------------------------------------

    def on_connect(self, session: SmscSession) -> bool:
        return True

    def on_bind(self, session: SmscSession, bind: BindPdu) -> int:
        return 0

    def on_bound(self, session: SmscSession) -> None:
        self._session = session
        self._reactor.callLater(WARM_UP_S, self._begin)

    def on_request(self, session: SmscSession, request: Pdu) -> None:
        if not isinstance(request, SubmitSm):
            session.reply(make_response(request, 0), request)
            return
        self._message_id += 1
        session.reply(make_response(request, 0, message_id=str(self._message_id)), request)
        sent_at = self._sent_at.pop(request.destination_addr, None)
        if sent_at is None:
            self.twice += 1
        else:
            self.waits_ms.append((self._reactor.seconds() - sent_at) * 1000)
        if ANSWERED not in request.short_message:
            self.unanswered_words += 1
        if request.registered_delivery & 1 and not self._arguments.no_receipts:
            text = RECEIPT.format(self._message_id).encode()
            self._receipts.append(
                DeliverSm(
                    source_addr_ton=1,
                    source_addr_npi=1,
                    source_addr=request.destination_addr,
                    destination_addr=request.source_addr,
                    esm_class=4,
                    short_message=text,
                )
            )

    def on_response(self, session: SmscSession, token: Any, response: Pdu) -> None:
        if token is None:
            self.receipts_acknowledged += 1
        elif response.command_status:
            self.refused += 1
            self._sent_at.pop(handset(token[0]), None)
        else:
            self.acknowledged_ms.append((self._reactor.seconds() - token[1]) * 1000)

    def on_expired(self, session: SmscSession, token: Any) -> None:
        self.refused += token is not None

    def on_lost(self, session: SmscSession, reason: str, unanswered: Sequence[object]) -> None:
        self._session = None

    # -- the load -------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._began = self._reactor.seconds()
        self._tick()

    def _tick(self) -> None:
        session, arguments = self._session, self._arguments
        if session is None:
            raise SystemExit("the daemon has unbound")
        now = self._reactor.seconds()
        due = arguments.count
        if arguments.rate:
            due = min(due, int((now - self._began) * arguments.rate) + 1)
        else:
            due = min(due, self._next + arguments.open - len(self._sent_at))
        free = session.free_window
        while self._next < due and free > 0:
            self._query(session, self._next, now)
            self._next += 1
            free -= 1
        while self._receipts and free > 0:
            session.send(self._receipts.popleft())
            free -= 1
        done = len(self.waits_ms) + self.refused >= arguments.count
        if done and not self._receipts and session.in_flight == 0:
            self._write_result(now)
            return
        self._reactor.callLater(TICK_S, self._tick)

    def _query(self, session: SmscSession, number: int, now: float) -> None:
        address = handset(number)
        prefix = self._arguments.prefix[number % len(self._arguments.prefix)]
        code = f"{prefix}{number // 2 % self._arguments.dossiers:05d}"
        self._sent_at[address] = now
        session.send(
            DeliverSm(
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr=address,
                destination_addr="8083",
                short_message=f"MCKH {code}".encode(),
            ),
            (number, now),
        )

    def _write_result(self, now: float) -> None:
        result = {
            "replies": len(self.waits_ms),
            "refused": self.refused,
            "twice": self.twice,
            "other_words": self.unanswered_words,
            "seconds": now - self._began,
            "waits_ms": self.waits_ms,
            "acknowledged_ms": self.acknowledged_ms,
        }
        path = Path(self._arguments.result)
        path.with_suffix(".part").write_text(json.dumps(result), encoding="utf-8")
        path.with_suffix(".part").rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--open", type=int, default=300)
    parser.add_argument("--prefix", action="append", required=True, help="of an agency's codes; five digits follow")
    parser.add_argument("--dossiers", type=int, required=True)
    parser.add_argument("--no-receipts", action="store_true")
    parser.add_argument("--result", required=True)
    arguments = parser.parse_args()
    running: Any = reactor
    operator = Operator(running, arguments)
    session = SessionSettings(window=10_000, response_timeout_s=60.0, enquire_link_interval_s=60.0)
    factory = SmscFactory(running, operator, SmscSettings(session=session))
    TCP4ServerEndpoint(running, arguments.port, interface="127.0.0.1").listen(factory)
    running.run()


if __name__ == "__main__":
    main()
