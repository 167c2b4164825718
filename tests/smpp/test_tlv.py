"""TLVs: rows, registry with vendor's ones, lenient reading (conformance C14)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.constants import CommandId, TlvTag
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.fields import TLV_ROWS, Kind, TlvRow
from gateway.smpp.pdu import DeliverSm, SubmitSm, Tlv, decode, encode, make_tlv, tlv, tlv_int, tlv_str
from gateway.smpp.tlv import STANDARD_TLVS, TlvRegistry

VENDOR = TlvRow("charge_code", 0x1401, Kind.C_OCTET_STRING, 1, 11, frozenset({CommandId.SUBMIT_SM}))


def test_every_tag_has_one_row_with_its_name() -> None:
    assert [row.tag for row in TLV_ROWS] == list(TlvTag)
    assert all(row.name == TlvTag(row.tag).name.lower() for row in TLV_ROWS)


@pytest.mark.parametrize(
    ("tag", "value", "octets"),
    [
        (TlvTag.USER_MESSAGE_REFERENCE, 0, b"\0\0"),  # two octets, not the one that smpplib sends
        (TlvTag.USER_MESSAGE_REFERENCE, 0xFFFF, b"\xff\xff"),
        (TlvTag.SAR_TOTAL_SEGMENTS, 3, b"\3"),
        (TlvTag.QOS_TIME_TO_LIVE, 86400, b"\0\1\x51\x80"),
        (TlvTag.CONGESTION_STATE, 90, b"\x5a"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "a1", b"a1\0"),
        (TlvTag.RECEIPTED_MESSAGE_ID, b"raw", b"raw"),
        (TlvTag.MESSAGE_PAYLOAD, b"", b""),
        (TlvTag.MESSAGE_PAYLOAD, "xin ch\xe0o", b"xin ch\xe0o"),
        (TlvTag.BILLING_IDENTIFICATION, b"\0charge", b"\0charge"),
        (TlvTag.NETWORK_ERROR_CODE, b"\3\0\1", b"\3\0\1"),
        ("congestion_state", 90, b"\x5a"),
        (0x1777, b"anything", b"anything"),
    ],
)
def test_a_tlv_is_made_by_its_row(tag: int | str, value: int | str | bytes, octets: bytes) -> None:
    made = make_tlv(tag, value)
    assert made.value == octets
    assert type(made) is Tlv
    if not isinstance(tag, str):
        assert made.tag == tag


@pytest.mark.parametrize(
    ("tag", "value", "complaint"),
    [
        (TlvTag.SAR_TOTAL_SEGMENTS, 256, "sar_total_segments"),
        (TlvTag.SAR_TOTAL_SEGMENTS, -1, "sar_total_segments"),
        (TlvTag.SAR_TOTAL_SEGMENTS, "3", "sar_total_segments"),
        (TlvTag.SAR_TOTAL_SEGMENTS, b"\0\3", "2 octets"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "x" * 65, "66 octets"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "a\0b", "receipted_message_id"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "hồ sơ", "receipted_message_id"),
        (TlvTag.RECEIPTED_MESSAGE_ID, 5, "receipted_message_id"),
        (TlvTag.NETWORK_ERROR_CODE, b"\3\0", "2 octets"),
        (TlvTag.NETWORK_ERROR_CODE, 5, "network_error_code"),
        (0x1777, 5, "0x1777"),
        (0x1777, "text", "0x1777"),
        ("no_such_tlv", b"", "no_such_tlv"),
    ],
)
def test_a_value_that_does_not_fit_its_row_is_refused(tag: int | str, value: int | str | bytes, complaint: str) -> None:
    with pytest.raises(LocalProtocolError, match=complaint):
        make_tlv(tag, value)


PDU = DeliverSm(
    tlvs=(
        Tlv(0x0204, b"\0\7"),
        Tlv(0x0204, b"\0\x08"),
        Tlv(0x001E, b"a1\0"),
        Tlv(0x0427, b""),
        Tlv(0x0424, b"nine octets, is it"),
    )
)


def test_reading_a_tlv_of_a_pdu() -> None:
    assert tlv(PDU, 0x0204) == b"\0\7"  # the first one
    assert tlv_int(PDU, 0x0204) == 7
    assert tlv_str(PDU, 0x001E) == "a1"
    assert tlv(PDU, 0x0427) == b""
    assert tlv_int(PDU, 0x0427) is None  # empty: no number
    assert tlv_int(PDU, 0x0424) is None  # too long for a number
    assert tlv(PDU, 0x0001) is tlv_int(PDU, 0x0001) is tlv_str(PDU, 0x0001) is None


@pytest.mark.parametrize(
    ("octets", "number", "text"),
    [
        (b"\0", 0, ""),  # a two-octet zero as some peers send it
        (b"\2", 2, "\2"),
        (b"ab", 0x6162, "ab"),  # no NUL: some SMSCs leave it out
        (b"a1\0\0\0", 0x6131000000, "a1"),  # padded
    ],
)
def test_reading_forgives_sizes(octets: bytes, number: int, text: str) -> None:
    pdu = DeliverSm(tlvs=(Tlv(0x0204, octets),))
    assert tlv_int(pdu, 0x0204) == number
    assert tlv_str(pdu, 0x0204) == text


def test_vendor_tlvs_are_known_by_name_and_tag() -> None:
    registry = TlvRegistry([VENDOR])
    made = make_tlv("charge_code", "1000", registry)
    assert made == Tlv(0x1401, b"1000\0") == make_tlv(0x1401, "1000", registry)
    assert registry.value(made) == "1000"
    assert registry.by_name("charge_code") is registry.by_tag(0x1401) is VENDOR
    assert registry.by_name("user_message_reference") == STANDARD_TLVS.by_tag(0x0204)
    assert STANDARD_TLVS.by_tag(0x1401) is None
    assert registry.allowed(0x1401, CommandId.SUBMIT_SM)
    assert not registry.allowed(0x1401, CommandId.DELIVER_SM)
    assert registry.allowed(0x0204, CommandId.DELIVER_SM)
    assert registry.allowed(0x1402, CommandId.DELIVER_SM)
    with pytest.raises(LocalProtocolError, match="charge_code"):
        registry.make("charge_code", "12345678901")


def test_a_tag_has_a_name_to_show_whatever_it_is() -> None:
    registry = TlvRegistry([VENDOR])
    assert [registry.name(tag) for tag in (0x0428, 0x1401, 0x1402, 0x3FFF, 0x4000, 0x0001)] == [
        "congestion_state",
        "charge_code",
        "vendor_0x1402",
        "vendor_0x3FFF",
        "0x4000",
        "0x0001",
    ]


@pytest.mark.parametrize(
    ("tlv_", "value"),
    [
        (Tlv(0x0204, b"\0\7"), 7),
        (Tlv(0x0204, b""), b""),
        (Tlv(0x001E, b"a1\0"), "a1"),
        (Tlv(0x0424, b"text"), b"text"),
        (Tlv(0x1777, b"\1"), b"\1"),
    ],
)
def test_a_value_is_read_by_its_row_or_stays_octets(tlv_: Tlv, value: int | str | bytes) -> None:
    assert STANDARD_TLVS.value(tlv_) == value


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (VENDOR._replace(tag=0x0204), "user_message_reference"),
        (VENDOR._replace(name="sms_signal"), "0x1203"),
        (VENDOR._replace(tag=0x10000), "16 bits"),
        (VENDOR._replace(tag=-1), "16 bits"),
        (VENDOR._replace(min_octets=5, max_octets=4), "16 bits"),
        (VENDOR._replace(kind=Kind.DEST_ADDRESSES), "dest_addresses"),
    ],
)
def test_a_vendor_row_that_cannot_be_is_refused(row: TlvRow, complaint: str) -> None:
    with pytest.raises(LocalProtocolError, match=complaint):
        TlvRegistry([row])


_INTEGERS = [row for row in TLV_ROWS if row.kind is Kind.INTEGER]


@given(st.sampled_from(_INTEGERS), st.data())
def test_integers_come_back_through_a_pdu(row: TlvRow, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << 8 * row.max_octets) - 1))
    sent = SubmitSm(1, tlvs=(make_tlv(row.tag, value),))
    received = decode(encode(sent))
    assert tlv_int(received, row.tag) == value == STANDARD_TLVS.value(received.tlvs[0])


_STRINGS = [row for row in TLV_ROWS if row.kind is Kind.C_OCTET_STRING]


@given(st.sampled_from(_STRINGS), st.text(st.characters(min_codepoint=1, max_codepoint=0xFF), max_size=16))
def test_strings_come_back_through_a_pdu(row: TlvRow, value: str) -> None:
    received = decode(encode(SubmitSm(1, tlvs=(make_tlv(row.tag, value),))))
    assert tlv_str(received, row.tag) == value == STANDARD_TLVS.value(received.tlvs[0])
