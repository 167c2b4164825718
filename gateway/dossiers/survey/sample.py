"""The newest rows of a view, read and judged: values, numbers, encodings, times. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.clock import VIETNAM
from gateway.dossiers.contract import BY_NAME, ColumnType
from gateway.dossiers.legacy_text import Trap, trap_of
from gateway.dossiers.phone import judge_phone
from gateway.dossiers.reading import ViewShape
from gateway.dossiers.rows import BAD_VALUE, UNMAPPED_STATUS
from gateway.dossiers.survey.findings import Level, Survey
from gateway.dossiers.timestyle import style_of
from gateway.dossiers.values import BadValue, to_date, to_text
from gateway.model import Dossier
from gateway.settings import SourceSettings
from gateway.store.decisions import BadRow

Row = Mapping[Any, Any]
_GUIDE = "docs/provincial-database.md"
#: A clock that is ahead by less is a clock like any other.
_AHEAD = timedelta(minutes=5)
#: Hours in which a counter receives papers, generously.
_OFFICE = range(6, 20)
#: Fewer dossiers than this say nothing about a time zone.
_ENOUGH = 20
#: Names of agencies and procedures that are shown.
_SHOWN = 3


def judge_sample(
    result: Survey, shape: ViewShape, rows: Sequence[Row], settings: SourceSettings, now: datetime
) -> None:
    """Everything that the newest rows tell."""
    result.sampled = len(rows)
    read = [(row, shape.reader.read(row)) for row in rows]
    dossiers = [(row, found.dossier) for row, found in read if not isinstance(found, BadRow)]
    _bad_values(result, [found for _, found in read if isinstance(found, BadRow)], len(rows))
    _contradictions(result, [dossier for _, dossier in dossiers])
    result.agencies = {code: count for code, count in counted(rows, "agency_code").most_common() if code}
    _numbers(result, rows, shape.reader.zone)
    _encodings(result, rows)
    _future(result, [dossier for _, dossier in dossiers], settings, now)
    _office_hours(result, [dossier for _, dossier in dossiers], settings)
    _styles(result, rows, settings)
    _codes(result, rows)


def _bad_values(result: Survey, bad: Sequence[BadRow], sampled: int) -> None:
    by_column: dict[str, list[BadRow]] = defaultdict(list)
    for row in bad:
        if row.reason != UNMAPPED_STATUS:
            by_column[row.detail.partition(":")[0] if row.reason == BAD_VALUE else "updated_at"].append(row)
    for column, found in by_column.items():
        result.add(
            Level.FAULT,
            f"columns.{column}",
            f"{len(found)} of the newest {sampled} rows cannot be read, such as dossier {found[0].receipt_code}: "
            f"{found[0].detail}",
            f"Correct the view or the rows; {_GUIDE} lists what is accepted",
        )


def _contradictions(result: Survey, dossiers: Sequence[Dossier]) -> None:
    found = [dossier for dossier in dossiers if dossier.contradiction]
    if found:
        result.add(
            Level.WARNING,
            "result_steps",
            f"{len(found)} rows say two things at once, such as dossier {found[0].receipt_code}: {found[0].contradiction}",
            "The status counts and the row is listed as a state conflict; set the software or result_steps right",
        )


def _numbers(result: Survey, rows: Sequence[Row], zone: ZoneInfo) -> None:
    """Of every row, read or not: the number is worth the same."""
    reasons: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    for row in rows:
        try:
            raw = to_text("phone", row["phone"])
            typed_on = to_date("phone_recorded_at", row.get("phone_recorded_at") or row["received_at"], zone)
        except BadValue:
            continue
        verdict = judge_phone(raw or None, typed_on)
        reasons[verdict.reason or "OK"] += 1
        flags.update(verdict.flags)
    result.numbers, result.flags = dict(reasons.most_common()), dict(flags.most_common())
    judged, reached = sum(reasons.values()), reasons["OK"]
    if judged > reached:
        parts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common() if reason != "OK")
        share = 100 * (judged - reached) / judged
        result.add(
            Level.WARNING if share >= 10 else Level.NOTE,
            "columns.phone",
            f"{judged - reached} of {judged} dossiers ({share:.0f} %) have no number that a notice can go to: {parts}",
            "Let the agency correct them at intake; 'motcua-gateway report numbers' lists them once they are polled",
        )


def _encodings(result: Survey, rows: Sequence[Row]) -> None:
    found: dict[tuple[str, Trap], list[tuple[str, str, str]]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            column = BY_NAME.get(str(name))
            if column is None or not isinstance(value, str) or column.type is not ColumnType.TEXT:
                continue
            caught = trap_of(value)
            if caught is not None:
                found[str(name), caught[0]].append((str(row["receipt_code"]), value, caught[1]))
    for (name, trap), texts in found.items():
        code, text, reading = texts[0]
        result.encodings[trap.value] = result.encodings.get(trap.value, 0) + len(texts)
        if trap is Trap.NFD:
            result.add(
                Level.NOTE,
                f"columns.{name}",
                f"{len(texts)} texts are in decomposed letters (NFD), such as dossier {code}",
                "Nothing to do: the gateway composes them; other programs that compare them may not",
            )
            continue
        remedy = {
            Trap.TCVN3: "Convert the column to Unicode in the view, or at its origin",
            Trap.VNI: "Convert the column to Unicode in the view, or at its origin",
            Trap.DOUBLE_UTF8: "Set the connection's or the column's character set right (utf8mb4, UTF8)",
            Trap.REPLACED: "The letters are lost: make the column nvarchar or UTF-8 and write the texts again",
        }[trap]
        read_as = "" if trap is Trap.REPLACED else f", meant as {reading[:60]!r}"
        result.add(
            Level.FAULT,
            f"columns.{name}",
            f"{len(texts)} texts are in {trap.value}, such as dossier {code}: {text[:60]!r}{read_as}",
            remedy,
        )


def _future(result: Survey, dossiers: Sequence[Dossier], settings: SourceSettings, now: datetime) -> None:
    times = [dossier.updated_at for dossier in dossiers if dossier.updated_at is not None]
    if not times:
        return
    newest = max(times)
    result.newest = newest.astimezone(VIETNAM).isoformat(timespec="seconds")
    ahead = [moment for moment in times if moment > now + _AHEAD]
    if ahead:
        hours = (max(ahead) - now).total_seconds() / 3600
        zones = (
            "Times may be in Asia/Ho_Chi_Minh and are read as UTC: set time_zone" if settings.time_zone == "UTC" else ""
        )
        result.add(
            Level.FAULT,
            "time_zone",
            f"updated_at of {len(ahead)} rows is in the future, by up to {hours:.1f} h (times are read as {settings.time_zone})",
            zones or "Set time_zone to that of the column, or the clock of the agency's server right",
        )


def _office_hours(result: Survey, dossiers: Sequence[Dossier], settings: SourceSettings) -> None:
    """Counters are open by day: where papers are received at night, the times are in another zone."""
    times = [
        moment
        for dossier in dossiers
        if (moment := dossier.received_at) is not None and moment.astimezone(VIETNAM).strftime("%H%M%S") != "000000"
    ]
    if len(times) < _ENOUGH:
        return

    def by_day(shift: timedelta) -> float:
        return sum((moment + shift).astimezone(VIETNAM).hour in _OFFICE for moment in times) / len(times)

    as_read = by_day(timedelta(0))
    shifts: list[tuple[str, timedelta]] = [("UTC", timedelta(hours=7)), ("Asia/Ho_Chi_Minh", timedelta(hours=-7))]
    zone, share = max(((zone, by_day(shift)) for zone, shift in shifts), key=lambda item: item[1])
    if as_read < 0.6 and share > 0.9 and zone != settings.time_zone:
        result.add(
            Level.FAULT,
            "time_zone",
            f"{100 * (1 - as_read):.0f} % of the dossiers were received at night when times are read as "
            f"{settings.time_zone}, {100 * (1 - share):.0f} % when they are read as {zone}",
            f"Set time_zone: {zone}",
        )


def _styles(result: Survey, rows: Sequence[Row], settings: SourceSettings) -> None:
    """One column that writes time in several ways does not sort."""
    zone = ZoneInfo(settings.time_zone)
    styles: dict[object, tuple[str, object]] = {}
    for row in rows:
        value = row.get("updated_at")
        if value is None:
            continue
        style = style_of(value, zone)
        key = (style.kind, style.pattern, str(style.zone)) if style else None
        styles.setdefault(key, (str(row["receipt_code"]), value))
    if len(styles) > 1:
        shown = "; ".join(f"dossier {code}: {value!r}" for code, value in list(styles.values())[:_SHOWN])
        result.add(
            Level.FAULT,
            "columns.updated_at",
            f"the column writes time in {len(styles)} ways ({shown}): it does not sort as time does",
            "Write all of them in one way, best in a native type",
        )
    elif None in styles:
        code, value = styles[None]
        result.add(
            Level.WARNING,
            "columns.updated_at",
            f"{value!r} (dossier {code}) does not sort as time does: the whole view is compared at every poll",
            "Write it year first, or use a native type",
        )


def _codes(result: Survey, rows: Sequence[Row]) -> None:
    """Codes that a citizen's question will not find."""
    odd: list[tuple[str, str]] = []
    seen: Counter[str] = Counter()
    for row in rows:
        raw = row["receipt_code"]
        if not isinstance(raw, str):
            continue
        seen[raw] += 1
        if raw != raw.strip():
            odd.append((raw, "blanks around it"))
        elif " " in raw or any(ord(letter) > 126 for letter in raw):
            odd.append((raw, "blanks or letters that a handset cannot write"))
        elif raw != raw.upper():
            odd.append((raw, "small letters: citizens' texts are read in capitals"))
    if odd:
        result.add(
            Level.WARNING,
            "columns.receipt_code",
            f"{len(odd)} receipt codes will not be found by a citizen's question, such as {odd[0][0]!r} ({odd[0][1]})",
            "Store the code as the receipt paper prints it, in capitals, without blanks",
        )


def counted(rows: Sequence[Row], name: str) -> Counter[str]:
    """Texts of one column, with their number."""
    found: Counter[str] = Counter()
    for row in rows:
        try:
            found[to_text(name, row.get(name))] += 1
        except BadValue:
            continue
    return found
