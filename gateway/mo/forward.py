"""Texts for another service on our shortcode, handed on: to its webhook, or to an SMSC by one of our operators' binds.

A forwarded query costs nothing here and gets no reply of ours: the other service answers and charges by its own contract.
No loop can arise: what came by an operator is never forwarded to that operator, and no sender has more than
``queries.per_sender_per_day`` texts forwarded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from typing import Any

import structlog
from twisted.internet.defer import CancelledError, Deferred, DeferredList, ensureDeferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.clock import Clock
from gateway.db import Database
from gateway.errors import StoreError
from gateway.mo.intake import day_start
from gateway.model import MessageKind, MessageState, NewMessage
from gateway.settings import ForwardSettings, QuerySettings
from gateway.smpp.text import choose_coding, count_parts
from gateway.store.answers import ignore_txn
from gateway.store.forwards import DueForward, claim_forwards_txn, forward_txn, settle_forwards_txn
from gateway.store.inbox import RecordedMo

log = structlog.get_logger()

#: How often forwards are looked for, and how many are under way at a time.
_LOOK_EVERY_S = 1.0
_AT_ONCE = 20
#: After the replies, before the notices.
_PRIORITY = 3
_OK_CLASS = 2
#: mo.reason of a text that came from where it would go, or that nobody can read.
_NOT_FORWARDED = "foreign_keyword"
#: What a webhook that is away looks like; anything else is worth a traceback.
_NOT_REACHED = (
    OSError,
    ConnectError,
    ConnectionClosed,
    ResponseFailed,
    DeferredTimeout,
    CancelledError,
)

#: url, headers, body, seconds → the HTTP status.
Post = Callable[[str, dict[str, str], bytes, float], Deferred[int]]


def http_post(reactor: Any) -> Post:
    """POST by Twisted's agent, within a time limit for everything."""
    agent = Agent(reactor)

    def post(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> Deferred[int]:
        async def exchange() -> int:
            response = await agent.request(
                b"POST",
                url.encode("ascii"),
                Headers({name: [value] for name, value in headers.items()}),
                _Body(body),  # type: ignore[arg-type]
            )
            ended: Deferred[None] = Deferred()
            response.deliverBody(_Unread(ended))  # type: ignore[call-arg, misc]
            await ended
            return int(response.code)

        return ensureDeferred(exchange()).addTimeout(timeout_s, reactor)

    return post


class _Unread(Protocol):
    """The webhook's words, of which only the end is of interest."""

    def __init__(self, ended: Deferred[None]) -> None:
        self._ended = ended

    def dataReceived(self, data: bytes) -> None:
        """Whatever it says: the status has told."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._ended.called:
            self._ended.callback(None)


@implementer(IBodyProducer)
class _Body:
    """A small body, written at once (twisted's FileBodyProducer wants the global reactor)."""

    def __init__(self, octets: bytes) -> None:
        self.length = len(octets)
        self._octets = BytesIO(octets)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._octets.getvalue())
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written already."""

    def resumeProducing(self) -> None:
        """It is written already."""

    def stopProducing(self) -> None:
        """It is written already."""


class Forwarder:
    """Hands queries on, and sees to it that the webhook gets them."""

    def __init__(
        self,
        reactor: IReactorTime,
        db: Database,
        clock: Clock,
        queries: QuerySettings,
        settings: ForwardSettings,
        wake: Callable[[str], None] | None = None,
        post: Post | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._queries = queries
        self._settings = settings
        self._wake = wake
        self._post = post or (http_post(reactor) if settings.url else None)
        self._loop = LoopingCall(self.look)
        self._loop.clock = reactor
        self._busy = False

    def start(self) -> None:
        """Take up what waits, and look for more from now on."""
        if self._settings.url:
            self._loop.start(_LOOK_EVERY_S)

    def stop(self) -> None:
        """No more attempts; what is under way is tried again at the next start when its end was not recorded."""
        if self._loop.running:
            self._loop.stop()

    async def forward(self, recorded: RecordedMo) -> None:
        """Hand an open query on. Raises StoreError when the store refuses: it stays open then."""
        now = self._clock.now()
        message = None
        if self._settings.operator:
            message = self._message(recorded, self._settings.operator)
            if message is None:
                await self._db.run("ignore_mo", ignore_txn, recorded.mo_id, _NOT_FORWARDED, now)
                log.info("mo_ignored", mo=recorded.mo_id, reason=_NOT_FORWARDED, source_addr=recorded.mo.source_addr)
                return
        reason = await self._db.run(
            "forward_mo",
            forward_txn,
            recorded.mo_id,
            message,
            now,
            source_addr=recorded.mo.source_addr,
            day_start=day_start(now),
            most_a_day=self._queries.per_sender_per_day,
        )
        if reason is None:
            return
        log.info("mo_forwarded" if reason == "forwarded" else "mo_ignored", mo=recorded.mo_id, reason=reason)
        if message is not None and self._wake is not None:
            self._wake(message.route)
        elif message is None:
            await self._try_due()

    def _message(self, recorded: RecordedMo, operator: str) -> NewMessage | None:
        """The text as the citizen sent it; None when it came from there, or cannot be read."""
        mo = recorded.mo
        if mo.route == operator or not mo.text:
            return None
        coding = choose_coding(mo.text)
        now = self._clock.business_now()
        return NewMessage(
            source="mo_forward",
            receipt_code=str(recorded.mo_id),
            kind=MessageKind.MO_REPLY,
            occasion="",
            state=MessageState.QUEUED,
            reason="",
            template_id="mo_forward",
            template_version="",
            text=mo.text,
            coding=coding,
            parts=count_parts(mo.text, coding),
            source_addr=mo.source_addr,
            destination_addr=mo.destination_addr,
            route=operator,
            priority=_PRIORITY,
            not_before=now,
            expires_at=None,
        )

    # -- the webhook --------------------------------------------------------------------------------------------

    def look(self) -> Deferred[None]:
        """Try what is due. Never fails."""
        return ensureDeferred(self._try_due()).addErrback(
            lambda failure: log.error("forwards_not_tried", reason=failure.getErrorMessage())
        )

    async def _try_due(self) -> None:
        if self._busy or self._post is None:
            return
        self._busy = True
        try:
            now = self._clock.now()
            due = await self._db.run("claim_forwards", claim_forwards_txn, now, self._settings.retry_s, _AT_ONCE)
            if not due:
                return
            work = [ensureDeferred(self._try(forward)) for forward in due]
            results = [(forward, str(error)) for forward, (_, error) in zip(due, await DeferredList(work), strict=True)]
            failed = await self._db.run(
                "settle_forwards", settle_forwards_txn, results, self._settings.attempts, self._clock.now()
            )
            for mo_id in failed:
                log.error("mo_forward_failed", mo=mo_id, url=self._settings.url, attempts=self._settings.attempts)
        except StoreError as error:
            log.error("forwards_not_recorded", reason=str(error))  # the next look tries again
        finally:
            self._busy = False

    async def _try(self, forward: DueForward) -> str:
        """One attempt; "" when the webhook took it."""
        if self._post is None or self._settings.url is None:
            return "there is no webhook"
        headers = {"Content-Type": "application/json", "User-Agent": "motcua-gateway"}
        if self._settings.token:
            headers["Authorization"] = f"Bearer {self._settings.token}"
        try:
            status = await self._post(self._settings.url, headers, _body(forward), self._settings.timeout_s)
        except _NOT_REACHED as error:
            log.warning("mo_forward_retried", mo=forward.mo_id, attempt=forward.attempts, reason=repr(error))
            return f"{type(error).__name__}: {error}"[:200]
        except Exception as error:
            # The edge to another service: whatever is wrong there, ours goes on, and the text is tried again.
            log.exception("mo_forward_retried", mo=forward.mo_id, attempt=forward.attempts)
            return f"{type(error).__name__}: {error}"[:200]
        if status // 100 == _OK_CLASS:
            log.info("mo_forward_taken", mo=forward.mo_id, attempt=forward.attempts)
            return ""
        log.warning("mo_forward_retried", mo=forward.mo_id, attempt=forward.attempts, reason=f"HTTP {status}")
        return f"HTTP {status}"


def _body(forward: DueForward) -> bytes:
    values = {
        "id": forward.mo_id,
        "operator": forward.route,
        "from": forward.source_addr,
        "to": forward.destination_addr,
        "text": forward.text,
        "smsc_message_id": forward.smsc_message_id,
        "received_at": _iso(forward.received_at),
        "attempt": forward.attempts,
    }
    return json.dumps(values, ensure_ascii=False).encode("utf-8")


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
