"""Applicants of the demonstration and the telephone numbers that the counter typed in for them.

In the pilot, numbers were missing, landlines or wrong in over 30 % of the dossiers (letter 1263/STTTT-CNTT). Every number
here is made from what it is meant to be, so that the demonstration knows what must become of it without asking the gateway.
All people are invented; numbers are drawn at random and reach only simulated handsets.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

#: Share of applicants whose number cannot receive a message.
BAD_SHARE = 0.30

FAMILIES = ("Nguyễn", "Trần", "Lê", "Phạm", "Huỳnh", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Mấu", "Cao", "Tro")
MIDDLES = ("Văn", "Thị", "Minh", "Ngọc", "Quốc", "Thanh", "Đức", "Hồng")
GIVEN = (
    "An",
    "Bình",
    "Chi",
    "Dũng",
    "Giang",
    "Hạnh",
    "Khoa",
    "Lan",
    "Mai",
    "Nam",
    "Phúc",
    "Quỳnh",
    "Sơn",
    "Thảo",
    "Vy",
)

#: Carrier: the prefixes that this demonstration uses, and how often its numbers occur.
CARRIERS: dict[str, tuple[tuple[str, ...], float]] = {
    "Viettel": (("032", "035", "038", "086", "096", "097", "098"), 0.45),
    "MobiFone": (("070", "077", "079", "090", "093"), 0.28),
    "VinaPhone": (("081", "083", "085", "088", "091", "094"), 0.22),
    "Vietnamobile": (("056", "092"), 0.05),
}


@dataclass(frozen=True, slots=True)
class Applicant:
    """A citizen as the counter typed them in, and the truth about the number."""

    name: str
    phone_raw: str | None
    phone_recorded_on: date
    mobile: str  # international digits, "" when no message can reach them
    reject_reason: str  # the gateway's word for it, "" with a mobile
    carrier: str = ""


def draw_applicant(rng: random.Random, today: date) -> Applicant:
    """One applicant, with the pilot's proportion of bad numbers."""
    if rng.random() < BAD_SHARE:
        return _bad(rng, today)
    return reachable(rng, today)


def reachable(rng: random.Random, today: date, carrier: str | None = None) -> Applicant:
    """An applicant whose mobile number can be read, in one of the forms that people write."""
    if carrier is None:
        carrier = rng.choices(list(CARRIERS), [share for _, share in CARRIERS.values()])[0]
    national = rng.choice(CARRIERS[carrier][0]) + _digits(rng, 7)
    if national.startswith("038") and rng.random() < 0.4:  # typed in before the numbers of eleven digits ended
        raw, recorded = "0168" + national[3:], date(2017, 3, 2)
    else:
        raw, recorded = rng.choices(_WAYS, _WAY_WEIGHTS)[0](national), today
    return Applicant(_name(rng), raw, recorded, "84" + national[1:], "", carrier)


def _bad(rng: random.Random, today: date) -> Applicant:
    draw, reason = rng.choices([kind[:2] for kind in _BAD], [kind[2] for kind in _BAD])[0]
    recorded = date(2016, 9, 15) if reason == "LANDLINE_OLD_CODE" else today
    return Applicant(_name(rng), draw(rng), recorded, "", reason)


def _name(rng: random.Random) -> str:
    return f"{rng.choice(FAMILIES)} {rng.choice(MIDDLES)} {rng.choice(GIVEN)}"


def _digits(rng: random.Random, count: int) -> str:
    """Random digits that are not all alike or in a row, which would read as a placeholder."""
    while True:
        digits = "".join(rng.choice("0123456789") for _ in range(count))
        if len(set(digits)) > 3:
            return digits


_WAYS: tuple[Callable[[str], str], ...] = (
    lambda number: number,
    lambda number: f"{number[:4]} {number[4:7]} {number[7:]}",
    lambda number: f"{number[:4]}.{number[4:7]}.{number[7:]}",
    lambda number: f"+84{number[1:]}",
    lambda number: f"84{number[1:]}",
    lambda number: f"+84 (0){number[1:4]}.{number[4:7]}.{number[7:]}",
    lambda number: f"ĐT: {number}",
    lambda number: f"{number} (con)",
    lambda number: f"02583822382/{number}",
    lambda number: number.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    lambda number: f"o{number[1:]}",
)
_WAY_WEIGHTS = (50, 12, 8, 6, 6, 3, 4, 3, 4, 2, 2)

#: (how it was typed in, the reason of its rejection, how often)
_BAD: tuple[tuple[Callable[[random.Random], str | None], str, float], ...] = (
    (lambda rng: rng.choice([None, "", "0"]), "MISSING", 40),
    (lambda rng: f"0258{rng.randint(3500000, 3899999)}", "LANDLINE", 28),
    (lambda rng: f"(0258) 3.{rng.randint(500, 899)}.{rng.randint(100, 999)}", "LANDLINE", 6),
    (lambda rng: f"0905{rng.randint(10000, 99999)}", "TOO_SHORT", 8),
    (lambda rng: f"0905{_digits(rng, 7)}", "TOO_LONG", 5),
    (lambda rng: rng.choice(["0123456789", "0999999999"]), "PLACEHOLDER", 6),
    (lambda rng: rng.choice(["gọi chồng", "hỏi hàng xóm", "xem hồ sơ cũ"]), "NO_DIGITS", 4),
    (lambda rng: f"0543{rng.randint(800000, 899999)}", "LANDLINE_OLD_CODE", 3),
)
