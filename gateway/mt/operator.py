"""One operator: its binds, joined to its lane. What the SMSC says is told to whom it concerns.

Answers to submits go to the lane, judged by the status policy, and so do receipts; queries (MO) go to the sink that the
receiver gives. A deliver_sm is answered by whoever took it, after its commit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from twisted.internet.defer import Deferred, DeferredList

from gateway.clock import Clock
from gateway.model import ClaimedMessage, PartState
from gateway.mt import policy
from gateway.mt.bind import Bind
from gateway.mt.hand import Piece
from gateway.mt.lane import Lane
from gateway.mt.receipts import read_receipt
from gateway.mt.throttle import Licence
from gateway.settings import BindMode, BindSettings, OperatorSettings, StatusAction
from gateway.smpp.client import BindType, EsmeClient, EsmeSettings, OutbindCredentials
from gateway.smpp.constants import CommandStatus, TlvTag, status_description, status_name
from gateway.smpp.pdu import AlertNotification, DataSm, DeliverSm, Pdu, SubmitSmResp, Tlv, tlv_int
from gateway.smpp.ports import ClientEndpoint, ReactorTime
from gateway.smpp.receipt import is_receipt, is_sme_acknowledgement
from gateway.store.portability import MOVED

log = structlog.get_logger()

#: Gives the endpoint of the next attempt to connect a bind.
Endpoints = Callable[[BindSettings], Callable[[], ClientEndpoint]]
#: Takes a query: route, bind, the PDU, and how to answer it (with a command_status) after the commit.
MoSink = Callable[[str, BindSettings, DeliverSm | DataSm, Callable[[int], None]], None]

#: The connections of a bind: what is added to its name, and the bind request.
CONNECTIONS = {
    BindMode.TRANSCEIVER: (("", BindType.TRANSCEIVER),),
    BindMode.TRANSMITTER: (("", BindType.TRANSMITTER),),
    BindMode.RECEIVER: (("", BindType.RECEIVER),),
    BindMode.PAIR: ((".tx", BindType.TRANSMITTER), (".rx", BindType.RECEIVER)),
}


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One connection, for the console and for checks."""

    route: str
    bind: str
    type: str
    state: str
    bound: bool
    in_flight: int
    window: int
    throttled: bool
    parked_reason: str
    last_error: str


def make_binds(settings: OperatorSettings) -> list[Bind]:
    """The binds of an operator that can submit. Those of one system_id share its licence."""
    licences: dict[str, Licence] = {}
    return [
        Bind(bind, licences.setdefault(bind.system_id, Licence(settings.licence_parts_per_s)))
        for bind in settings.binds
        if bind.mode is not BindMode.RECEIVER
    ]


