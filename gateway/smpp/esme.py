"""A bind as its owner sees it: its settings, what it tells its owner, and what it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from gateway.smpp.connection import SessionSettings
from gateway.smpp.pdu import Pdu

if TYPE_CHECKING:
    from gateway.smpp.client import EsmeClient


class BindType(StrEnum):
    """Which bind request is sent."""

    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"


@dataclass(frozen=True, slots=True)
class OutbindCredentials:
    """What an operator that connects to us must say in outbind (SMPP 3.4 §4.1.7)."""

    system_id: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EsmeSettings:
    """One bind. Times in seconds; the meaning of each is in docs/settings.md under operators.*.binds."""

    name: str
    bind_type: BindType
    system_id: str
    password: str = field(default="", repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    address_range: str = ""
    addr_ton: int = 0
    addr_npi: int = 0
    window: int = 10
    enquire_link_interval_s: float = 30.0
    response_timeout_s: float = 10.0
    session_init_timeout_s: float = 10.0
    inactivity_timeout_s: float | None = None
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 60.0
    #: Requests of the SMSC that may wait for our answer, which comes after their commit; past them it is told
    #: ESME_RTHROTTLED, and tries again much later. So it is far above what comes in one commit's time; bounds memory.
    incoming_window: int = 10_000
    #: The operator opens the connection: the endpoint waits for it, and there is no time limit on that.
    peer_connects: bool = False
    #: Bind only after an outbind with these. None: bind as soon as the connection is there.
    outbind: OutbindCredentials | None = None

    def session(self) -> SessionSettings:
        """The part that the connection needs."""
        return SessionSettings(
            window=self.window,
            response_timeout_s=self.response_timeout_s,
            enquire_link_interval_s=self.enquire_link_interval_s,
            session_init_timeout_s=self.session_init_timeout_s,
            inactivity_timeout_s=self.inactivity_timeout_s,
            incoming_window=self.incoming_window,
        )


class EsmeHandler(Protocol):
    """The owner of a bind. Called from the reactor; an exception is logged and harms nothing else."""

    def on_bound(self, client: EsmeClient) -> None:
        """The bind is up; ``free_window`` submits may be given."""

    def on_unbound(
        self, client: EsmeClient, reason: str, unanswered: Sequence[object], never_sent: Sequence[object]
    ) -> None:
        """A bind that was up is down. ``unanswered`` tokens may have reached the SMSC; ``never_sent`` did not."""

    def on_response(self, client: EsmeClient, token: Any, response: Pdu) -> None:
        """The answer to a submit: its response or generic_nack, with any command_status."""

    def on_expired(self, client: EsmeClient, token: Any) -> None:
        """No answer in time; the SMSC may have the message all the same."""

    def on_late_response(self, client: EsmeClient, token: Any, response: Pdu) -> None:
        """The answer to a submit that had expired."""

    def on_request(self, client: EsmeClient, request: Pdu) -> None:
        """deliver_sm or data_sm: answer with ``client.reply``, later if need be. alert_notification: no answer."""

    def on_bind_refused(self, client: EsmeClient, status: int) -> None:
        """The SMSC refused the bind; the client goes on trying."""


@dataclass(slots=True)
class EsmeCounters:
    """What happened since the client was made; for metrics."""

    attempts: int = 0
    binds: int = 0
    refused: int = 0
    lost: int = 0
    rejected_pdus: int = 0
    late_responses: int = 0
    unexpected_responses: int = 0
    dropped_replies: int = 0
