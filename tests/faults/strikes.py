"""What each fault does when its moment comes, and how it ends. One method for each kind in :mod:`fault_plan`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fault_plan import RESPONSE_TIMEOUT_S, Strike
from store_places import PostgresStore

from gateway.clock import VIETNAM

if TYPE_CHECKING:
    from storm import Storm

#: Nothing of the store's files lies beyond this: every write that makes one grow fails.
LIMIT_OCTETS = 256 * 1024
ACCOUNT = "viettel"


class Strikes:
    """Carries out a storm's strikes."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm

    def strike(self, strike: Strike) -> None:
        """Begin a fault; its end is scheduled."""
        self._storm.note("strike", kind=strike.kind, seconds=strike.seconds, count=strike.count, how=strike.how)
        self._storm.struck.append({"kind": strike.kind, "seconds": strike.seconds, "count": strike.count})
        getattr(self, f"_{strike.kind}")(strike)

    def _for(self, seconds: float, end: Callable[[], object], what: str) -> None:
        def over() -> None:
            self._storm.note("over", kind=what)
            end()

        self._storm.after(seconds, over)

    # -- the daemon ---------------------------------------------------------------------------------------------

    def _kill(self, strike: Strike) -> None:
        self._storm.daemon.kill(back_in_s=strike.seconds)

    def _kill_starting(self, strike: Strike) -> None:
        """The second SIGKILL finds it anywhere between its first line and its first messages."""
        self._storm.daemon.kill(back_in_s=0.0)
        self._storm.after(0.3 + 1.5 * strike.seconds, lambda: self._storm.daemon.kill(back_in_s=0.1))

    def _pause(self, strike: Strike) -> None:
        self._storm.daemon.signal(signal.SIGSTOP)
        self._for(strike.seconds, lambda: self._storm.daemon.signal(signal.SIGCONT), "pause")

    def _clock_leap(self, strike: Strike) -> None:
        storm = self._storm
        now = storm.business_now()
        local = now.astimezone(VIETNAM)
        to = {
            "hours_on": now + timedelta(hours=5),
            "hours_back": now - timedelta(hours=5),
            "into_the_night": local.replace(hour=23, minute=0).astimezone(UTC),
        }[strike.how]
        storm.leap_to(to)

    # -- links and answers --------------------------------------------------------------------------------------

    def _fault(self, fault: str, **body: Any) -> None:
        self._storm.control.post("fault", ACCOUNT, body={"fault": fault, **body})

    def _cut(self, strike: Strike) -> None:
        self._fault("cut")

    def _unbind(self, strike: Strike) -> None:
        self._fault("unbind")

    def _garbage(self, strike: Strike) -> None:
        self._fault(strike.how)

    def _half_open(self, strike: Strike) -> None:
        self._fault("silence", seconds=strike.seconds + RESPONSE_TIMEOUT_S)

    def _lost_answers(self, strike: Strike) -> None:
        self._fault("drop-answers", count=strike.count)

    def _lost_requests(self, strike: Strike) -> None:
        self._fault("drop-requests", count=strike.count)

    def _late_answers(self, strike: Strike) -> None:
        self._fault("delay-answers", count=strike.count, by_s=RESPONSE_TIMEOUT_S + 0.5)

    def _held_answers(self, strike: Strike) -> None:
        self._fault("hold-answers", seconds=strike.seconds)

    def _congestion(self, strike: Strike) -> None:
        self._fault("throttle", seconds=strike.seconds)

    def _queue_full(self, strike: Strike) -> None:
        self._fault("queue-full", seconds=strike.seconds)

    def _held_receipts(self, strike: Strike) -> None:
        self._fault("hold-receipts", seconds=strike.seconds)

    def _lost_receipts(self, strike: Strike) -> None:
        self._fault("lose-receipts", seconds=strike.seconds)

    def _refused_binds(self, strike: Strike) -> None:
        self._fault("refuse-binds", seconds=strike.seconds)
        self._fault("cut")

    # -- the store ----------------------------------------------------------------------------------------------

    @property
    def _server(self) -> PostgresStore:
        store = self._storm.store
        assert isinstance(store, PostgresStore)
        return store

    def _store_locked(self, strike: Strike) -> None:
        self._storm.store.lock()
        self._for(strike.seconds, self._storm.store.unlock, "store_locked")

    def _disk_full(self, strike: Strike) -> None:
        disk = self._storm.store.disk
        if disk is None:  # nothing can be mounted here
            self._disk_limit(strike)
            return
        disk.fill(strike.count * 1024)
        self._for(strike.seconds, disk.release, "disk_full")

    def _disk_limit(self, strike: Strike) -> None:
        storm, pid = self._storm, self._storm.daemon.pid
        storm.store.limit(pid, LIMIT_OCTETS)
        self._for(strike.seconds, lambda: storm.store.limit(pid, None), "disk_limit")

    def _store_stopped(self, strike: Strike) -> None:
        self._server.stop(strike.how)
        self._for(strike.seconds, self._server.start, "store_stopped")

    def _store_crashed(self, strike: Strike) -> None:
        self._server.crash()
        self._for(strike.seconds, self._server.start, "store_crashed")

    def _backend_killed(self, strike: Strike) -> None:
        self._server.kill_backend()

    def _backend_ended(self, strike: Strike) -> None:
        self._server.end_backends()

    def _store_frozen(self, strike: Strike) -> None:
        self._server.freeze()
        self._for(strike.seconds, self._server.thaw, "store_frozen")


def morning_after(latest: datetime) -> datetime:
    """Ten o'clock on the day after: whatever was held for the night may go."""
    local = latest.astimezone(VIETNAM) + timedelta(days=1)
    return local.replace(hour=10, minute=0, second=0, microsecond=0).astimezone(UTC)