class OperatorLink:
    """The owner of an operator's SMPP clients (:class:`gateway.smpp.client.EsmeHandler`)."""

    def __init__(
        self,
        reactor: ReactorTime,
        clock: Clock,
        settings: OperatorSettings,
        lane: Lane,
        mo_sink: MoSink,
        endpoints: Endpoints,
        rng: random.Random,
        make_client: type[EsmeClient] = EsmeClient,
        others: Sequence[str] = (),
    ) -> None:
        """``others``: the operators that are asked when this one says that a number is not its subscriber, in order."""
        self.route = lane.route
        self._reactor = reactor
        self._clock = clock
        self._lane = lane
        self._mo_sink = mo_sink
        self._others = tuple(others)
        self._settings: dict[EsmeClient, BindSettings] = {}
        self._binds: dict[EsmeClient, Bind] = {}
        self._log = log.bind(route=self.route)
        senders = {bind.name: bind for bind in lane.binds}
        for bind in settings.binds:
            for suffix, bind_type in CONNECTIONS[bind.mode]:
                client = make_client(reactor, endpoints(bind), esme_settings(bind, bind_type, suffix), self, rng)
                self._settings[client] = bind
                if bind_type is not BindType.RECEIVER:
                    senders[bind.name].client = client
                    self._binds[client] = senders[bind.name]

    def start(self) -> None:
        """Bring all binds up."""
        for client in self._settings:
            client.start()

    def stop(self, timeout_s: float) -> Deferred[Any]:
        """Unbind all; fires when every connection is gone."""
        return DeferredList([client.stop(timeout_s) for client in self._settings], consumeErrors=True)

    def status(self) -> list[LinkStatus]:
        """Every connection, as it is now."""
        found = []
        for client, settings in self._settings.items():
            bind = self._binds.get(client)
            found.append(
                LinkStatus(
                    route=self.route,
                    bind=client.name,
                    type=str(client.settings.bind_type),
                    state=client.state,
                    bound=client.bound,
                    in_flight=client.in_flight,
                    window=settings.window,
                    throttled=bind is not None and bind.recovery.throttled,
                    parked_reason="" if bind is None else bind.parked_reason,
                    last_error=client.last_error,
                )
            )
        return found

    # -- the life of a bind ---------------------------------------------------------------------------------------

    def on_bound(self, client: EsmeClient) -> None:
        bind = self._binds.get(client)
        if bind is not None:
            bind.unpark()
        self._log.info("bind_up", bind=client.name)
        self._lane.wake()

    def on_unbound(
        self, client: EsmeClient, reason: str, unanswered: Sequence[object], never_sent: Sequence[object]
    ) -> None:
        wanted = client.state in ("draining", "stopped")  # by our own stop: nobody on call need look
        tell = self._log.info if wanted else self._log.warning
        tell("bind_down", bind=client.name, reason=reason, unanswered=len(unanswered), never_sent=len(never_sent))
        bind = self._binds.get(client)
        for token in never_sent:
            if isinstance(token, Piece) and token.flying:
                self._lane.again(token)
        for token in unanswered:
            if isinstance(token, Piece) and token.flying:
                self._lane.unanswered(token, bind, "link_lost")
        self._lane.wake()

    def on_bind_refused(self, client: EsmeClient, status: int) -> None:
        """Told already by the client (``bind_refused``), which goes on trying."""

    # -- answers to submits ---------------------------------------------------------------------------------------

    def on_response(self, client: EsmeClient, token: Any, response: Pdu) -> None:
        piece: Piece = token
        bind = self._binds[client]
        if not piece.flying:  # a drain gave it up: what is told now is late
            self.on_late_response(client, token, response)
            return
        status, tlvs = response.command_status, response.tlvs
        if status == 0:  # ESME_ROK
            bind.recovery.on_accepted(self._reactor.seconds(), piece.weight)
            smsc_message_id = response.message_id if type(response) is SubmitSmResp else ""
            self._lane.accepted(piece, bind, smsc_message_id, tlvs)
        else:
            self._refused(piece, bind, status, tlvs)
        if tlvs:
            self._heed_congestion(bind, response)

    def _heed_congestion(self, bind: Bind, response: Any) -> None:
        level = tlv_int(response, TlvTag.CONGESTION_STATE)
        if level is not None and bind.recovery.on_congestion(self._reactor.seconds(), level):
            self._log.warning("congested", bind=bind.name, congestion_state=level)

    def _judge(self, bind: Bind, message: ClaimedMessage, status: int) -> tuple[StatusAction, datetime | None]:
        """What the status means for the message, and until when (business time); tells what it means for the bind."""
        name, now = status_name(status), self._reactor.seconds()
        action = policy.action_for(bind.settings, status)
        if action is StatusAction.RETRY and message.attempts > policy.MOST_IMMEDIATE_RETRIES:
            action = StatusAction.DELAY
        if action is StatusAction.THROTTLE and bind.recovery.on_throttled(now):
            pause_s = round(bind.recovery.pause_left_s(now), 1)
            self._log.warning("throttled", bind=bind.name, command_status=name, pause_s=pause_s)
        elif action is StatusAction.PARK:
            bind.park(now, name)
            self._log.error("bind_parked", bind=bind.name, command_status=name, meaning=status_description(status))
        elif action is StatusAction.ALERT:
            self._log.error("submit_refused", bind=bind.name, command_status=name, meaning=status_description(status))
        elif action is StatusAction.PORTED:
            # A reply goes back where its query came from; and when all have been asked, it is nobody's number.
            moves = self._others and message.attempts <= len(self._others) and message.mo_id is None
            if not moves or message.parts_done:
                return StatusAction.FAIL, None
            self._log.info(
                "number_moved", message=message.id, bind=bind.name, command_status=name, route_next=self._others[0]
            )
        elif action is StatusAction.DELAY:
            if message.attempts >= policy.MOST_ATTEMPTS:
                return StatusAction.FAIL, None
            self._log.info("message_delayed", bind=bind.name, message=message.id, command_status=name)
            wait = timedelta(seconds=policy.delay_s(bind.settings, message.attempts))
            return action, self._clock.business_now() + wait
        return action, None

    def _refused(self, piece: Piece, bind: Bind, status: int, tlvs: tuple[Tlv, ...]) -> None:
        action, retry_at = self._judge(bind, piece.hand.message, status)
        reason = f"status:{status_name(status)}"
        if action in (StatusAction.THROTTLE, StatusAction.PARK):
            self._lane.again(piece)
        elif action is StatusAction.PORTED:
            self._lane.later(piece, f"{MOVED}{self._others[0]}", status, None)
        elif action in (StatusAction.RETRY, StatusAction.DELAY):
            self._lane.later(piece, reason, status, retry_at)
        else:
            self._lane.refused(piece, bind, status, reason, tlvs)

    def on_expired(self, client: EsmeClient, token: Any) -> None:
        piece: Piece = token
        if piece.flying:
            self._lane.unanswered(piece, self._binds[client], "no_answer")

    def on_late_response(self, client: EsmeClient, token: Any, response: Pdu) -> None:
        """What was in doubt is settled, unless the answer only says "not now" to one part of several."""
        piece: Piece = token
        bind, status, tlvs = self._binds[client], response.command_status, getattr(response, "tlvs", ())
        name = status_name(status)
        self._log.info("late_response", bind=bind.name, message=piece.hand.message.id, command_status=name)
        if status == CommandStatus.ESME_ROK:
            self._lane.late(piece, bind, PartState.ACCEPTED, status, getattr(response, "message_id", ""), tlvs=tlvs)
            return
        action, retry_at = self._judge(bind, piece.hand.message, status)
        reason = f"{MOVED}{self._others[0]}" if action is StatusAction.PORTED else f"status:{name}"
        if action in (StatusAction.FAIL, StatusAction.ALERT):
            self._lane.late(piece, bind, PartState.REJECTED, status, reason=reason, tlvs=tlvs)
        elif piece.hand.message.parts == 1:
            self._lane.late(piece, bind, PartState.PENDING, status, reason=reason, retry_at=retry_at)

    # -- requests of the SMSC -------------------------------------------------------------------------------------

    def on_request(self, client: EsmeClient, request: Pdu) -> None:
        if not isinstance(request, DeliverSm | DataSm):
            if isinstance(request, AlertNotification):
                self._log.debug("alert_notification", bind=client.name)
            else:
                self._log.warning("request_ignored", bind=client.name, command=type(request).__name__)
            return
        settings = self._settings[client]

        def answer(status: int) -> None:
            client.acknowledge(request, status)

        if is_receipt(request, settings.receipts.recognise_without_esm_class):
            self._on_receipt(settings, request, answer)
        elif is_sme_acknowledgement(request):
            self._log.debug("acknowledgement_ignored", bind=client.name)
            answer(CommandStatus.ESME_ROK)
        else:
            self._mo_sink(self.route, settings, request, answer)

    def _on_receipt(self, bind: BindSettings, pdu: DeliverSm | DataSm, answer: Callable[[int], None]) -> None:
        receipt = read_receipt(self.route, bind, pdu)
        if receipt is None:
            # Nothing in it names a message or a state; a refusal would only bring it again.
            self._log.warning("receipt_unreadable", bind=bind.name, octets=len(getattr(pdu, "short_message", b"")))
            answer(CommandStatus.ESME_ROK)
            return
        self._lane.receipt(receipt, answer)


def esme_settings(bind: BindSettings, bind_type: BindType, suffix: str = "") -> EsmeSettings:
    """A bind of the configuration as the SMPP client wants it."""
    listen = bind.listen
    outbind = None if listen is None else listen.outbind
    return EsmeSettings(
        name=bind.name + suffix,
        bind_type=bind_type,
        system_id=bind.system_id,
        password=bind.password,
        system_type=bind.system_type,
        interface_version=bind.interface_version,
        address_range=bind.address_range,
        window=bind.window,
        enquire_link_interval_s=bind.enquire_link_interval_s,
        response_timeout_s=bind.response_timeout_s,
        session_init_timeout_s=bind.session_init_timeout_s,
        inactivity_timeout_s=bind.inactivity_timeout_s,
        reconnect_min_s=bind.reconnect_min_s,
        reconnect_max_s=bind.reconnect_max_s,
        peer_connects=listen is not None,
        outbind=None if outbind is None else OutbindCredentials(outbind.system_id, outbind.password),
    )
