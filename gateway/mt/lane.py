"""One operator's messages on their way from the store to its binds, and their outcomes on the way back.

    store ──claim──▶ buffer ──submit──▶ bind ──answer──▶ recorder ──▶ store

The lane works in turns of the reactor: whatever happens (a wake-up, an answer, a bind that comes up) asks for a turn, and
a turn sends all that may be sent, then lets the recorder write outcomes and claim what there is room for.

What bounds everything: pieces in the buffer and without an answer are never more than the binds' windows, so a crash
leaves at most one window in doubt (invariant 2), and memory does not grow with the backlog.

The order of the queue is the order of leaving: by priority, then by id. A throttled message goes back to its place in the
buffer; when its bind is out for long, the buffer goes back to the store, where its messages are the oldest again.

The file is long because claiming, sending and settling share one state, the hands, and are read together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from math import ceil

import structlog
from twisted.internet.defer import Deferred

from gateway.clock import Clock
from gateway.db import Database
from gateway.model import ClaimedMessage, IncomingReceipt, PartState, SubmitOutcome
from gateway.mt.bind import Bind
from gateway.mt.hand import WHOLE, Hand, Piece
from gateway.mt.hooks import ReplyHooks
from gateway.mt.lease import Lease
from gateway.mt.recorder import Answer, Recorder
from gateway.mt.submit import long_form, make_submit, segments_of
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.pdu import Tlv
from gateway.smpp.ports import DelayedCall, ReactorTime
from gateway.store.claims import Claim

log = structlog.get_logger()

#: How often the queue is looked at when nobody wakes the sender (another node's poller, held messages), in seconds.
POLL_INTERVAL_S = 0.2
#: The same after a claim that brought something: where one came, the next is likely. A claim that finds nothing is one look into
#: an index, and no write, in seconds.
BUSY_INTERVAL_S = 0.02
#: How much of a second's speed is claimed ahead: enough to bridge a transaction, little enough that a reply that comes
#: now does not wait behind many notices, in seconds.
AHEAD_S = 0.25
#: After a drain's time limit: how long the store may take to record what is left, in seconds.
DRAIN_GRACE_S = 3.0


class Lane:
    """The sender of one operator."""

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        db: Database,
        route: str,
        binds: Sequence[Bind],
        lease: Lease,
        hooks: ReplyHooks,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self.route = route
        self.binds = tuple(binds)
        self.recorder = Recorder(
            reactor, clock, db, route, lease.node, hooks, self._on_claim, self._on_failed, lambda: self.in_hand
        )
        self._reactor = reactor
        self._clock = clock
        self._lease = lease
        self._hooks = hooks
        self._poll_interval_s = poll_interval_s
        self._log = log.bind(route=route)
        self._hands: dict[int, Hand] = {}
        self._buffer: list[tuple[int, int, int, Piece]] = []
        self._flying: set[Piece] = set()
        self._buffered = 0  # parts in the buffer
        self._in_flight = 0  # parts without an answer
        self._hungry = True  # the queue may hold something
        self._running = False
        self._drain: Deferred[None] | None = None
        self._turn_call: DelayedCall | None = None
        self._left_call: DelayedCall | None = None
        self._timer: DelayedCall | None = None
        self._timer_at = 0.0
        self._poll_call: DelayedCall | None = None
        self._drain_call: DelayedCall | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to claim and send."""
        self._running = True
        self._poll()

    def wake(self) -> None:
        """The queue holds something new, or something else has changed for the better."""
        self._hungry = True
        self.ask_for_turn()

    def _poll(self) -> None:
        self._poll_after(self._poll_interval_s)
        self.wake()

    def _poll_after(self, interval_s: float) -> None:
        if self._poll_call is not None and self._poll_call.active():
            self._poll_call.cancel()
        self._poll_call = self._reactor.callLater(interval_s, self._poll)

    def drain(self, timeout_s: float) -> Deferred[None]:
        """Claim nothing more, give back what has not left, wait for answers, commit.

        Fires when nothing is in hand any more. What is unanswered after ``timeout_s`` becomes unknown.
        """
        done: Deferred[None] = Deferred()
        self._drain = done
        self.give_back("drain")
        self._drain_call = self._reactor.callLater(timeout_s, self._drain_timed_out)
        self.ask_for_turn()
        return done

    def _drain_timed_out(self) -> None:
        for piece in list(self._flying):
            self.unanswered(piece, piece.hand.bind, "drain_timeout")
        self._drain_call = self._reactor.callLater(DRAIN_GRACE_S, self._end_drain)
        self.ask_for_turn()

    def _end_drain(self) -> None:
        if self._drain_call is not None and self._drain_call.active():
            self._drain_call.cancel()
        if self._drain is not None and not self._drain.called:
            self._log.info("drained", in_hand=len(self.in_hand))
            self._drain.callback(None)

    def stop(self) -> None:
        """No more timers. What is still in hand stays claimed, and becomes unknown when this node starts again."""
        self._running = False
        self.recorder.stop()
        for call in (self._turn_call, self._left_call, self._timer, self._poll_call, self._drain_call):
            if call is not None and call.active():
                call.cancel()

    @property
    def in_hand(self) -> frozenset[int]:
        """Every message that this lane has claimed and not settled in the store."""
        return frozenset(self._hands.keys() | self.recorder.message_ids)

    # -- turns ----------------------------------------------------------------------------------------------------

    def ask_for_turn(self) -> None:
        """Something has happened: look at everything soon, once."""
        if self._running and self._turn_call is None:
            self._turn_call = self._reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        self._turn_call = None
        now = self._reactor.seconds()
        for bind in self.binds:
            if bind.recovery.recovered(now):
                self._log.info("recovered", bind=bind.name)
        self._send(now)
        limit = self._room_to_claim(now) if self._hungry and self._drain is None and self._lease.held(now) else 0
        self._hungry = self._hungry and limit <= 0  # before the claim: what comes while it runs counts
        if not self.recorder.run(limit) and limit > 0:
            self._hungry = True
        self._set_timer(now)
        if self._drain is not None and not self._hands and self.recorder.idle:
            self._end_drain()

    def _room_to_claim(self, now: float) -> int:
        """How many parts more may be in hand: what the windows hold, and what leaves soon."""
        if self.recorder.behind:
            return 0  # the next commit brings the next turn
        ready = [bind for bind in self.binds if bind.ready(now)]
        window = sum(bind.settings.window for bind in ready) - self._buffered - self._in_flight
        if window <= 0:
            return 0
        licences = {id(bind.licence): float(bind.licence.parts_per_s) for bind in ready}
        speed = min(sum(licences.values()), sum(bind.speed(now) for bind in ready))
        return min(window, ceil(speed * AHEAD_S) - self._buffered)

    def _on_claim(self, claim: Claim, limit_parts: int) -> None:
        claimed = 0
        for message in claim.messages:
            hand = Hand(message)
            self._hands[message.id] = hand
            self._push(Piece(hand, WHOLE if message.parts > 1 else 1))
            claimed += message.parts
        if claim.expired or (limit_parts and claimed >= limit_parts):
            self._hungry = True  # there may be more
        if claim.messages:
            if self._drain is not None:
                self.give_back("drain")
            elif self._running:
                self._poll_after(min(BUSY_INTERVAL_S, self._poll_interval_s))
        self.ask_for_turn()

    def _set_timer(self, now: float) -> None:
        """Wake up when the licence or a pause lets the next piece go."""
        if not self._buffer:
            return
        cost = self._cost(self._buffer[0][3])
        waits = [wait for wait in (bind.wait_s(now, cost) for bind in self.binds) if wait is not None]
        if not waits:
            return  # an answer, or a bind that comes up, brings the next turn
        due = now + min(waits)
        if self._timer is not None and self._timer.active():
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._reactor.callLater(due - now, self.ask_for_turn)

    # -- sending --------------------------------------------------------------------------------------------------

    def _send(self, now: float) -> None:
        if not self._buffer:
            return
        if not self._lease.held(now):
            self.give_back("lease_lapsed")
            return
        if not any(bind.ready(now) for bind in self.binds):
            self.give_back("no_bind")
            return
        for bind in self.binds:
            bind.begin_turn(now)
        business_now = self._clock.business_now()
        while self._buffer:
            piece = self._buffer[0][3]
            hand = piece.hand
            if hand.form == "payload" and hand.bind is not None and _exceeds(hand.message, hand.bind):
                hand.form = None  # the share has become smaller since: it is cut anew
            chosen = self._choose(hand, self._cost(piece), now)
            if chosen is None:
                return
            if piece.hand.form is not None or self._cut(piece, chosen):
                self._submit(chosen, self._pop(), now, business_now)

    def _choose(self, hand: Hand, cost: int, now: float) -> Bind | None:
        """The bind that has the most room; the parts of one message stay together if they can."""
        best: Bind | None = None
        for bind in self.binds:
            if bind.room > 0 and bind.licence.allows(now, cost):
                if bind is hand.bind:
                    return bind
                if best is None or bind.room > best.room:
                    best = bind
        return best

    def _cost(self, piece: Piece) -> int:
        """The parts that the licence counts: one a submit, but all of them for one that carries them all."""
        return piece.hand.message.parts if piece.number == WHOLE and piece.hand.form == "payload" else 1

    def _cut(self, piece: Piece, bind: Bind) -> bool:
        """Cut a message as its first bind wants it. False: the buffer has changed, or costs more; look again."""
        hand, message = piece.hand, piece.hand.message
        form = bind.settings.long_message
        if message.parts > 1:
            form = long_form(bind.settings, message, bind.client is not None and bind.client.tlvs_allowed)
            if form == "payload" and _exceeds(message, bind):
                form = "udh8"
        try:
            hand.segments = segments_of(message, bind.settings, form)
        except ValueError as error:
            self.refused(self._pop(), bind, None, f"text:{error}")
            return False
        hand.bind, hand.form = bind, form
        if message.parts == 1 or len(hand.segments) == 1:
            return message.parts == 1
        self._pop()
        for number in range(1, message.parts + 1):
            if number not in message.parts_done:
                self._push(Piece(hand, number))
        return False

    def _submit(self, bind: Bind, piece: Piece, now: float, business_now: datetime) -> None:
        hand, message, client = piece.hand, piece.hand.message, bind.client
        if client is None:
            raise LocalProtocolError(f"{bind.name} has no client")
        cost = self._cost(piece)
        try:
            if bind is not hand.bind and hand.bind is not None:
                self._rewrite(hand, bind)
            number = piece.number or 1
            segment = hand.segments[0 if len(hand.segments) == 1 else number - 1]
            pdu = make_submit(message, number, segment, bind.settings, client.tlvs_allowed, business_now)
            if message.mo_id is not None:
                pdu = self._hooks.decorate(message, bind.settings, pdu)
            client.submit(pdu, piece)
        except (LocalProtocolError, ValueError) as error:
            if isinstance(error, LocalProtocolError) and not (client.bound and client.free_window):
                bind.room = 0  # it went down in this very turn
                self._push(piece)
            else:
                self.refused(piece, bind, None, f"encode:{error}")
            return
        bind.room -= 1
        bind.licence.spend(now, cost)
        if self._left_call is None:  # after the client's own, which writes
            self._left_call = self._reactor.callLater(0, self._have_left)
        bind.recovery.spend(cost)
        piece.flying = True
        hand.flying += 1
        self._in_flight += piece.weight
        self._flying.add(piece)

    def _have_left(self) -> None:
        self._left_call = None
        now = self._reactor.seconds()
        for bind in self.binds:
            bind.licence.left(now)

    def _rewrite(self, hand: Hand, bind: Bind) -> None:
        """The same parts for another bind of the operator, which may read another default alphabet."""
        if hand.form is not None:
            hand.segments = segments_of(hand.message, bind.settings, hand.form)
        hand.bind = bind

    def _push(self, piece: Piece) -> None:
        message = piece.hand.message
        heappush(self._buffer, (message.priority, message.id, piece.number, piece))
        self._buffered += piece.weight
        piece.hand.waiting += 1

    def _pop(self) -> Piece:
        piece = heappop(self._buffer)[3]
        self._buffered -= piece.weight
        piece.hand.waiting -= 1
        return piece

    def receipt(self, receipt: IncomingReceipt, answer: Answer) -> None:
        """A delivery receipt has come; it is answered after its commit."""
        self.recorder.add_receipt(receipt, answer)
        self.ask_for_turn()

    # -- what became of it ----------------------------------------------------------------------------------------

    def accepted(self, piece: Piece, bind: Bind, smsc_message_id: str, tlvs: tuple[Tlv, ...] = ()) -> None:
        """The SMSC has it."""
        self._landed(piece)
        self._record(piece, bind, PartState.ACCEPTED, smsc_message_id, 0, tlvs=tlvs)
        self._settle(piece.hand)

    def refused(self, piece: Piece, bind: Bind, status: int | None, reason: str, tlvs: tuple[Tlv, ...] = ()) -> None:
        """It will never pass. ``status`` None: it could not even be sent. The message's other parts stay here."""
        self._landed(piece)
        self._record(piece, bind, PartState.REJECTED, "", status, reason, tlvs=tlvs)
        piece.hand.dead = True
        self._drop_waiting(piece.hand)
        self._settle(piece.hand)

    def _on_failed(self, message_id: int) -> None:
        """A receipt has ended it while parts of it wait here: without that part nobody can read them."""
        hand = self._hands.get(message_id)
        if hand is not None:
            hand.dead = True
            self._drop_waiting(hand)
            self._settle(hand)

    def unanswered(self, piece: Piece, bind: Bind | None, reason: str) -> None:
        """It may have left, and nobody knows what became of it."""
        self._landed(piece)
        self._record(piece, bind, PartState.UNKNOWN, "", None, reason)
        self._settle(piece.hand)

    def again(self, piece: Piece) -> None:
        """It did not pass through no fault of its own: back to its place."""
        self._landed(piece)
        if not piece.hand.dead and piece.hand.returned is None:
            self._push(piece)
        self._settle(piece.hand)

    def later(self, piece: Piece, reason: str, status: int | None, retry_at: datetime | None) -> None:
        """It did not pass now: the message goes back to the store, as soon as none of its parts is under way."""
        self._landed(piece)
        hand = piece.hand
        hand.returned, hand.returned_status, hand.retry_at = reason, status, retry_at
        self._drop_waiting(hand)
        self._settle(hand)

    def late(
        self,
        piece: Piece,
        bind: Bind,
        state: PartState,
        status: int,
        smsc_message_id: str = "",
        reason: str = "",
        retry_at: datetime | None = None,
        tlvs: tuple[Tlv, ...] = (),
    ) -> None:
        """The answer to what had been recorded as unanswered."""
        self._record(piece, bind, state, smsc_message_id, status, reason, retry_at, tlvs)
        self.ask_for_turn()

    def give_back(self, reason: str) -> None:
        """Everything in the buffer goes back to the store."""
        pieces = [entry[3] for entry in self._buffer]
        self._buffer, self._buffered = [], 0
        for piece in pieces:
            piece.hand.waiting -= 1
            piece.hand.returned = piece.hand.returned or reason
        for hand in {id(piece.hand): piece.hand for piece in pieces}.values():
            self._settle(hand)

    def _landed(self, piece: Piece) -> None:
        if piece.flying:
            piece.flying = False
            piece.hand.flying -= 1
            self._in_flight -= piece.weight
            self._flying.discard(piece)
        self.ask_for_turn()

    def _record(
        self,
        piece: Piece,
        bind: Bind | None,
        state: PartState,
        smsc_message_id: str = "",
        status: int | None = None,
        reason: str = "",
        retry_at: datetime | None = None,
        tlvs: tuple[Tlv, ...] = (),
    ) -> None:
        name, message_id = "" if bind is None else bind.name, piece.hand.message.id
        for part in piece.parts if piece.number == WHOLE else (piece.number,):
            self.recorder.add(
                SubmitOutcome(message_id, part, name, state, smsc_message_id, status, None, reason, retry_at, tlvs)
            )

    def _drop_waiting(self, hand: Hand) -> None:
        if hand.waiting:
            dropped = [entry for entry in self._buffer if entry[3].hand is hand]
            self._buffer = [entry for entry in self._buffer if entry[3].hand is not hand]
            heapify(self._buffer)
            self._buffered -= sum(entry[3].weight for entry in dropped)
            hand.waiting = 0

    def _settle(self, hand: Hand) -> None:
        """Let go of a message when none of its pieces waits or is under way."""
        if hand.waiting or hand.flying or self._hands.get(hand.message.id) is not hand:
            return
        del self._hands[hand.message.id]
        if hand.returned is not None and not hand.dead:
            self.recorder.add(
                SubmitOutcome(
                    hand.message.id,
                    1,
                    "",
                    PartState.PENDING,
                    command_status=hand.returned_status,
                    reason=hand.returned,
                    retry_at=hand.retry_at,
                )
            )


def _exceeds(message: ClaimedMessage, bind: Bind) -> bool:
    """Whether all its parts at once are more than this node's share of the licence (invariant 6)."""
    return message.parts > bind.licence.parts_per_s
