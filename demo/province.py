"""The demonstration's province: two agencies, about 200 dossiers, every case that the story needs, from one seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import holidays

from demo.agencies import AgencySoftware, CaseFile, NhaTrang, Procedure, Stage, TuPhap
from demo.people import Applicant, draw_applicant, reachable
from gateway.clock import VIETNAM
from gateway.model import MessageKind

SEED = 20260302
#: The example that the official letter prints; it must be there.
EXAMPLE_CODE = "0101701234"
EXAMPLE_PHONE = "84905123456"


@dataclass(frozen=True, slots=True)
class Role:
    """What happens to a dossier in the demonstration, and which notices must come of it."""

    stage: Stage  # in the morning
    due_in_days: tuple[int, int]  # from the business day, least and most
    notices: tuple[MessageKind, ...]
    count: dict[str, int]  # agency: how many
    clock_stopped: bool = False
    by_post: bool = False
    same_day: bool = False
    taken_back: MessageKind | None = None  # made in the morning, withdrawn within the hold


_READY, _SUPPLEMENT = MessageKind.RESULT_READY, MessageKind.SUPPLEMENT_NEEDED
_APOLOGY = MessageKind.APOLOGY_DUE_TOMORROW


def _each(nha_trang: int, tu_phap: int) -> dict[str, int]:
    return {"nha_trang": nha_trang, "tu_phap": tu_phap}


ROLES: dict[str, Role] = {
    "ready": Role(Stage.PROCESSING, (0, 4), (_READY,), _each(24, 18)),
    "supplement": Role(Stage.PROCESSING, (3, 9), (_SUPPLEMENT,), _each(8, 7)),
    # "Chờ bổ sung", but not yet back at the one-stop shop: both are needed
    "supplement_at_office": Role(Stage.PROCESSING, (3, 9), (), _each(2, 2)),
    # announced by mistake and taken back within the hold
    "mistake": Role(Stage.PROCESSING, (2, 5), (), _each(3, 2), taken_back=_READY),
    # put at "Trả kết quả" where a supplement was meant: only the supplement is told
    "mixed_up": Role(Stage.PROCESSING, (2, 5), (_SUPPLEMENT,), _each(2, 1), taken_back=_READY),
    # the citizen stood at the counter already
    "handed_over": Role(Stage.PROCESSING, (0, 3), (), _each(2, 2), taken_back=_READY),
    "withdrawn": Role(Stage.PROCESSING, (4, 8), (), _each(1, 1), taken_back=_SUPPLEMENT),
    "by_post": Role(Stage.PROCESSING, (1, 3), (), _each(1, 1), by_post=True),
    "same_day": Role(Stage.RECEIVED, (0, 0), (), _each(3, 2), same_day=True),
    "due_tomorrow": Role(Stage.PROCESSING, (1, 1), (_APOLOGY,), _each(17, 13)),
    "due_tomorrow_stopped": Role(Stage.PROCESSING, (1, 1), (), _each(2, 1), clock_stopped=True),
    # apologised for at 17:30, ready at 17:40: the result is still told
    "evening": Role(Stage.PROCESSING, (1, 1), (_APOLOGY, _READY), _each(2, 2)),
    "late": Role(Stage.PROCESSING, (-6, -1), (), _each(4, 3)),
    "running": Role(Stage.PROCESSING, (2, 15), (), _each(22, 22)),
    "received": Role(Stage.RECEIVED, (5, 20), (), _each(8, 6)),
    "waiting_at_counter": Role(Stage.RESULT_READY, (-5, 0), (), _each(6, 5)),
    "returned": Role(Stage.RETURNED, (-9, -2), (), _each(7, 6)),
}

PROCEDURES: dict[str, tuple[Procedure, ...]] = {
    "nha_trang": (
        Procedure("1.004203", "Tách thửa hoặc hợp thửa đất"),
        Procedure("1.001612", "Đăng ký thành lập hộ kinh doanh"),
        Procedure("1.000656", "Đăng ký khai tử"),
        Procedure("2.000635", "Cấp bản sao trích lục hộ tịch"),
    ),
    "tu_phap": (
        Procedure("2.000488", "Cấp Phiếu lý lịch tư pháp cho công dân Việt Nam"),
        Procedure("1.001233", "Bổ nhiệm công chứng viên"),
        Procedure("2.002038", "Nhập quốc tịch Việt Nam"),
    ),
}


@dataclass(frozen=True, slots=True)
class Province:
    """Both agencies with the dossiers that were put in."""

    day: date
    agencies: dict[str, AgencySoftware]
    files: dict[str, tuple[CaseFile, ...]]

    def all_files(self) -> Iterator[tuple[str, CaseFile]]:
        """(source, dossier) of both agencies."""
        for source, files in self.files.items():
            for file in files:
                yield source, file

    def of_role(self, source: str, role: str) -> list[CaseFile]:
        return [file for file in self.files[source] if file.role == role]


def business_day(today: date) -> date:
    """The demonstration's day: the next working day, today included, whose morrow is a working day, too."""
    calendar = holidays.country_holidays("VN")
    day = today
    while not (calendar.is_working_day(day) and calendar.is_working_day(day + timedelta(days=1))):
        day += timedelta(days=1)
    return day


