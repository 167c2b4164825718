"""``motcua-gateway run``: start, live, drain."""

from __future__ import annotations

import gc
import random
import secrets
import time
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway import log as logging_setup
from gateway.app.gateway import Gateway
from gateway.app.prepare import agency_name_faults, make_clock, prepare_store, startup_faults
from gateway.errors import StoreError
from gateway.settings import GatewaySettings

log = structlog.get_logger()


def run_daemon(settings: GatewaySettings) -> int:
    """Run until SIGTERM or SIGINT, then drain. Returns the exit status: 0 after an orderly stop."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    use_steady_time(reactor)
    try:
        logging_setup.configure(settings.log, final=True)
    except OSError as error:
        print(f"log.file: cannot be opened ({error}). Name a file in a folder that the gateway may write")
        return 1
    faults = startup_faults(settings)
    for fault in faults:
        log.error("configuration_fault", path=fault.path, what=fault.what, remedy=fault.remedy)
    if faults:
        return 1
    for fault in agency_name_faults(settings):
        log.warning("configuration_fault", path=fault.path, what=fault.what, remedy=fault.remedy)
    try:
        prepare_store(settings.store.url)
    except StoreError as error:
        log.error("store_not_usable", error=str(error), remedy="correct store.url, or start the database server")
        return 1
    gateway = Gateway(reactor, settings, make_clock(settings), random.Random(secrets.randbits(64)))
    daemon = _Daemon(reactor, gateway)
    reactor.callWhenRunning(daemon.start)
    reactor.addSystemEventTrigger("before", "shutdown", daemon.stop)
    reactor.run()
    return daemon.exit_status


def use_steady_time(reactor: Any) -> None:
    """Let every timer of the reactor count steadily. Twisted's own counts by the wall clock: when that is set back, no
    enquire_link would leave and no answer would time out until it has caught up. Call it before anything is scheduled."""
    reactor.seconds = time.monotonic


def settle_memory() -> None:
    """Tell the garbage collector that what is here after the start stays, and to look less often at what comes and goes.

    Messages, PDUs and receipts are freed when nobody holds them any more; the collector is there for cycles, of which traffic
    makes hardly any. With its usual threshold of 700 it took a sixth of the reactor's time under load, most of it to look again
    at the 100,000 objects of modules and settings.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class _Daemon:
    """Joins a gateway's life to the reactor's."""

    def __init__(self, reactor: Any, gateway: Gateway) -> None:
        self._reactor, self._gateway = reactor, gateway
        self.exit_status = 0

    def start(self) -> None:
        started = Deferred.fromCoroutine(self._gateway.start(self._give_up))
        started.addCallbacks(lambda _: settle_memory(), self._failed)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._gateway.stop()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        log.error("gateway_failed", error=str(failure.value), traceback=failure.getTraceback())
        self._give_up(str(failure.value))

    def _give_up(self, reason: str) -> None:
        """This daemon must not go on: a fault at its start, or another daemon under its name."""
        log.error("gateway_gives_up", reason=reason)
        self.exit_status = 1
        if self._reactor.running and not self._reactor._stopped:
            self._reactor.stop()
