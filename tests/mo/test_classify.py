"""What is a query, and what must not be answered: loops and receipts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mo.classify import NotAQuery, not_a_query, subscriber_number
from gateway.smpp.pdu import DataSm, DeliverSm, Tlv

OWN = frozenset({"MOTCUASMS", "8083", "9029"})
RECEIPT = (
    b"id:123 sub:001 dlvrd:001 submit date:2603050300 done date:2603050301 stat:DELIVRD err:000 text:TB: Ho so cua quy"
)


def deliver(text: bytes = b"MCKH 0101701234", source: str = "84905123456", **fields: object) -> DeliverSm:
    return DeliverSm(source_addr_ton=1, source_addr=source, destination_addr="8083", short_message=text)._replace(
        **fields
    )


def test_a_citizens_text_is_a_query() -> None:
    assert not_a_query(deliver(), OWN) is None
    assert not_a_query(deliver(b""), OWN) is None
    data = DataSm(source_addr_ton=1, source_addr="84905123456", tlvs=(Tlv(0x0424, b"MCKH 0101701234"),))
    assert not_a_query(data, OWN) is None
    # esm_class: user data header, reply path and mode say nothing of the type
    assert not_a_query(deliver(esm_class=0xC3), OWN) is None
    # an id alone makes no receipt: some SMSCs give the MO's own id there
    assert not_a_query(deliver(tlvs=(Tlv(0x001E, b"77\0"),)), OWN) is None


@pytest.mark.parametrize(
    ("esm_class", "reason"),
    [
        (0x04, NotAQuery.RECEIPT),
        (0x44, NotAQuery.RECEIPT),
        (0x20, NotAQuery.RECEIPT),
        (0x08, NotAQuery.ACKNOWLEDGEMENT),
        (0x10, NotAQuery.ACKNOWLEDGEMENT),
        (0x18, NotAQuery.ACKNOWLEDGEMENT),
        (0x3C, NotAQuery.ACKNOWLEDGEMENT),
    ],
)
def test_receipts_and_acknowledgements_are_not_answered(esm_class: int, reason: NotAQuery) -> None:
    assert not_a_query(deliver(esm_class=esm_class), OWN) is reason


def test_a_receipt_without_its_esm_class_is_not_answered() -> None:
    assert not_a_query(deliver(RECEIPT), OWN) is NotAQuery.RECEIPT_TEXT
    with_tlvs = deliver(b"", tlvs=(Tlv(0x001E, b"123\0"), Tlv(0x0427, b"\x02")))
    assert not_a_query(with_tlvs, OWN) is NotAQuery.RECEIPT


@pytest.mark.parametrize("source", ["MotcuaSMS", "motcuasms", "8083", "9029", " 8083"])
def test_our_own_messages_come_back_unanswered(source: str) -> None:
    for ton in (0, 1, 3, 5, 6):
        assert not_a_query(deliver(source=source, source_addr_ton=ton), OWN) is NotAQuery.OWN_ADDRESS


@pytest.mark.parametrize("source", ["", "198", "9191", "VIETTEL", "+8083", "1900545415x", "0"])
def test_nobody_but_subscribers_is_answered(source: str) -> None:
    assert not_a_query(deliver(source=source), OWN) in (NotAQuery.NO_SUBSCRIBER, NotAQuery.OWN_ADDRESS)
    assert not_a_query(deliver(source="84905123456", source_addr_ton=5), OWN) is NotAQuery.NO_SUBSCRIBER


@pytest.mark.parametrize(
    ("source", "ton", "expected"),
    [
        ("84905123456", 1, "84905123456"),
        ("+84905123456", 1, "84905123456"),
        ("0084905123456", 0, "84905123456"),
        ("0905123456", 0, "84905123456"),
        ("905123456", 2, "84905123456"),
        ("0905123456", 2, "84905123456"),
        ("84905123456", 2, "84905123456"),
        ("849051234", 2, "84849051234"),  # a VinaPhone number without its zero
        ("8562055512345", 1, "8562055512345"),  # a visitor's
        ("8083", 3, None),
        ("84905123456", 5, None),
        ("٠٩٠٥١٢٣٤٥٦", 0, None),
        ("", 0, None),
    ],
)
def test_subscribers_numbers(source: str, ton: int, expected: str | None) -> None:
    assert subscriber_number(source, ton) == expected


@given(st.text(max_size=25), st.integers(0, 255))
def test_any_address_is_a_number_or_none(source: str, ton: int) -> None:
    number = subscriber_number(source, ton)
    assert number is None or (number.isascii() and number.isdigit() and 9 <= len(number) <= 15)
