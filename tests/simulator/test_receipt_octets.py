"""Receipts are put together as octets, past the codec: they must be what the codec would have made."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smpp.pdu import DeliverSm, SubmitSm, Tlv, decode, encode
from gateway.smpp.receipt_text import format_receipt_text
from simulator.behaviours.message_ids import MessageIds
from simulator.messages import Accepted
from simulator.receipts import ReceiptWriter
from simulator.settings import MessageIdSettings, ReceiptSettings

AT = 1_767_600_059.4
addresses = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)


def writer(**settings: Any) -> ReceiptWriter:
    return ReceiptWriter(ReceiptSettings(**settings), MessageIds(MessageIdSettings(), 700, Random(1)))


def accepted(**fields: Any) -> Accepted:
    ids = MessageIds(MessageIdSettings(form="hex"), 0xABC, Random(1))
    values = {"source_addr": "MotcuaSMS", "destination_addr": "84905123456", "short_message": b"Ho so 0101701234 da co"}
    return Accepted(SubmitSm(**{**values, **fields}), ids.take(), "esme", AT)


@given(
    addresses,
    addresses,
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=30),
    st.sampled_from(["DELIVRD", "UNDELIV", "ENROUTE", "REJECTD"]),
    st.sampled_from(["000", "042", "x1"]),
    st.sampled_from(["text", "both"]),
    st.sampled_from(["minutes", "seconds"]),
    st.booleans(),
    st.floats(0, 1e6),
)
def test_octets_are_those_of_the_codec(
    source: str,
    destination: str,
    ton: int,
    npi: int,
    text: bytes,
    stat: str,
    error: str,
    form: str,
    time_format: str,
    referenced: bool,
    later_s: float,
) -> None:
    made = writer(form=form, time_format=time_format, id_form="decimal")
    message = accepted(
        source_addr=source,
        destination_addr=destination,
        source_addr_ton=ton,
        dest_addr_npi=npi,
        short_message=text,
        tlvs=(Tlv(0x0204, b"\x12\x34"),) if referenced else (),
    )
    octets = made.octets(message, stat, error, AT + later_s)
    assert octets is not None
    built = made.build(message, stat, error, AT + later_s)
    body, tlvs = octets
    header = (16 + len(body) + len(tlvs)).to_bytes(4, "big") + (5).to_bytes(4, "big") + bytes(8)
    assert decode(header + body + tlvs) == built
    assert header + body + tlvs == encode(built)


@given(st.floats(-12, 14), st.floats(0, 2e6), st.booleans())
def test_dates_are_those_of_the_offset_whatever_was_written_before(
    offset: float, later_s: float, seconds: bool
) -> None:
    offset = round(offset * 4) / 4
    made = writer(form="text", utc_offset_hours=offset, time_format="seconds" if seconds else "minutes")
    zone = timezone(timedelta(hours=offset))
    for now in (AT + later_s, AT + later_s + 0.7, AT + later_s + 60):
        pdu = made.build(accepted(), "DELIVRD", "000", now)
        assert isinstance(pdu, DeliverSm)
        assert pdu.short_message.decode() == format_receipt_text(
            "abc",
            "DELIVRD",
            datetime.fromtimestamp(AT, zone),
            datetime.fromtimestamp(now, zone),
            seconds=seconds,
            text="Ho so 0101701234 da co",
        )


@pytest.mark.parametrize(
    "settings", [{"form": "tlv"}, {"pdu": "data_sm"}, {"form": "text", "text_template": "x" * 255 + "{id}"}]
)
def test_what_octets_cannot_say_is_left_to_the_codec(settings: dict[str, Any]) -> None:
    assert writer(**settings).octets(accepted(), "DELIVRD", "000", AT) is None
