"""Opens the binds of a load as ESME."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import DNSLookupError
from twisted.python.failure import Failure

from gateway.smpp.connection import SessionSettings
from simulator.errors import SimulatorError
from simulator.load.esme import EsmeLoad
from simulator.load.esme_link import BindMode, EsmeLink, EsmeLinkFactory

_VERSIONS = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}
_CONNECT_S = 10


def connect(
    reactor: Any,
    load: EsmeLoad,
    target: tuple[str, int],
    modes: Sequence[BindMode],
    options: dict[str, Any],
    wait_s: float,
) -> None:
    """Connect and bind once for each of ``modes``. What fails is told to the load."""
    host, port = target
    where = f"{host}:{port}"
    session = SessionSettings(
        window=options["window"],
        response_timeout_s=max(wait_s, 1.0),
        incoming_window=100_000,  # receipts are answered in the turn in which they come
    )

    def make(mode: BindMode) -> EsmeLink:
        link = EsmeLink(
            reactor,
            load,
            where,
            mode=mode,
            system_id=options["system_id"],
            password=options["password"],
            interface_version=_VERSIONS[options["interface_version"]],
            settings=session,
        )
        load.links.append(link)
        return link

    def failed(failure: Failure) -> None:
        reason = failure.getErrorMessage().rstrip(".")
        if failure.check(DNSLookupError):
            error = SimulatorError(where, f"there is no such host ({reason})", "Correct HOST")
        else:
            what = f"nobody accepts connections there ({reason})"
            error = SimulatorError(where, what, "Start the SMSC, or correct HOST:PORT")
        load.failed(error)

    for mode in modes:
        endpoint: Any = HostnameEndpoint(reactor, host, port, timeout=_CONNECT_S)
        endpoint.connect(EsmeLinkFactory(partial(make, mode))).addErrback(failed)
