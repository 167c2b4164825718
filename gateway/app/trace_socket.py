"""Where ``motcua-gateway trace`` asks the running daemon: a Unix socket, and a small protocol of JSON lines.

    asked      {"bind": "viettel-1"}
    answered   {"bind": "viettel-1"} or {"error": "...", "binds": [...]}, then for each PDU
               {"at": 1763784271.25, "connection": 1, "sent": true, "ours": ["10.0.0.1", 40001], "theirs": ["203.113.1.1", 2775],
                "octets": "0000..."}, and {"lost": 17} for PDUs that the reader was too slow for

Only the daemon's own user can open the socket (mode 0600): what goes through it is not masked, except for passwords.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import structlog
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.app.tracing import Tracing
from gateway.smpp.trace import Traced

log = structlog.get_logger()


class TraceSocket:
    """The daemon's side."""

    def __init__(self, reactor: Any, tracing: Tracing, path: Path | None) -> None:
        self._reactor, self._tracing, self._path = reactor, tracing, path
        self._port: Any = None
        self._looking: set[_Looker] = set()

    def start(self) -> Deferred[None]:
        """Listen. A socket that cannot be had is told, and the daemon does without."""
        if self._path is None:
            return succeed(None)
        path = self._path  # as given: a socket's path has room for about a hundred characters
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
                raise OSError(f"{path} is no socket")
        except OSError as error:
            log.warning("trace_socket_not_opened", path=str(path), reason=str(error))
            return succeed(None)
        factory = Factory.forProtocol(lambda: _Looker(self._tracing, self._looking))
        factory.noisy = False
        umask = os.umask(0o177)  # the socket must not be open to others even for the moment before chmod
        try:
            listening = UNIXServerEndpoint(self._reactor, os.fspath(path), mode=0o600, wantPID=True).listen(factory)
        finally:
            os.umask(umask)
        started: Deferred[None] = listening.addCallbacks(self._started, self._not_started)
        return started

    def _started(self, port: Any) -> None:
        self._port = port

    def _not_started(self, failure: Any) -> None:
        failure.trap(CannotListenError, OSError)
        remedy = "give each daemon its own trace_socket, with a path of less than 100 characters"
        log.warning("trace_socket_not_opened", path=str(self._path), reason=failure.getErrorMessage(), remedy=remedy)

    def stop(self) -> Deferred[None]:
        """Listen no more, and end what is looked at."""
        for looker in list(self._looking):
            looker.hang_up()
        port, self._port = self._port, None
        return maybeDeferred(port.stopListening if port is not None else lambda: None)


@implementer(IPushProducer)
class _Looker(LineOnlyReceiver):
    """One who looks on."""

    delimiter = b"\n"
    MAX_LENGTH = 1000

    def __init__(self, tracing: Tracing, looking: set[_Looker]) -> None:
        self._tracing, self._looking = tracing, looking
        self._bind = ""
        self._full = False
        self._lost = 0
        self._wire: Any = None

    def connectionMade(self) -> None:
        self._wire = self.transport
        self._looking.add(self)
        self._wire.registerProducer(self, True)

    def lineReceived(self, line: bytes) -> None:
        try:
            bind = str(json.loads(line)["bind"])
        except (ValueError, KeyError, TypeError):
            bind = ""
        if self._bind or bind not in self._tracing.binds:
            self._say({"error": f"there is no bind '{bind}'", "binds": list(self._tracing.binds)})
            self.hang_up()
            return
        self._bind = bind
        self._say({"bind": bind})
        self._tracing.add(bind, self._show)
        log.warning("bind_traced", bind=bind, by="socket")

    def _show(self, traced: Traced) -> None:
        if self._full:
            self._lost += 1
            return
        self._say({**traced._asdict(), "octets": traced.octets.hex()})

    def _say(self, values: dict[str, Any]) -> None:
        self._wire.write(json.dumps(values).encode() + b"\n")

    def hang_up(self) -> None:
        """The end, after what was said."""
        self._wire.unregisterProducer()  # it would keep the connection open
        self._wire.loseConnection()

    def pauseProducing(self) -> None:
        """The reader is slow: what comes now is counted, not kept."""
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False
        if self._lost:
            lost, self._lost = self._lost, 0
            self._say({"lost": lost})

    def stopProducing(self) -> None:
        self._full = True

    def connectionLost(self, reason: Any = None) -> None:
        self._looking.discard(self)
        if self._bind:
            self._tracing.remove(self._bind, self._show)
            log.info("bind_trace_ended", bind=self._bind)
