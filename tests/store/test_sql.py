"""What the two databases spell differently."""

from __future__ import annotations

import pytest
from inline_db import InlineDatabase

from gateway.store.sql import array_text

NASTY = ["", " ", "a,b", "{a}", '"', "\\", "\\\\", "'", "NULL", "null", "é", "đường", "😀", "a\nb", "\t", "%s", "\x7f"]


@pytest.mark.parametrize("store_backend", ["postgresql"], indirect=True)
def test_arrays_of_texts_arrive_as_they_are(inline_db: InlineDatabase) -> None:
    cases = [NASTY, [], *([text] for text in NASTY), ["a", None, "b"]]
    for values in cases:
        (found,) = inline_db.do(
            lambda conn, v: conn.exec_driver_sql("SELECT %s::text[]", (array_text(v),)).one(), values
        )
        assert found == values


@pytest.mark.parametrize("store_backend", ["postgresql"], indirect=True)
def test_arrays_of_numbers_arrive_as_they_are(inline_db: InlineDatabase) -> None:
    values = [0, 1, -1, 2**53, 202611000000001]
    (found,) = inline_db.do(lambda conn: conn.exec_driver_sql("SELECT %s::bigint[]", (array_text(values),)).one())
    assert found == values
