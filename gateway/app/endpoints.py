"""Where binds connect to: endpoints made from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint

from gateway.settings import BindSettings
from gateway.smpp.ports import ClientEndpoint


def endpoint_factory(reactor: Any, bind: BindSettings) -> Callable[[], ClientEndpoint]:
    """Gives the endpoint of each attempt to connect a bind."""

    def endpoint() -> ClientEndpoint:
        made: ClientEndpoint = HostnameEndpoint(reactor, bind.host, bind.port)
        return made

    return endpoint