def create_province(folder: Path, day: date, seed: int = SEED) -> Province:
    """Draw the dossiers and write both agencies' databases."""
    rng = random.Random(seed)
    agencies: dict[str, AgencySoftware] = {"nha_trang": NhaTrang(folder), "tu_phap": TuPhap(folder)}
    opening = datetime.combine(day, time(7, 30), VIETNAM)
    files: dict[str, tuple[CaseFile, ...]] = {}
    for source, agency in agencies.items():
        files[source] = tuple(_draw_files(rng, source, day))
        agency.create(files[source], opening)
    return Province(day, agencies, files)


def _draw_files(rng: random.Random, source: str, day: date) -> Iterator[CaseFile]:
    numbers = itertools.accumulate(iter(lambda: rng.randint(1, 3), 0), initial=rng.randint(100, 300))
    for name, role in ROLES.items():
        for _ in range(role.count[source]):
            due_on = day + timedelta(days=rng.randint(*role.due_in_days))
            received_on = day if role.same_day else min(due_on, day) - timedelta(days=rng.randint(1, 12))
            yield CaseFile(
                _code(rng, source, received_on, next(numbers)),
                name,
                draw_applicant(rng, received_on),
                rng.choice(PROCEDURES[source]),
                datetime.combine(received_on, time(7 if role.same_day else rng.randint(8, 15), 10), VIETNAM),
                datetime.combine(due_on, time(17), VIETNAM),
                role.stage,
                role.clock_stopped,
                role.by_post,
            )
    if source == "nha_trang":
        yield _example(day)
    # Citizens of the story who ask must be reachable: one on each operator; the third one's dossier is late.
    for carrier, due_in_days in (("Viettel", 6), ("MobiFone", 6), ("VinaPhone", -2)):
        received_on = day - timedelta(days=9)
        yield CaseFile(
            _code(rng, source, received_on, next(numbers)),
            f"asks_{carrier.lower()}",
            reachable(rng, day, carrier),
            PROCEDURES[source][0],
            datetime.combine(received_on, time(9, 20), VIETNAM),
            datetime.combine(day + timedelta(days=due_in_days), time(17), VIETNAM),
            Stage.PROCESSING,
        )


def _code(rng: random.Random, source: str, received_on: date, number: int) -> str:
    """A receipt code in one of the forms that the agency prints: ten digits, or the national form."""
    common = rng.random() < 0.7
    if source == "nha_trang":
        return f"01017{number:05d}" if common else f"H32.30-{received_on:%y%m%d}-{number:04d}"
    return f"{'H32.12' if common else '000.00.12.H32'}-{received_on:%y%m%d}-{number:04d}"


def _example(day: date) -> CaseFile:
    applicant = Applicant("Nguyễn Thị Lan", "0905 123 456", day, EXAMPLE_PHONE, "", "MobiFone")
    received_at = datetime.combine(day - timedelta(days=5), time(8, 15), VIETNAM)
    due_at = datetime.combine(day + timedelta(days=3), time(17), VIETNAM)
    return CaseFile(
        EXAMPLE_CODE, "asks_example", applicant, PROCEDURES["nha_trang"][0], received_at, due_at, Stage.PROCESSING
    )
