"""Ids of receipts and responses that are written differently (conformance row C10)."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.receipt import IdBase, id_keys

BASES: list[IdBase] = ["as_given", "response_hex", "receipt_hex", "either"]
numbers = st.integers(0, 2**200)


def matches(response: str, receipt: str, id_base: IdBase) -> bool:
    return bool(set(id_keys(response, id_base, "response")) & set(id_keys(receipt, id_base, "receipt")))


@pytest.mark.parametrize(
    ("response", "receipt", "bases"),
    [
        ("12345", "12345", {"as_given", "either"}),
        ("0000012345", "12345", {"as_given", "either"}),
        ("00B8BE19", "B8BE19", {"as_given", "response_hex", "either"}),  # not decimal, so looked for as given
        ("00B8BE19", "b8be19", {"as_given", "response_hex", "either"}),
        ("1101C1-C9D03D-F000", "1101c1-c9d03d-f000", set(BASES)),
        ("39f99dd5", "0972660181", {"response_hex", "either"}),
        ("972660181", "39F99DD5", {"receipt_hex", "either"}),
        ("972660181", "0039F99DD5", {"receipt_hex", "either"}),
        ("10000001", "268435457", {"response_hex", "either"}),  # hex without letters
        ("268435457", "10000001", {"receipt_hex", "either"}),
        ("ffffffffffffffffff", str(2**72 - 1), {"response_hex", "either"}),  # beyond 2^63
        ("rdwjwxns18krxr", "rdwjwxns18krxr", set(BASES)),
        ("rdwjwxns18krxr", "RDWJWXNS18KRXR", set()),  # case may say something here
        (" 77 ", "77\0", {"as_given", "either"}),
        ("12345", "12346", set()),
        ("", "", set()),
        ("0", "000", set(BASES)),
    ],
)
def test_c10_examples(response: str, receipt: str, bases: set[IdBase]) -> None:
    assert {base for base in BASES if matches(response, receipt, base)} == bases


@given(st.text(max_size=80), st.sampled_from(BASES[::3]))
def test_an_id_finds_itself(message_id: str, id_base: IdBase) -> None:
    keys = id_keys(message_id, id_base, "receipt")
    assert matches(message_id, message_id, id_base) == bool(keys)
    assert bool(keys) == bool(message_id.strip(" \t\r\n\0"))


@given(st.uuids(), st.sampled_from(BASES))
def test_uuids_in_every_spelling(value: uuid.UUID, id_base: IdBase) -> None:
    assert matches(str(value), str(value).upper(), id_base)


@given(numbers, st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_hex_response_and_decimal_receipt(number: int, zeros: int, more_zeros: int, upper: bool) -> None:
    response = "0" * zeros + (f"{number:X}" if upper else f"{number:x}")
    receipt = "0" * more_zeros + str(number)
    for id_base in ("response_hex", "either"):
        assert matches(response, receipt, id_base)  # type: ignore[arg-type]


@given(numbers, st.integers(0, 12))
def test_decimal_response_and_hex_receipt(number: int, zeros: int) -> None:
    for id_base in ("receipt_hex", "either"):
        assert matches("0" * zeros + str(number), f"{number:x}", id_base)  # type: ignore[arg-type]


@given(numbers, numbers)
def test_a_fixed_base_never_takes_one_number_for_another(one: int, other: int) -> None:
    assert matches(f"{one:x}", str(other), "response_hex") == (one == other)
    assert matches(str(one), str(other), "as_given") == (one == other)


@given(st.text(max_size=40), st.sampled_from(BASES))
def test_a_response_has_one_key_whatever_the_base(message_id: str, id_base: IdBase) -> None:
    keys = id_keys(message_id, id_base, "response")
    assert len(keys) <= 1
    assert keys == id_keys(message_id, "as_given", "response")


@given(numbers)
def test_as_given_comes_first_so_that_it_wins(number: int) -> None:
    assert id_keys(str(number), "either", "receipt")[0] == str(number)
    assert str(number) in id_keys(str(number), "either", "response")


@pytest.mark.parametrize("message_id", ["9" * 5000, "f" * 5000, "²" * 10, "\x00", "١٢٣"])
@pytest.mark.parametrize("id_base", BASES)
def test_absurd_ids_neither_raise_nor_grow(message_id: str, id_base: IdBase) -> None:
    for role in ("response", "receipt"):
        assert all(len(key) <= 330 for key in id_keys(message_id, id_base, role))  # type: ignore[arg-type]
