"""Which of our queries is which line of an operator's file. Pure: two sorted streams in, pairs out.

Both streams come sorted by number and are read one number at a time, so the memory needed is that of one subscriber's
queries. Within a number:

1. The same SMSC message id is the same query, whatever the times say.
2. Of what is left, texts that agree within the tolerance are the same query; the nearest in time first.

A file may hold only the keyword of a text, or its beginning: it agrees when ours begins with it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

#: Past so many possible pairs of one number, the first that fits is taken instead of the nearest: time stays bounded.
_MANY_PAIRS = 250_000


class Ours(NamedTuple):
    """A query of the ledger."""

    number: str
    at: float  # seconds since 1970
    mo_id: int
    state: str  # model.ChargeState
    amount_vnd: int
    smsc_message_id: str
    text: str  # see layout.plain_text
    shortcode: str
    expected: bool  # an operator's list would hold it: it was answered


class Theirs(NamedTuple):
    """A line of an operator's file."""

    number: str
    at: float
    file_id: int
    line: int
    outcome: str
    amount_vnd: int
    smsc_message_id: str
    text: str
    shortcode: str


Pair = tuple[Ours | None, Theirs | None]

_number = attrgetter("number")


def match(ours: Iterable[Ours], theirs: Iterable[Theirs], tolerance_s: float) -> Iterator[Pair]:
    """Pairs, and what has none on either side. Both streams must be sorted by (number, at), as code points sort."""
    our_groups, their_groups = groupby(ours, _number), groupby(theirs, _number)
    our_number, our_rows = next(our_groups, (None, None))
    their_number, their_rows = next(their_groups, (None, None))
    while our_rows is not None or their_rows is not None:
        if their_rows is None or (our_number is not None and their_number is not None and our_number < their_number):
            for own in our_rows or ():
                yield own, None
            our_number, our_rows = next(our_groups, (None, None))
        elif our_rows is None or our_number != their_number:
            for line in their_rows:
                yield None, line
            their_number, their_rows = next(their_groups, (None, None))
        else:
            yield from match_number(list(our_rows), list(their_rows), tolerance_s)
            our_number, our_rows = next(our_groups, (None, None))
            their_number, their_rows = next(their_groups, (None, None))


def match_number(ours: Sequence[Ours], theirs: Sequence[Theirs], tolerance_s: float) -> Iterator[Pair]:
    """The pairs of one number."""
    if len(ours) == len(theirs) == 1:  # the usual case
        if _same_id(ours[0], theirs[0]) or _near(ours[0], theirs[0], tolerance_s):
            yield ours[0], theirs[0]
        else:
            yield ours[0], None
            yield None, theirs[0]
        return
    partner: dict[int, int] = {}  # index of theirs → index of ours
    taken: set[int] = set()
    by_id: dict[str, list[int]] = {}
    for index, own in enumerate(ours):
        if own.smsc_message_id:
            by_id.setdefault(own.smsc_message_id, []).append(index)
    for index, line in enumerate(theirs):
        if line.smsc_message_id and (same := by_id.get(line.smsc_message_id)):
            nearest = min(same, key=lambda place, line=line: abs(ours[place].at - line.at))  # type: ignore[misc]
            same.remove(nearest)
            partner[index] = nearest
            taken.add(nearest)
    _by_text(ours, theirs, tolerance_s, partner, taken)
    for index, own in enumerate(ours):
        if index not in taken:
            yield own, None
    for index, line in enumerate(theirs):
        yield (ours[partner[index]] if index in partner else None), line


def _by_text(
    ours: Sequence[Ours], theirs: Sequence[Theirs], tolerance_s: float, partner: dict[int, int], taken: set[int]
) -> None:
    times = [own.at for own in ours]
    near: list[tuple[float, int, int]] = []
    for index, line in enumerate(theirs):
        if index in partner:
            continue
        first, last = bisect_left(times, line.at - tolerance_s), bisect_right(times, line.at + tolerance_s)
        for place in range(first, last):
            if place in taken or not _agree(ours[place], line):
                continue
            if len(near) >= _MANY_PAIRS:
                partner[index] = place
                taken.add(place)
                break
            near.append((abs(ours[place].at - line.at), index, place))
    for _, index, place in sorted(near):
        if index not in partner and place not in taken:
            partner[index] = place
            taken.add(place)


def _same_id(own: Ours, line: Theirs) -> bool:
    return bool(line.smsc_message_id) and own.smsc_message_id == line.smsc_message_id


def _near(own: Ours, line: Theirs, tolerance_s: float) -> bool:
    return abs(own.at - line.at) <= tolerance_s and _agree(own, line)


def _agree(own: Ours, line: Theirs) -> bool:
    if line.shortcode and line.shortcode != own.shortcode:
        return False
    return own.text.startswith(line.text)
