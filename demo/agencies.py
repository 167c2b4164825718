"""The two agencies' own software, as far as the demonstration needs it: tables of their own, moves of dossiers.

Each writes its database as its own program would; the gateway only ever sees the view.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import ClassVar

from demo.people import Applicant
from gateway.clock import VIETNAM
from gateway.model import DossierState

DATA = Path(__file__).with_name("data")


class Stage(Enum):
    """Where a dossier is, in the demonstration's words; the value is what the gateway must make of it."""

    RECEIVED = ("received", DossierState.RECEIVED)
    PROCESSING = ("processing", DossierState.PROCESSING)
    SUPPLEMENT_AT_OFFICE = ("supplement, still at the specialised office", DossierState.AWAITING_SUPPLEMENT)
    SUPPLEMENT = ("supplement, back at the one-stop shop", DossierState.AWAITING_SUPPLEMENT)
    RESULT_READY = ("result at the counter", DossierState.RESULT_READY)
    RETURNED = ("handed over", DossierState.RETURNED)
    WITHDRAWN = ("withdrawn by the citizen", DossierState.WITHDRAWN)

    @property
    def state(self) -> DossierState:
        state: DossierState = self.value[1]
        return state


@dataclass(frozen=True, slots=True)
class Procedure:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One dossier as it is created. ``role`` says what will happen to it in the demonstration."""

    code: str
    role: str
    applicant: Applicant
    procedure: Procedure
    received_at: datetime
    due_at: datetime
    stage: Stage
    clock_stopped: bool = False
    by_post: bool = False


class AgencySoftware(ABC):
    """What both have in common: a SQLite file, made from a script."""

    source: str
    agency_name: str
    script: str

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{self.source}.sqlite3"

    def create(self, files: Sequence[CaseFile], now: datetime) -> None:
        """Make the database and put the dossiers in."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executescript((DATA / self.script).read_text(encoding="utf-8"))
            for number, file in enumerate(files, start=1):
                self._insert(connection, number, file, min(file.received_at, now))

    def move(self, moves: Iterable[tuple[str, Stage]], now: datetime) -> None:
        """Put dossiers into other stages, in one transaction, at business time ``now``."""
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            for code, stage in moves:
                self._move(connection, code, stage, now)

    @abstractmethod
    def _insert(self, connection: sqlite3.Connection, number: int, file: CaseFile, at: datetime) -> None: ...

    @abstractmethod
    def _move(self, connection: sqlite3.Connection, code: str, stage: Stage, now: datetime) -> None: ...


class NhaTrang(AgencySoftware):
    """A ward on the province's older software: words of its own, local times, short codes of ten digits."""

    source = "nha_trang"
    agency_name = "phường Nha Trang"
    script = "nha_trang.sql"

    _WORDS: ClassVar[dict[Stage, tuple[str, str, int]]] = {
        Stage.RECEIVED: ("Mới tiếp nhận", "Tiếp nhận hồ sơ", 1),
        Stage.PROCESSING: ("Đang thụ lý", "Thẩm định hồ sơ", 0),
        Stage.SUPPLEMENT_AT_OFFICE: ("Chờ bổ sung", "Thẩm định hồ sơ", 0),
        Stage.SUPPLEMENT: ("Chờ bổ sung", "Bộ phận Một cửa", 1),
        Stage.RESULT_READY: ("Đã có kết quả", "Trả kết quả", 1),
        Stage.RETURNED: ("Đã trả", "Kết thúc", 1),
        Stage.WITHDRAWN: ("Công dân rút", "Kết thúc", 1),
    }

    def _insert(self, connection: sqlite3.Connection, number: int, file: CaseFile, at: datetime) -> None:
        person, procedure = file.applicant, file.procedure
        word, step, at_counter = self._WORDS[file.stage]
        connection.execute(
            "INSERT INTO nguoi_nop VALUES (?, ?, ?, ?)",
            (number, person.name, person.phone_raw, person.phone_recorded_on.isoformat()),
        )
        connection.execute("INSERT OR IGNORE INTO thu_tuc VALUES (?, ?)", (procedure.code, procedure.name))
        connection.execute(
            "INSERT INTO ho_so VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(file.code, number, procedure.code, word, step, at_counter, file.clock_stopped, file.by_post),
                *(_local(file.received_at), _local(file.due_at), None, _local(at)),
            ),
        )

    def _move(self, connection: sqlite3.Connection, code: str, stage: Stage, now: datetime) -> None:
        word, step, at_counter = self._WORDS[stage]
        at = _local(now)
        ready = at if stage is Stage.RESULT_READY else None
        changed = connection.execute(
            "UPDATE ho_so SET tinh_trang = ?, buoc = ?, o_mot_cua = ?, ngay_co_kq = coalesce(?, ngay_co_kq),"
            " cap_nhat = ? WHERE ma_bien_nhan = ?",
            (word, step, at_counter, ready, at, code),
        )
        assert changed.rowcount == 1, code
        connection.execute(
            "INSERT INTO nhat_ky (ma_bien_nhan, luc, tinh_trang, buoc) VALUES (?, ?, ?, ?)", (code, at, word, step)
        )


class TuPhap(AgencySoftware):
    """A department on newer software: English status words, milliseconds, national codes."""

    source = "tu_phap"
    agency_name = "Sở Tư pháp"
    script = "tu_phap.sql"

    _WORDS: ClassVar[dict[Stage, tuple[str, str, int]]] = {
        Stage.RECEIVED: ("processing", "Tiếp nhận hồ sơ", 1),
        Stage.PROCESSING: ("processing", "Xác minh", 0),
        Stage.SUPPLEMENT_AT_OFFICE: ("waiting", "Xác minh", 0),
        Stage.SUPPLEMENT: ("waiting", "Yêu cầu bổ sung", 1),
        Stage.RESULT_READY: ("releasing", "Trả kết quả", 1),
        Stage.RETURNED: ("done", "Hoàn thành", 1),
        Stage.WITHDRAWN: ("cancelled", "Hoàn thành", 1),
    }

    def _insert(self, connection: sqlite3.Connection, number: int, file: CaseFile, at: datetime) -> None:
        person = file.applicant
        word, step, at_counter = self._WORDS[file.stage]
        typed_in = datetime.combine(person.phone_recorded_on, datetime.min.time(), VIETNAM)
        connection.execute(
            "INSERT INTO opencps_dossier VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(number, file.code, person.name, person.phone_raw, _milliseconds(typed_in)),
                *(file.procedure.code, file.procedure.name, word, step, at_counter),
                *("PAUSE" if file.clock_stopped else "", file.by_post),
                *(_milliseconds(file.received_at), _milliseconds(file.due_at), None, _milliseconds(at)),
            ),
        )

    def _move(self, connection: sqlite3.Connection, code: str, stage: Stage, now: datetime) -> None:
        word, step, at_counter = self._WORDS[stage]
        at = _milliseconds(now)
        ready = at if stage is Stage.RESULT_READY else None
        changed = connection.execute(
            "UPDATE opencps_dossier SET dossierstatus = ?, stepname = ?, counter = ?,"
            " finishdate = coalesce(?, finishdate), modifieddate = ? WHERE dossierno = ?",
            (word, step, at_counter, ready, at, code),
        )
        assert changed.rowcount == 1, code
        connection.execute(
            "INSERT INTO opencps_dossieraction (dossierno, at, dossierstatus, stepname) VALUES (?, ?, ?, ?)",
            (code, at, word, step),
        )


def _local(moment: datetime) -> str:
    return moment.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S")


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
