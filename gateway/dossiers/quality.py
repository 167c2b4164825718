"""How good agencies' telephone numbers are: what an agency has to work through (F22)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from gateway.clock import VIETNAM
from gateway.dossiers.phone import PhoneVerdict, judge_phone

Group = Literal["good", "missing", "landline", "wrong", "ambiguous"]

#: What an agency's staff read.
WORDS: dict[str, str] = {
    "MISSING": "Chưa nhập số điện thoại",
    "NO_DIGITS": "Không có chữ số",
    "TOO_SHORT": "Thiếu chữ số",
    "TOO_LONG": "Thừa chữ số",
    "PLACEHOLDER": "Số nhập cho có (toàn số giống nhau hoặc số liên tiếp)",
    "LANDLINE": "Số điện thoại bàn",
    "LANDLINE_OLD_CODE": "Số điện thoại bàn theo mã vùng cũ",
    "LANDLINE_NO_AREA": "Số điện thoại bàn không có mã vùng",
    "DEAD_PREFIX": "Đầu số không còn dùng",
    "UNALLOCATED": "Đầu số chưa được cấp",
    "M2M_OR_TRUNCATED": "Số thiết bị (M2M) hoặc thiếu chữ số",
    "NOT_SMS": "Số không nhận được tin nhắn",
    "SERVICE_NUMBER": "Số dịch vụ",
    "SHORT_CODE": "Đầu số ngắn",
    "FOREIGN": "Số nước ngoài",
    "SUSPECT_LETTER": "Có chữ cái lẫn trong số",
    "AMBIGUOUS_OLD_LANDLINE": "Có thể là số bàn cũ của Khánh Hòa: cần hỏi lại",
    "MULTIPLE_MOBILES": "Có nhiều số di động: tin gửi đến số đầu tiên",
}
_MISSING = frozenset({"MISSING", "NO_DIGITS", "PLACEHOLDER"})
_LANDLINE = frozenset({"LANDLINE", "LANDLINE_OLD_CODE", "LANDLINE_NO_AREA"})
#: Accepted, and still worth a question to the citizen.
_AMBIGUOUS = ("AMBIGUOUS_OLD_LANDLINE", "MULTIPLE_MOBILES")


class NumberField(Protocol):
    """A dossier's telephone field, as :class:`gateway.store.reports.NumberField`."""

    @property
    def receipt_code(self) -> str: ...
    @property
    def agency_code(self) -> str: ...
    @property
    def agency_name(self) -> str: ...
    @property
    def procedure_code(self) -> str: ...
    @property
    def phone_raw(self) -> str: ...
    @property
    def phone_recorded_at(self) -> date | None: ...
    @property
    def received_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Quality:
    """A field and what it is worth."""

    field: NumberField
    verdict: PhoneVerdict

    @property
    def group(self) -> Group:
        """good: a notice goes there, and nothing is to be asked. ambiguous: it goes there, and it may be the wrong place."""
        reason = self.verdict.reason
        if reason is None:
            return "ambiguous" if any(flag in self.verdict.flags for flag in _AMBIGUOUS) else "good"
        return "missing" if reason in _MISSING else "landline" if reason in _LANDLINE else "wrong"

    @property
    def words(self) -> str:
        """For the agency's staff, in Vietnamese."""
        reason = self.verdict.reason or next((flag for flag in _AMBIGUOUS if flag in self.verdict.flags), "")
        return WORDS.get(reason, "")


def typed_on(recorded_at: date | None, received_at: datetime | None) -> date | None:
    """The day by whose numbering plan a field is read: when it was typed in, or when the dossier was received."""
    if recorded_at is not None:
        return recorded_at
    return received_at.astimezone(VIETNAM).date() if received_at else None


def judge_fields(fields: Iterable[NumberField]) -> Iterator[Quality]:
    """Judge them one after the other."""
    for item in fields:
        yield Quality(item, judge_phone(item.phone_raw or None, typed_on(item.phone_recorded_at, item.received_at)))
