"""The state of a message follows from its parts: the table, and laws that hold for every mixture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import MessageState as M
from gateway.model import PartState as P
from gateway.store.rollup import PART_FINAL, TAKEN, roll_up

A, D, U, X = P.ACCEPTED, P.DELIVERED, P.UNKNOWN, P.REJECTED


@pytest.mark.parametrize(
    ("current", "total", "parts", "given", "expected"),
    [
        (M.SENDING, 1, [], {}, M.SENDING),
        (M.SENDING, 1, [A], {}, M.ACCEPTED),
        (M.SENDING, 1, [D], {}, M.DELIVERED),
        (M.SENDING, 1, [U], {}, M.UNKNOWN),
        (M.SENDING, 1, [X], {}, M.REJECTED),
        (M.SENDING, 1, [], {"returned": True}, M.QUEUED),
        (M.SENDING, 1, [], {"returned": True, "later": True}, M.HELD),
        (M.SENDING, 2, [A], {}, M.SENDING),
        (M.SENDING, 2, [U], {}, M.SENDING),
        (M.SENDING, 2, [A, U], {}, M.UNKNOWN),
        (M.SENDING, 2, [A, D], {}, M.ACCEPTED),
        (M.SENDING, 2, [A], {"returned": True}, M.QUEUED),
        (M.SENDING, 3, [A, U], {"returned": True}, M.UNKNOWN),
        (M.SENDING, 3, [A, X], {}, M.REJECTED),
        (M.UNKNOWN, 2, [A, A], {}, M.ACCEPTED),
        (M.UNKNOWN, 2, [A], {}, M.UNKNOWN),
        (M.UNKNOWN, 1, [], {"returned": True}, M.QUEUED),
        (M.UNKNOWN, 1, [U], {"returned": True}, M.UNKNOWN),
        (M.QUEUED, 1, [A], {}, M.ACCEPTED),
        (M.QUEUED, 2, [A, U], {}, M.QUEUED),
        (M.ACCEPTED, 2, [D, A], {}, M.ACCEPTED),
        (M.ACCEPTED, 2, [D, D], {}, M.DELIVERED),
        (M.ACCEPTED, 2, [A, P.UNDELIVERED], {}, M.UNDELIVERED),
        (M.ACCEPTED, 2, [P.EXPIRED, D], {}, M.EXPIRED),
        (M.EXPIRED, 1, [D], {}, M.EXPIRED),
    ],
)
def test_table(current: M, total: int, parts: list[P], given: dict[str, bool], expected: M) -> None:
    assert roll_up(current, total, parts, **given) is expected


parts_lists = st.lists(st.sampled_from([p for p in P if p is not P.PENDING]), max_size=4)


@given(st.sampled_from(list(M)), parts_lists, st.integers(min_value=0, max_value=2), st.booleans(), st.booleans())
def test_laws(current: M, parts: list[P], missing: int, returned: bool, later: bool) -> None:
    total = max(1, len(parts) + missing)
    after = roll_up(current, total, parts, returned=returned, later=later)
    if current.final:
        assert after is current
    if after is M.DELIVERED and current is not M.DELIVERED:
        assert len(parts) == total
        assert set(parts) == {P.DELIVERED}
    if after in (M.QUEUED, M.HELD) and current in (M.SENDING, M.UNKNOWN):
        assert returned
        assert P.UNKNOWN not in parts, "what may have left is never sent again without waiting"
    if after is M.ACCEPTED and current is not M.ACCEPTED:
        assert all(p in TAKEN for p in parts)
    assert roll_up(after, total, parts, returned=returned, later=later) is after, "applying it again changes nothing"
    assert M.CANCELLED is not after or current is M.CANCELLED


def test_final_parts_are_taken_or_rejected() -> None:
    assert {*TAKEN, P.REJECTED} >= set(PART_FINAL)
