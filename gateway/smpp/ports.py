"""What the SMPP shell asks of Twisted, as structural types: a reactor's time, a transport, an endpoint.

zope's interfaces say the same, but a type checker cannot read them; and a test's clock fits these without a cast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred


class DelayedCall(Protocol):
    """A call set for later (``IDelayedCall``)."""

    def active(self) -> bool: ...

    def cancel(self) -> None: ...


class ReactorTime(Protocol):
    """Time and delayed calls (``IReactorTime``): the reactor, or ``twisted.internet.task.Clock`` in tests."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], /, *args: object, **kwargs: object) -> Any: ...


class Transport(Protocol):
    """A stream (``ITransport`` and ``IConsumer``): TCP, TLS over it, or a test's."""

    def write(self, data: bytes, /) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def registerProducer(self, producer: Any, streaming: bool, /) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def setTcpNoDelay(self, enabled: bool, /) -> None: ...

    def getPeer(self) -> Any: ...


class ClientEndpoint(Protocol):
    """Where to connect to (``IStreamClientEndpoint``)."""

    def connect(self, protocolFactory: Any, /) -> Deferred[Any]: ...


class ServerEndpoint(Protocol):
    """Where to listen (``IStreamServerEndpoint``)."""

    def listen(self, protocolFactory: Any, /) -> Deferred[Any]: ...
