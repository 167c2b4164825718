"""The text of a receipt: ``name:value`` pairs, looked for wherever they stand.

Source: SMPP 3.4 Appendix B, which gives one example and leaves the form to the vendor.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from gateway.smpp.constants import MessageStateCode

#: The words of SMPP 3.4 Appendix B (and 5.0's two), by message_state.
STAT_WORDS: dict[int, str] = {
    MessageStateCode.SCHEDULED: "SCHEDULED",
    MessageStateCode.ENROUTE: "ENROUTE",
    MessageStateCode.DELIVERED: "DELIVRD",
    MessageStateCode.EXPIRED: "EXPIRED",
    MessageStateCode.DELETED: "DELETED",
    MessageStateCode.UNDELIVERABLE: "UNDELIV",
    MessageStateCode.ACCEPTED: "ACCEPTD",
    MessageStateCode.UNKNOWN: "UNKNOWN",
    MessageStateCode.REJECTED: "REJECTD",
    MessageStateCode.SKIPPED: "SKIPPED",
}
STATES_BY_WORD = {word: state for state, word in STAT_WORDS.items()}
# The same words spelled out: no doubt is possible. Others ("FAILED", "ACKED", numbers) stay unknown.
STATES_BY_WORD.update(
    {
        "DELIVERED": MessageStateCode.DELIVERED,
        "UNDELIVERED": MessageStateCode.UNDELIVERABLE,
        "UNDELIVERABLE": MessageStateCode.UNDELIVERABLE,
        "ACCEPTED": MessageStateCode.ACCEPTED,
        "REJECTED": MessageStateCode.REJECTED,
        "EN_ROUTE": MessageStateCode.ENROUTE,
    }
)

_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?P<name>(?:(?:message|msg|smsc)[ _]?)?id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat(?:us)?"
    r"|err(?:or)?(?:[ _]?code)?|text) ?[:=]",
    re.IGNORECASE,
)
_LONE_STAT = re.compile(rf"(?<![A-Za-z:])(?:{'|'.join(STAT_WORDS.values())})(?![A-Za-z])")
_WORD = re.compile(r"[A-Za-z0-9_]+")
_BEGINS_WITH_ID = re.compile(r"\s*id ?:", re.IGNORECASE)


# The form that most SMSCs send, read at one go; what it does not match is read pair by pair.
_USUAL = re.compile(
    r"id:(?P<id>[^\s\0,;|:=]+) (?:sub:(?P<sub>\d+) dlvrd:(?P<dlvrd>\d+) )?submit date:(?P<submit_date>\d{10,14}) "
    r"done date:(?P<done_date>\d{10,14}) stat:(?P<stat>[A-Za-z]+) err:(?P<err>[^\s\0,;|:=]+)(?: [Tt]ext:(?P<text>.*))?",
    re.DOTALL,
)
_USUAL_NAMES = tuple(name.replace("_", " ") for name in _USUAL.groupindex)  # in the order of the groups


def text_fields(text: str) -> dict[str, str]:
    """The pairs of a receipt's text by the standard's names. The first of a name wins; the message's own text, which
    anybody may have written, is not searched when id and stat stand before it."""
    usual = _USUAL.fullmatch(text)
    if usual is not None:
        fields = {name: value for name, value in zip(_USUAL_NAMES, usual.groups(), strict=True) if value is not None}
        if "text" in fields:
            fields["text"] = fields["text"].strip(" \0")
        return fields
    return _scattered_fields(text)


def _scattered_fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    keys = list(_KEY.finditer(text))
    for index, key in enumerate(keys):
        name = _canonical(key["name"].lower())
        end = keys[index + 1].start() if index + 1 < len(keys) else len(text)
        if name == "text" and "stat" in fields and "id" in fields:
            fields.setdefault(name, text[key.end() :].strip(" \0"))
            break
        fields.setdefault(name, text[key.end() : end].strip(" \t\r\n\0,;|"))
    if "stat" not in fields and (
        lone := _LONE_STAT.search(re.split("text:", text, maxsplit=1, flags=re.IGNORECASE)[0])
    ):
        fields["stat"] = lone[0]
    for name, first in (("id", str.split), ("err", str.split), ("stat", _WORD.findall)):
        words = first(fields.get(name, ""))
        fields[name] = words[0].strip(",;|") if words else ""
    return fields


def _canonical(name: str) -> str:
    for canonical, beginning in (("submit date", "submit"), ("done date", "done"), ("stat", "stat"), ("err", "err")):
        if name.startswith(beginning):
            return canonical
    return "id" if name.endswith("id") else name


def reads_as_receipt(text: str) -> bool:
    """Strict: the text begins with an id and has a state word of the standard and a date."""
    if _BEGINS_WITH_ID.match(text) is None:
        return False  # nearly every text of a citizen
    fields = text_fields(text)
    dated = "submit date" in fields or "done date" in fields
    return dated and fields["id"] != "" and fields["stat"].upper() in STATES_BY_WORD


_OWN_OFFSET = re.compile(r"(\d{12})\d(\d\d)([+-])")
_DATE_CHARACTERS = re.compile(r"[0-9][0-9 :/.\-]*")


@lru_cache(maxsize=4096)  # receipts come by the thousand in one minute
def parse_date(value: str, zone: timezone) -> datetime | None:
    """A receipt's date: YYMMDDhhmm, YYMMDDhhmmss, with a full year, with separators, or SMPP absolute time.

    Args:
        value: as the SMSC wrote it; SMPP absolute time (3.4 §7.1.1) carries its own offset, which wins.
        zone: of the others.

    Returns:
        An aware datetime, or None when the digits are no date: an unknown date is better than a wrong one.
    """
    own = _OWN_OFFSET.fullmatch(value)
    if own:
        quarters = int(own[2]) * (1 if own[3] == "+" else -1)
        value, zone = own[1], timezone(timedelta(minutes=15 * quarters)) if abs(quarters) < 96 else zone
    found = _DATE_CHARACTERS.match(value)
    digits = re.sub(r"[^0-9]", "", found[0]) if found else ""
    candidates = {10: ["20" + digits], 12: ["20" + digits, digits], 14: [digits]}.get(len(digits), [])
    for candidate in candidates:
        pairs = [int(candidate[at : at + 2]) for at in range(4, len(candidate), 2)]
        month, day, hour, minute, second = (*pairs, 0)[:5]
        try:
            return datetime(int(candidate[:4]), month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            continue
    return None


def format_receipt_text(
    message_id: str,
    stat: str,
    submit_date: datetime,
    done_date: datetime,
    *,
    error: str = "000",
    submitted: int | None = 1,
    delivered: int | None = None,
    text: str = "",
    seconds: bool = False,
) -> str:
    """A receipt's text as SMPP 3.4 Appendix B shows it. For the simulator and tests.

    Args:
        submit_date, done_date: written as they are, without their offset.
        submitted: None leaves out both sub and dlvrd, as many SMSCs do.
        delivered: default 1 for DELIVRD, else 0.
        text: the first 20 characters are repeated.
    """
    if delivered is None:
        delivered = 1 if stat == "DELIVRD" else 0
    form = "%y%m%d%H%M%S" if seconds else "%y%m%d%H%M"
    counts = "" if submitted is None else f"sub:{submitted:03d} dlvrd:{delivered:03d} "
    return (
        f"id:{message_id} {counts}submit date:{submit_date.strftime(form)} done date:{done_date.strftime(form)} "
        f"stat:{stat} err:{error} text:{text[:20]}"
    )
