"""The contract view ``v_motcua_dossier`` as data: what an agency's database shows of each dossier.

docs/provincial-database.md shows the same columns with DDL for each database; a test proves that the two agree.
A view may have more columns (they are not read) and other names for these (``sources.NAME.columns`` maps them).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.errors import ConfigError

#: Name of the view unless the configuration says otherwise.
VIEW = "v_motcua_dossier"


class ColumnType(StrEnum):
    """What a column holds; each is accepted in the forms that docs/provincial-database.md lists."""

    TEXT = "text"
    CODE = "text, never a number"  # leading zeros are part of it
    BOOLEAN = "boolean"
    DATETIME = "date and time"
    DATE = "date"
    NUMBER = "whole number"


class Presence(StrEnum):
    REQUIRED = "required"
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the contract view."""

    name: str
    type: ColumnType
    presence: Presence
    meaning: str
    example: str


def _required(name: str, kind: ColumnType, meaning: str, example: str) -> Column:
    return Column(name, kind, Presence.REQUIRED, meaning, example)


def _optional(name: str, kind: ColumnType, meaning: str, example: str) -> Column:
    return Column(name, kind, Presence.OPTIONAL, meaning, example)


COLUMNS: tuple[Column, ...] = (
    _required(
        "receipt_code",
        ColumnType.CODE,
        "the code printed on the receipt paper, exactly as printed; unique",
        "0101701234",
    ),
    _required("agency_code", ColumnType.TEXT, "the agency's code; the key under 'agencies' in the configuration", "KS"),
    _required("agency_name", ColumnType.TEXT, "the agency's name as it stands in the messages", "UBND huyện Khánh Sơn"),
    _required(
        "status",
        ColumnType.TEXT,
        "the dossier's status: the software's own word, or the national code 1-10",
        "Đang xử lý",
    ),
    _required("step_name", ColumnType.TEXT, "the step at which the dossier is now", "Thẩm định"),
    _required("at_one_stop_shop", ColumnType.BOOLEAN, "true when the dossier lies at the one-stop shop", "false"),
    _required("clock_stopped", ColumnType.BOOLEAN, "true while the deadline is suspended (Dừng tính)", "false"),
    _required("phone", ColumnType.TEXT, "telephone number as typed in at intake; NULL when none", "0905 123 456"),
    _required("received_at", ColumnType.DATETIME, "when the dossier was received; NULL before", "2026-03-02 08:15:00"),
    _required("due_at", ColumnType.DATETIME, "the promised date, as on the receipt paper", "2026-03-12 17:00:00"),
    Column(
        "updated_at",
        ColumnType.DATETIME,
        Presence.RECOMMENDED,
        "when anything of this row last changed; indexed. Without it the whole view is compared at every poll",
        "2026-03-05 10:21:07",
    ),
    _optional(
        "procedure_code", ColumnType.TEXT, "code of the administrative procedure; reports count by it", "1.004203"
    ),
    _optional("procedure_name", ColumnType.TEXT, "its name", "Cấp đổi giấy chứng nhận"),
    _optional(
        "phone_recorded_at",
        ColumnType.DATE,
        "when the number was typed in; numbers of before 2018-09-15 are read by the old plan. Default: received_at",
        "2026-03-02",
    ),
    _optional("finished_at", ColumnType.DATETIME, "when the result was there; NULL before", "2026-03-10 15:40:00"),
    _optional(
        "return_by_post", ColumnType.BOOLEAN, "true when the result goes by the post: nobody is asked to come", "0"
    ),
    _optional("channel", ColumnType.TEXT, "where the dossier came in: counter, portal, post", "portal"),
    _optional(
        "reason", ColumnType.TEXT, "reason of a refusal or of a supplement request", "Thiếu bản sao có chứng thực"
    ),
    _optional("supplement_no", ColumnType.NUMBER, "number of the present supplement request, from 1", "1"),
    _optional("supplement_components", ColumnType.TEXT, "papers that the request asks for, ';' between", "CCCD; Đơn"),
    _optional("supplement_signed", ColumnType.BOOLEAN, "true when the request has a digitally signed file", "true"),
    _optional(
        "supplement_released_no",
        ColumnType.NUMBER,
        "number of the last supplement request that a supervisor has released after a violation",
        "2",
    ),
    _optional(
        "originals_wanted",
        ColumnType.BOOLEAN,
        "true while the clock is stopped for paper originals of an online file",
        "0",
    ),
    _optional(
        "payment_requested",
        ColumnType.BOOLEAN,
        "true once a financial obligation was notified, before the clock stops",
        "0",
    ),
)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
REQUIRED: tuple[str, ...] = tuple(column.name for column in COLUMNS if column.presence is Presence.REQUIRED)
#: Optional columns that have no field of their own in ``model.Dossier``: they travel in its ``extra``.
EXTRA: tuple[str, ...] = (
    "channel",
    "reason",
    "supplement_no",
    "supplement_components",
    "supplement_signed",
    "supplement_released_no",
    "originals_wanted",
    "payment_requested",
)


def mapping_faults(source: str, mapping: Mapping[str, str]) -> list[ConfigError]:
    """Faults of ``sources.NAME.columns`` that can be seen without the database."""
    return [
        ConfigError(
            f"sources.{source}.columns.{name}",
            "is not a column of the contract view",
            f"Use one of: {', '.join(BY_NAME)}",
        )
        for name in mapping
        if name not in BY_NAME
    ]


def resolve(mapping: Mapping[str, str], present: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which of the view's columns holds which contract column.

    Args:
        mapping: ``sources.NAME.columns``: contract name → the view's own name.
        present: the view's column names as the database gives them; upper and lower case are not told apart unless
            both occur.

    Returns:
        Contract name → name in the view, for all that are there; and the contract names that are missing although they
        are required, or are mapped to a column that the view does not have.
    """
    exact = set(present)
    folded = {name.casefold(): name for name in present}
    found: dict[str, str] = {}
    missing: list[str] = []
    for column in COLUMNS:
        wanted = mapping.get(column.name, column.name)
        actual = wanted if wanted in exact else folded.get(wanted.casefold())
        if actual is not None:
            found[column.name] = actual
        elif column.presence is Presence.REQUIRED or column.name in mapping:
            missing.append(column.name)
    return found, tuple(missing)
