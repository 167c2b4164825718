"""Delivery receipts (conformance row C10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.smpp.constants import MessageStateCode, TlvTag
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import (
    _USUAL_OCTETS,
    Receipt,
    _read_carefully,
    format_receipt_text,
    is_receipt,
    is_sme_acknowledgement,
    parse_date,
    parse_receipt,
)
from gateway.smpp.receipt_text import _USUAL, _scattered_fields, text_fields
from gateway.smpp.text import encode_text
from gateway.smpp.tlv import Tlv

HANOI = timezone(timedelta(hours=7))
STANDARD = (
    "id:0123456789 sub:001 dlvrd:001 submit date:2603021000 done date:2603021001 stat:DELIVRD err:000 text:TB: Ho so"
)


def deliver(text: str | bytes, *tlvs: Tlv, esm_class: int = 0x04, data_coding: int = 0) -> DeliverSm:
    octets = text if isinstance(text, bytes) else text.encode("latin-1")
    return DeliverSm(esm_class=esm_class, data_coding=data_coding, short_message=octets, tlvs=tlvs)


def parsed(text: str | bytes, *tlvs: Tlv, prefer: str = "tlv", **fields: int) -> Receipt:
    receipt = parse_receipt(deliver(text, *tlvs, **fields), prefer=prefer)  # type: ignore[arg-type]
    assert receipt is not None
    return receipt


def state_tlv(state: int) -> Tlv:
    return Tlv(TlvTag.MESSAGE_STATE, bytes([state]))


def id_tlv(message_id: str) -> Tlv:
    return Tlv(TlvTag.RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0")


class TestRecognition:
    @pytest.mark.parametrize(
        ("esm_class", "expected"),
        [
            (0x00, False),
            (0x04, True),
            (0x20, True),
            (0x24, True),
            (0x07, True),
            (0x44, True),
            (0x84, True),
            (0x08, False),  # SME delivery acknowledgement: a handset's
            (0x10, False),  # SME manual acknowledgement
            (0x18, False),  # conversation abort
            (0x40, False),
            (0x03, False),
        ],
    )
    def test_c10_by_esm_class(self, esm_class: int, expected: bool) -> None:
        assert is_receipt(deliver(STANDARD, esm_class=esm_class)) is expected
        assert is_receipt(DataSm(esm_class=esm_class)) is expected

    @pytest.mark.parametrize(("esm_class", "expected"), [(0x08, True), (0x10, True), (0x04, False), (0x00, False)])
    def test_acknowledgements_of_a_handset(self, esm_class: int, expected: bool) -> None:
        assert is_sme_acknowledgement(deliver("ok", esm_class=esm_class)) is expected

    def test_c10_by_tlvs_without_esm_class(self) -> None:
        assert is_receipt(deliver("", id_tlv("1"), state_tlv(2), esm_class=0))
        assert is_receipt(deliver("", id_tlv("1"), state_tlv(0), esm_class=0))

    def test_receipted_message_id_alone_does_not_make_a_receipt(self) -> None:
        # some operators link an MO to its charge with it
        assert not is_receipt(deliver("MCKH 0101701234", id_tlv("1"), esm_class=0))

    def test_c10_by_text_only_with_the_setting(self) -> None:
        pdu = deliver(STANDARD, esm_class=0)
        assert not is_receipt(pdu)
        assert is_receipt(pdu, recognise_without_esm_class=True)

    @pytest.mark.parametrize(
        "text",
        [
            "MCKH 0101701234",
            "MCKH id:1 stat:DELIVRD done date:2603021001",
            "id:1 stat:DELIVRD",
            "id:1 done date:2603021001 stat:XYZ",
            "id: done date:2603021001 stat:DELIVRD",
            "",
        ],
    )
    def test_texts_that_do_not_read_as_receipts(self, text: str) -> None:
        assert not is_receipt(deliver(text, esm_class=0), recognise_without_esm_class=True)


class TestText:
    def test_c10_the_standards_example(self) -> None:
        assert parsed(STANDARD) == Receipt(
            message_id="0123456789",
            stat="DELIVRD",
            state=MessageStateCode.DELIVERED,
            final=True,
            error="000",
            submit_date=datetime(2026, 3, 2, 10, 0, tzinfo=HANOI),
            done_date=datetime(2026, 3, 2, 10, 1, tzinfo=HANOI),
            text="TB: Ho so",
            submitted=1,
            delivered=1,
            network_type=None,
            network_error_code=None,
            user_message_reference=None,
            intermediate=False,
            conflict=False,
        )

    @pytest.mark.parametrize(
        ("text", "message_id", "stat", "error"),
        [
            # no sub and dlvrd
            ("id:1526758174 submit date:1701240904 done date:1701240904 stat:DELIVRD err:000 text:hellow", "1526758174", "DELIVRD", "000"),
            ("id:0654354026 submit date:2302101454 done date:2302101454 stat:DELIVRD err:000", "0654354026", "DELIVRD", "000"),
            # no text, four digits of error, an id beyond 2^63
            ("id:117062714244798261999 sub:001 dlvrd:001 stat:UNDELIV err:0000", "117062714244798261999", "UNDELIV", "0000"),
            # other case, order, separators
            ("ID:A1B2 STAT:DELIVRD ERR:00B DONE DATE:2603021001", "A1B2", "DELIVRD", "00B"),
            ("stat:EXPIRED err:12 id:77 done date:2603021001", "77", "EXPIRED", "12"),
            ("id: 77, stat: delivrd, err: 0, text:", "77", "DELIVRD", "0"),
            ("id:77\nstat:REJECTD\nerr:5", "77", "REJECTD", "5"),
            ("id=77;stat=DELETED;err=5", "77", "DELETED", "5"),
            ("message id:77 status:Delivered error code:1", "77", "DELIVERED", "1"),
            # dates in underscores, in full, with an offset of their own
            ("id:9 submit_date:20260302100000 done_date:20260302100100 stat:DELIVRD err:0", "9", "DELIVRD", "0"),
            ("id:rdwjwxns18krxr99 done date:180711070000012+ stat:UNDELIV err:000", "rdwjwxns18krxr99", "UNDELIV", "000"),
            # the state without its name
            ("id:ce5bc5a9-4f7d submit date:180903120815 done date:180903120816 DELIVRD err:000 Text:", "ce5bc5a9-4f7d", "DELIVRD", "000"),
            # filled up with blanks and NUL
            ("id:77        stat:DELIVRD   err:000\0", "77", "DELIVRD", "000"),
            # missing values
            ("id:77 sub: dlvrd: submit date: done date: stat:DELIVRD err: text:", "77", "DELIVRD", ""),
            ("id:77 stat:FAILED err:null", "77", "FAILED", "null"),
            ("id:1101C1-C9D03D-F000 stat:ACKED", "1101C1-C9D03D-F000", "ACKED", ""),
        ],
    )  # fmt: skip
    def test_c10_variations(self, text: str, message_id: str, stat: str, error: str) -> None:
        receipt = parsed(text)
        assert (receipt.message_id, receipt.stat, receipt.error) == (message_id, stat, error)

    @given(st.from_regex(_USUAL, fullmatch=True))
    @example("id:0 submit date:0000000000 done date:0000000000 stat:A err:\0")
    @example("id:x-stat:B submit date:0000000000 done date:0000000000 stat:A err:0")
    def test_the_usual_form_reads_the_same_pair_by_pair(self, text: str) -> None:
        pairs = _scattered_fields(text)
        assert {name: value for name, value in text_fields(text).items() if value} == {
            name: value for name, value in pairs.items() if value
        }

    @given(
        st.from_regex(_USUAL_OCTETS, fullmatch=True),
        st.lists(
            st.one_of(
                st.builds(
                    Tlv, st.just(int(TlvTag.RECEIPTED_MESSAGE_ID)), st.sampled_from([b"7\0", b"7", b" 7\0", b"8", b""])
                ),
                st.builds(
                    Tlv, st.just(int(TlvTag.MESSAGE_STATE)), st.sampled_from([b"\2", b"\5", b"\0\2", b"", b"\x63"])
                ),
                st.builds(Tlv, st.just(int(TlvTag.NETWORK_ERROR_CODE)), st.sampled_from([b"\3\0\1", b"\3"])),
                st.builds(Tlv, st.just(int(TlvTag.USER_MESSAGE_REFERENCE)), st.sampled_from([b"\1\2", b"\1"])),
            ),
            max_size=4,
        ),
        st.sampled_from([0x04, 0x00, 0x20, 0x24, 0x44]),
        st.sampled_from(["tlv", "text"]),
    )
    @example(STANDARD.encode(), [], 0x04, "tlv")
    @example(STANDARD.replace("0123456789", "7").encode(), [Tlv(0x1E, b"7\0"), Tlv(0x427, b"\2")], 0x04, "tlv")
    @example(STANDARD.replace("0123456789", "7").encode(), [Tlv(0x1E, b"7\0"), Tlv(0x1E, b"8\0")], 0x04, "text")
    def test_the_usual_receipt_reads_the_same_carefully(
        self, octets: bytes, tlvs: list[Tlv], esm_class: int, prefer: Literal["tlv", "text"]
    ) -> None:
        for text in (octets, STANDARD.replace("0123456789", "7").encode()):
            pdu = deliver(text, *tlvs, esm_class=esm_class)
            assert parse_receipt(pdu, prefer=prefer) == _read_carefully(pdu, prefer, HANOI)

    def test_the_usual_receipt_needs_no_careful_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.smpp.receipt._read_carefully", lambda *_: None)
        assert parsed(STANDARD, Tlv(0x1E, b"0123456789\0"), Tlv(0x427, b"\2")).stat == "DELIVRD"

    def test_the_messages_own_text_cannot_forge_a_state(self) -> None:
        receipt = parsed("id:1 stat:UNDELIV err:1 text:id:2 stat:DELIVRD err:000")
        assert (receipt.message_id, receipt.stat, receipt.error) == ("1", "UNDELIV", "1")
        assert receipt.text == "id:2 stat:DELIVRD err:000"
        # a state word in the message's text is no state of the message
        assert parsed("id:1 err:1 text:DELIVRD").stat == ""

    @pytest.mark.parametrize(
        ("stat", "state", "final"),
        [
            ("SCHEDULED", MessageStateCode.SCHEDULED, False),
            ("ENROUTE", MessageStateCode.ENROUTE, False),
            ("DELIVRD", MessageStateCode.DELIVERED, True),
            ("EXPIRED", MessageStateCode.EXPIRED, True),
            ("DELETED", MessageStateCode.DELETED, True),
            ("UNDELIV", MessageStateCode.UNDELIVERABLE, True),
            ("ACCEPTD", MessageStateCode.ACCEPTED, False),
            ("UNKNOWN", MessageStateCode.UNKNOWN, True),
            ("REJECTD", MessageStateCode.REJECTED, True),
            ("SKIPPED", MessageStateCode.SKIPPED, True),
            ("FAILED", None, False),
            ("2", None, False),
        ],
    )
    def test_c10_states(self, stat: str, state: int | None, final: bool) -> None:
        receipt = parsed(f"id:1 stat:{stat}")
        assert (receipt.stat, receipt.state, receipt.final) == (stat, state, final)
        if state is not None:
            by_tlv = parsed("", id_tlv("1"), state_tlv(state))
            assert (by_tlv.stat, by_tlv.state, by_tlv.final) == (stat, state, final)

    @pytest.mark.parametrize("esm_class", [0x20, 0x24, 0x60])
    def test_c10_intermediate_is_never_final(self, esm_class: int) -> None:
        receipt = parsed(STANDARD, state_tlv(2), esm_class=esm_class)
        assert receipt.intermediate
        assert not receipt.final

    def test_c10_on_data_sm_and_in_message_payload(self) -> None:
        payload = Tlv(TlvTag.MESSAGE_PAYLOAD, STANDARD.encode())
        for pdu in (DataSm(esm_class=4, tlvs=(payload,)), deliver("", payload)):
            receipt = parse_receipt(pdu)
            assert receipt is not None
            assert receipt.message_id == "0123456789"
        receipt = parse_receipt(DataSm(esm_class=4, tlvs=(id_tlv("5"), state_tlv(2))))
        assert receipt is not None
        assert (receipt.message_id, receipt.final) == ("5", True)

    def test_ucs2_and_wrong_data_coding(self) -> None:
        assert parsed(STANDARD.encode("utf-16-be"), data_coding=8).message_id == "0123456789"
        assert parsed(STANDARD, data_coding=8).message_id == "0123456789"  # copied from the message
        assert parsed(STANDARD, esm_class=0x44).message_id == "0123456789"  # so is this UDHI bit
        assert parsed(b"\x05\x00\x03\x01\x02\x01" + STANDARD.encode(), esm_class=0x44).message_id == "0123456789"

    def test_underscore_of_gsm7(self) -> None:
        assert parsed(encode_text("id:a_b stat:DELIVRD", "gsm7")[1]).message_id == "a_b"

    @pytest.mark.parametrize("text", ["", "hello", "sub:001", "text:id", "\x00\x01\xff"])
    def test_no_receipt(self, text: str) -> None:
        assert parse_receipt(deliver(text)) is None

    @given(st.text(alphabet=st.sampled_from("idsubtaerxo: =\0,09DELIVRDé"), max_size=80) | st.text(max_size=40))
    def test_never_raises(self, text: str) -> None:
        octets = text.encode("latin-1", "replace")
        receipt = parse_receipt(deliver(octets))
        assert receipt is None or receipt.message_id or receipt.stat


class TestTlvs:
    def test_c10_tlvs_only(self) -> None:
        network_error = Tlv(TlvTag.NETWORK_ERROR_CODE, b"\x03\x01\x02")
        reference = Tlv(TlvTag.USER_MESSAGE_REFERENCE, b"\x12\x34")
        receipt = parsed("", id_tlv("4A5B"), state_tlv(5), network_error, reference)
        assert (receipt.message_id, receipt.stat, receipt.state, receipt.final) == ("4A5B", "UNDELIV", 5, True)
        assert (receipt.network_type, receipt.network_error_code, receipt.error) == (3, 0x0102, "258")
        assert receipt.user_message_reference == 0x1234
        assert (receipt.submit_date, receipt.done_date, receipt.submitted) == (None, None, None)

    def test_c10_both_and_tlv_wins_by_default(self) -> None:
        receipt = parsed(STANDARD, id_tlv("777"), state_tlv(5))
        assert (receipt.message_id, receipt.stat, receipt.state) == ("777", "UNDELIV", 5)
        assert receipt.conflict
        assert receipt.done_date is not None  # what only the text has stays

    def test_c10_both_and_text_wins_by_setting(self) -> None:
        receipt = parsed(STANDARD, id_tlv("777"), state_tlv(5), prefer="text")
        assert (receipt.message_id, receipt.stat, receipt.state) == ("0123456789", "DELIVRD", 2)
        assert receipt.conflict

    def test_the_same_id_in_another_base_is_no_conflict(self) -> None:
        assert not parsed("id:0255 stat:DELIVRD", id_tlv("FF"), state_tlv(2)).conflict
        assert not parsed("id:00ff stat:DELIVRD", id_tlv("FF"), state_tlv(2)).conflict
        assert parsed("id:0256 stat:DELIVRD", id_tlv("FF"), state_tlv(2)).conflict

    @pytest.mark.parametrize("prefer", ["tlv", "text"])
    def test_the_one_that_names_a_known_state_wins_over_one_that_does_not(self, prefer: str) -> None:
        by_tlv = parsed("id:1 stat:FAILED", state_tlv(5), prefer=prefer)
        assert (by_tlv.stat, by_tlv.state, by_tlv.final, by_tlv.conflict) == ("UNDELIV", 5, True, False)
        by_text = parsed("id:1 stat:DELIVRD", state_tlv(77), prefer=prefer)
        assert (by_text.stat, by_text.state, by_text.final) == ("DELIVRD", 2, True)

    def test_an_unknown_state_is_kept_and_not_final(self) -> None:
        receipt = parsed("", id_tlv("1"), state_tlv(77))
        assert (receipt.stat, receipt.state, receipt.final) == ("77", 77, False)

    def test_odd_tlvs(self) -> None:
        assert parsed("", Tlv(TlvTag.RECEIPTED_MESSAGE_ID, b"12"), state_tlv(2)).message_id == "12"  # no NUL
        assert parsed("", Tlv(TlvTag.RECEIPTED_MESSAGE_ID, b" 12 \0x"), state_tlv(2)).message_id == "12"
        assert parsed("", id_tlv("1"), Tlv(TlvTag.MESSAGE_STATE, b"")).state is None
        assert parsed("", id_tlv("1"), Tlv(TlvTag.NETWORK_ERROR_CODE, b"\x01")).network_error_code is None
        assert parsed("", state_tlv(2)).message_id == ""


class TestDates:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2603021001", datetime(2026, 3, 2, 10, 1, tzinfo=HANOI)),
            ("260302100159", datetime(2026, 3, 2, 10, 1, 59, tzinfo=HANOI)),
            ("202603021001", datetime(2026, 3, 2, 10, 1, tzinfo=HANOI)),  # no 26th month: a full year
            ("20260302100159", datetime(2026, 3, 2, 10, 1, 59, tzinfo=HANOI)),
            ("2026-03-02 10:01:59", datetime(2026, 3, 2, 10, 1, 59, tzinfo=HANOI)),
            ("260302100159028+", datetime(2026, 3, 2, 10, 1, 59, tzinfo=HANOI)),
            ("260302030159000+", datetime(2026, 3, 2, 3, 1, 59, tzinfo=UTC)),
            ("260302030159004-", datetime(2026, 3, 2, 4, 1, 59, tzinfo=UTC)),
            ("260302100159 DELIVRD", datetime(2026, 3, 2, 10, 1, 59, tzinfo=HANOI)),
            ("2613321001", None),
            ("1700000000", None),  # seconds since 1970 are no date here
            ("000000000000", None),
            ("0", None),
            ("", None),
            ("yesterday", None),
        ],
    )
    def test_forms(self, value: str, expected: datetime | None) -> None:
        assert parse_date(value, HANOI) == expected

    def test_time_zone_of_the_smsc(self) -> None:
        receipt = parse_receipt(deliver(STANDARD), utc_offset_hours=0)
        assert receipt is not None
        assert receipt.done_date == datetime(2026, 3, 2, 10, 1, tzinfo=UTC)


@given(
    st.text(alphabet="0123456789abcdefABCDEF-", min_size=1, max_size=36),
    st.sampled_from(["DELIVRD", "UNDELIV", "EXPIRED", "ENROUTE"]),
    st.datetimes(datetime(2016, 1, 1), datetime(2069, 1, 1)),  # noqa: DTZ001 - the strategy wants naive ones
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)
def test_what_is_formatted_is_parsed(message_id: str, stat: str, at: datetime, seconds: bool, sub: int | None) -> None:
    text = format_receipt_text(message_id, stat, at, at, error="0A1", submitted=sub, text="Ho so", seconds=seconds)
    receipt = parsed(text)
    assert (receipt.message_id, receipt.stat, receipt.error, receipt.text) == (message_id, stat, "0A1", "Ho so")
    assert receipt.submitted == sub
    expected = at.replace(microsecond=0, second=at.second if seconds else 0, tzinfo=HANOI)
    assert receipt.submit_date == receipt.done_date == expected
    assert is_receipt(deliver(text, esm_class=0), recognise_without_esm_class=True)
