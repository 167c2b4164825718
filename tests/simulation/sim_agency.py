"""An agency's one-stop-shop software, with officials who make mistakes. It keeps its own history for the judgement."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sim_history import History
from sim_store import Server

from gateway.clock import VIETNAM

COLUMNS = (
    "receipt_code",
    "agency_code",
    "agency_name",
    "status",
    "step_name",
    "at_one_stop_shop",
    "clock_stopped",
    "phone",
    "received_at",
    "due_at",
    "updated_at",
)

#: state: (status, step, lies at the one-stop shop)
WORDS = {
    "processing": ("Đang xử lý", "Thẩm định", 0),
    "ready": ("Đã xử lý xong", "Trả kết quả", 1),
    "supplement": ("Chờ bổ sung", "Tiếp nhận", 1),
    "supplement_away": ("Chờ bổ sung", "Thẩm định", 0),
    "returned": ("Đã trả kết quả", "Kết thúc", 1),
    "withdrawn": ("Công dân yêu cầu rút hồ sơ", "Kết thúc", 1),
}
ENDED = frozenset({"ready", "returned", "withdrawn"})
#: what usually follows, with its weight; mistakes are the ways back
NEXT = {
    "processing": (("ready", 6), ("supplement_away", 1), ("supplement", 3), ("withdrawn", 1)),
    "ready": (("returned", 4), ("processing", 3), ("supplement", 1)),
    "supplement": (("processing", 5), ("supplement_away", 1), ("withdrawn", 1)),
    "supplement_away": (("supplement", 4), ("processing", 1)),
    "returned": (("ready", 1),),
    "withdrawn": (("processing", 1),),
}
#: By how much a row may be seen later than the time that it carries; the poll overlap is longer.
LATE_S = 8.0
BAD_PHONES = ("", "0905", "02583822382", "không có", "1234567890123", "0000000000")
#: More than one number, and words around them.
SEVERAL_PHONES = (
    "{first} / {second}",
    "02583822382/{first}",
    "ĐT: {first} (con: {second})",
    "+84{first}",
    "{first};{second}",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A dossier from one moment of business time on."""

    at: datetime
    real_s: float
    state: str
    phone: str
    due_at: datetime
    clock_stopped: bool


@dataclass(slots=True)
class SimDossier:
    """One dossier and all that it ever was."""

    source: str
    code: str
    received_at: datetime
    history: list[Snapshot] = field(default_factory=list)

    @property
    def now(self) -> Snapshot:
        return self.history[-1]


class Agency:
    """One agency."""

    def __init__(
        self,
        name: str,
        number: int,
        rng: random.Random,
        server: Server,
        business: Callable[[], datetime],
        real: Callable[[], float],
        history: History,
        *,
        late_rows: bool,
    ) -> None:
        """``late_rows``: a change carries the time at which its transaction began, and is seen some seconds later."""
        self.name, self.server = name, server
        self._number, self._rng, self._business, self._real, self._history = number, rng, business, real, history
        self._late_rows = late_rows
        self.dossiers: dict[str, SimDossier] = {}
        with server.engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE v_motcua_dossier ({', '.join(f'{c} TEXT' for c in COLUMNS)})")

    def receive(self) -> SimDossier:
        """A citizen hands in a dossier."""
        rng, now = self._rng, self._business()
        code = f"{self._number:02d}{len(self.dossiers) + 1:08d}"
        received = now if rng.random() < 0.1 else now - timedelta(days=rng.randint(1, 9))
        dossier = SimDossier(self.name, code, received)
        self.dossiers[code] = dossier
        due = self._due(now) if received != now or rng.random() < 0.5 else now + timedelta(hours=2)
        self._write(
            dossier, Snapshot(now, self._real(), "processing", self._phone(), due, rng.random() < 0.08), new=True
        )
        return dossier

    def work(self) -> None:
        """An official changes something."""
        if not self.dossiers:
            return
        rng = self._rng
        dossier = rng.choice(list(self.dossiers.values()))
        was = dossier.now
        draw = rng.random()
        if draw < 0.85:
            states, weights = zip(*NEXT[was.state], strict=True)
            if was.state in ("returned", "withdrawn") and rng.random() < 0.8:
                return
            self._write(dossier, replace(was, state=rng.choices(states, weights)[0]))
        elif draw < 0.90:
            self._write(dossier, replace(was, due_at=self._due(self._business())))
        elif draw < 0.95:
            self._write(dossier, replace(was, phone=self._phone()))
        else:
            self._write(dossier, replace(was, clock_stopped=not was.clock_stopped))

    def undo(self, dossier: SimDossier) -> None:
        """The official sees the mistake."""
        if len(dossier.history) > 1:
            self._write(dossier, replace(dossier.now, state=dossier.history[-2].state))

    def _due(self, now: datetime) -> datetime:
        day = now.astimezone(VIETNAM).replace(hour=17, minute=0, second=0, microsecond=0)
        return day + timedelta(days=self._rng.choice((0, 1, 1, 1, 2, 5)))

    def _phone(self) -> str:
        draw = self._rng.random()
        if draw < 0.12:
            return self._rng.choice(BAD_PHONES)
        first, second = (
            f"{self._rng.choice(('098', '086', '091', '090'))}{self._rng.randrange(10**7):07d}" for _ in range(2)
        )
        if draw < 0.22:
            return self._rng.choice(SEVERAL_PHONES).format(first=first, second=second)
        return first

    def _write(self, dossier: SimDossier, snapshot: Snapshot, *, new: bool = False) -> None:
        snapshot = replace(snapshot, at=self._business(), real_s=self._real())
        dossier.history.append(snapshot)
        status, step, at_shop = WORDS[snapshot.state]
        values: dict[str, Any] = {
            "receipt_code": dossier.code,
            "agency_code": f"A{self._number}",
            "agency_name": f"UBND xã {self._number}",
            "status": status,
            "step_name": step,
            "at_one_stop_shop": at_shop,
            "clock_stopped": int(snapshot.clock_stopped),
            "phone": snapshot.phone or None,
            "received_at": _text(dossier.received_at),
            "due_at": _text(snapshot.due_at),
            "updated_at": _text(
                snapshot.at - timedelta(seconds=self._rng.uniform(0, LATE_S) if self._late_rows else 0)
            ),
        }
        if new:
            statement = f"INSERT INTO v_motcua_dossier VALUES ({', '.join(f':{c}' for c in COLUMNS)})"
        else:
            statement = f"UPDATE v_motcua_dossier SET {', '.join(f'{c} = :{c}' for c in COLUMNS)} WHERE receipt_code = :receipt_code"
        with self.server.engine.begin() as connection:
            connection.execute(sa.text(statement), values)
        self._history.add(
            self.name,
            "dossier",
            code=dossier.code,
            state=snapshot.state,
            phone=snapshot.phone,
            due=f"{snapshot.due_at:%m-%d}",
            clock_stopped=snapshot.clock_stopped,
        )


def _text(moment: datetime) -> str:
    return moment.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S.%f")
