"""The demonstration's province: enough of everything, the same from the same seed, and its phone numbers are what it says."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter as Count
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time
from pathlib import Path

import pytest

from demo.agencies import Stage
from demo.counter import Counter
from demo.province import EXAMPLE_CODE, EXAMPLE_PHONE, ROLES, Province, business_day, create_province
from gateway.clock import VIETNAM
from gateway.dossiers.phone import judge_phone
from gateway.model import MessageKind
from gateway.settings import QueryServiceSettings

DAY = date(2026, 3, 4)


@pytest.fixture(name="province")
def a_province(tmp_path: Path) -> Province:
    return create_province(tmp_path, DAY)


def view(province: Province, source: str) -> Iterator[sqlite3.Row]:
    with closing(sqlite3.connect(province.agencies[source].path)) as connection:
        connection.row_factory = sqlite3.Row
        yield from connection.execute("SELECT * FROM v_motcua_dossier")


def test_there_are_about_two_hundred_dossiers_in_two_databases(province: Province) -> None:
    assert len(list(view(province, "nha_trang"))) >= 100
    assert len(list(view(province, "tu_phap"))) >= 80


def test_the_letters_example_is_there(province: Province) -> None:
    row = next(row for row in view(province, "nha_trang") if row["receipt_code"] == EXAMPLE_CODE)
    assert judge_phone(row["phone"], DAY).e164 == f"+{EXAMPLE_PHONE}"


def test_codes_are_unique_and_of_both_forms(province: Province) -> None:
    codes = [file.code for _, file in province.all_files()]
    assert len(set(codes)) == len(codes)
    service = QueryServiceSettings()
    short = [code for code in codes if re.fullmatch(r"\d{10}", code)]
    national = [code for code in codes if re.fullmatch(service.national_code, code)]
    assert len(short) + len(national) == len(codes)
    assert min(len(short), len(national)) > 30


def test_as_many_numbers_are_bad_as_in_the_pilot(province: Province) -> None:
    files = [file for _, file in province.all_files()]
    bad = sum(not file.applicant.mobile for file in files)
    assert 0.25 <= bad / len(files) <= 0.40
    assert {"MISSING", "LANDLINE"} <= {file.applicant.reject_reason for file in files}


@pytest.mark.parametrize("seed", range(5))
def test_every_number_is_judged_as_it_was_meant(tmp_path: Path, seed: int) -> None:
    for _, file in create_province(tmp_path, DAY, seed).all_files():
        applicant = file.applicant
        verdict = judge_phone(applicant.phone_raw, applicant.phone_recorded_on)
        assert ((verdict.e164 or "+")[1:], verdict.reason or "") == (applicant.mobile, applicant.reject_reason), (
            applicant
        )


def test_the_same_seed_gives_the_same_province(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = (create_province(folder, DAY) for folder in folders)
    assert one.files == two.files


def test_every_agency_has_someone_to_reach_in_every_role(province: Province) -> None:
    counted = Count(file.role for _, file in province.all_files() if file.applicant.mobile)
    for role in ROLES:
        assert counted[role] > 0, role


def test_due_tomorrow_is_due_tomorrow(province: Province) -> None:
    tomorrow = date(2026, 3, 5)
    dues = {
        file.due_at.date()
        for _, file in province.all_files()
        if MessageKind.APOLOGY_DUE_TOMORROW in expected(file.role)
    }
    assert dues == {tomorrow}


def expected(role: str) -> tuple[MessageKind, ...]:
    return ROLES[role].notices if role in ROLES else ()


def test_nothing_else_is_due_tomorrow_and_silent_by_accident(province: Province) -> None:
    """Whoever is due tomorrow at 17:30 and not ready is apologised for, or is left out for a reason that is a role."""
    for _, file in province.all_files():
        if file.due_at.date() == date(2026, 3, 5) and MessageKind.APOLOGY_DUE_TOMORROW not in expected(file.role):
            assert file.role in {"ready", "by_post", "handed_over", "due_tomorrow_stopped"}, file.role


def test_moves_show_in_the_views_as_the_stage_says(province: Province) -> None:
    counter = Counter(province)
    assert counter.morning(datetime.combine(DAY, time(8, 5), VIETNAM)) > 60
    by_code = {row["receipt_code"]: row for row in view(province, "nha_trang")}
    by_code |= {row["ma_ho_so"]: row for row in view(province, "tu_phap")}
    words = {
        (source, stage): {row[3] for code, row in by_code.items() if counter.stages.get((source, code)) is stage}
        for source in province.agencies
        for stage in (Stage.RESULT_READY, Stage.SUPPLEMENT)
    }
    assert words == {
        ("nha_trang", Stage.RESULT_READY): {"Đã có kết quả"},
        ("nha_trang", Stage.SUPPLEMENT): {"Chờ bổ sung"},
        ("tu_phap", Stage.RESULT_READY): {"releasing"},
        ("tu_phap", Stage.SUPPLEMENT): {"waiting"},
    }


def test_updated_at_is_the_time_of_the_move(province: Province) -> None:
    Counter(province).morning(datetime.combine(DAY, time(8, 5), VIETNAM))
    assert max(row["updated_at"] for row in view(province, "nha_trang")) == "2026-03-04 08:05:00"
    assert max(row["cap_nhat"] for row in view(province, "tu_phap")) == "2026-03-04 01:05:00"  # UTC


@pytest.mark.parametrize(
    ("today", "day"),
    [
        (date(2026, 3, 4), date(2026, 3, 4)),  # Wednesday
        (date(2026, 3, 6), date(2026, 3, 9)),  # Friday: tomorrow is Saturday
        (date(2026, 3, 7), date(2026, 3, 9)),
        (date(2026, 8, 31), date(2026, 9, 3)),  # National Day, two days
    ],
)
def test_the_day_and_its_morrow_are_working_days(today: date, day: date) -> None:
    assert business_day(today) == day
