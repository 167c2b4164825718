"""Faults of one kind each: the command_status that answers them, and what is forgiven (conformance C14, C15)."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from pdu_strategies import CLASS_OF, ROW_OF, damaged, pdus, with_length

from gateway.smpp import codec
from gateway.smpp import pdu as pdu_module
from gateway.smpp.careful import BodyFault, read_body
from gateway.smpp.constants import CommandId, CommandStatus
from gateway.smpp.errors import LocalProtocolError, RecoverablePduError, RemoteProtocolError, UnrecoverablePduError
from gateway.smpp.fields import PDU_ROWS, Kind, PduRow
from gateway.smpp.pdu import (
    AlertNotification,
    BindTransmitter,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    QuerySmResp,
    SmeAddress,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    UnknownPdu,
    UnsuccessSme,
    decode,
    encode,
)

MESSAGE = SubmitSm(77, 0, "CMT", 5, 0, "MotcuaSMS", 1, 1, "84905123456", short_message=b"xin chao")


def frame_of(command_id: int, body: bytes, command_status: int = 0) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, command_status, 77) + body


def fault_of(frame: bytes) -> RecoverablePduError:
    with pytest.raises(RecoverablePduError) as caught:
        decode(frame)
    return caught.value


@pytest.mark.parametrize(
    ("what", "frame", "status", "reason"),
    [
        ("no body at all", frame_of(4, b""), CommandStatus.ESME_RINVCMDLEN, "service_type"),
        ("body ends in an integer", frame_of(4, b"\0\1"), CommandStatus.ESME_RINVCMDLEN, "source_addr_npi"),
        ("no terminator", frame_of(4, b"\0\1\1" + b"8083"), CommandStatus.ESME_RINVCMDLEN, "source_addr"),
        (
            "sm_length beyond the body",
            with_length(encode(MESSAGE)[:-1]),
            CommandStatus.ESME_RINVMSGLEN,
            "short_message",
        ),
        ("no sm_length", with_length(encode(MESSAGE)[:-9]), CommandStatus.ESME_RINVCMDLEN, "sm_length"),
        ("one octet is no TLV", with_length(encode(MESSAGE) + b"\2"), CommandStatus.ESME_RINVTLVSTREAM, "1 octets"),
        ("three are none", with_length(encode(MESSAGE) + b"\2\4\0"), CommandStatus.ESME_RINVTLVSTREAM, "3 octets"),
        (
            "TLV length beyond the body",
            with_length(encode(MESSAGE) + b"\2\4\0\2\1"),
            CommandStatus.ESME_RINVPARLEN,
            "TLV 0x0204",
        ),
        ("the longest TLV, empty", with_length(encode(MESSAGE) + b"\4\x24\xff\xff"), 0xC2, "TLV 0x0424"),
        ("TLV after the bind", with_length(encode(BindTransmitter()) + b"\0"), 0xC0, "1 octets"),
        ("octets in a PDU without a body", frame_of(0x15, b"\0\0"), CommandStatus.ESME_RINVTLVSTREAM, "2 octets"),
    ],
)
def test_a_cut_body_is_answered(what: str, frame: bytes, status: int, reason: str) -> None:
    fault = fault_of(frame)
    assert fault.command_status == status, what
    assert fault.sequence_number in (77, 0)
    assert reason in fault.reason


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("service_type", CommandStatus.ESME_RINVSERTYP),
        ("source_addr", CommandStatus.ESME_RINVSRCADR),
        ("destination_addr", CommandStatus.ESME_RINVDSTADR),
        ("schedule_delivery_time", CommandStatus.ESME_RINVSCHED),
        ("validity_period", CommandStatus.ESME_RINVEXPIRY),
        ("system_id", CommandStatus.ESME_RINVSYSID),
        ("password", CommandStatus.ESME_RINVPASWD),
        ("system_type", CommandStatus.ESME_RINVSYSTYP),
        ("address_range", CommandStatus.ESME_RINVPARLEN),
        ("message_id", CommandStatus.ESME_RINVMSGID),
    ],
)
def test_an_over_long_string_of_a_request_is_answered_for_its_field(field: str, status: int) -> None:
    tried = 0
    for row in PDU_ROWS:
        sizes = {entry.name: entry.max_octets for entry in row.fields}
        if row.command_id & 0x80000000 or field not in sizes:
            continue
        fits = encode(CLASS_OF[row.command_id](77, 0, **{field: "\xe9" * (sizes[field] - 1)}))
        assert getattr(decode(fits), field) == "\xe9" * (sizes[field] - 1)
        fault = fault_of(with_length(fits.replace(b"\xe9", b"\xe9\xe9", 1)))
        assert (fault.command_status, fault.sequence_number) == (status, 77)
        assert fault.reason.endswith(f"{field} has more than {sizes[field]} octets")
        tried += 1
    assert tried


def test_a_fault_does_not_show_what_the_field_held() -> None:
    number = "84905123456"
    fault = fault_of(with_length(encode(MESSAGE).replace(number.encode(), number.encode() * 2)))
    assert "84905" not in str(fault)
    with pytest.raises(LocalProtocolError) as caught:
        encode(SubmitSm(destination_addr=number * 2))
    assert "84905" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"\0\1\1\0" + b"\1", CommandStatus.ESME_RINVCMDLEN, "dest_flag"),
        (b"\0\1\1\0" + b"\2\1\1\1" + b"84905123456\0", CommandStatus.ESME_RINVCMDLEN, "dest_flag"),
        (b"\0\1\1\0" + b"\1\3", CommandStatus.ESME_RINVDESTFLAG, "dest_flag 3"),
        (b"\0\1\1\0" + b"\1\0", CommandStatus.ESME_RINVDESTFLAG, "dest_flag 0"),
        (b"\0\1\1\0" + b"\1\2" + b"l" * 21 + b"\0", CommandStatus.ESME_RINVDLNAME, "dl_name"),
        (b"\0\1\1\0" + b"\1\1\1\1" + b"9" * 21 + b"\0", CommandStatus.ESME_RINVDSTADR, "destination_addr"),
        (b"\0\1\1\0" + b"\1\1\1\1" + b"9" * 20, CommandStatus.ESME_RINVCMDLEN, "destination_addr"),
    ],
)
def test_faults_in_the_destinations_of_submit_multi(body: bytes, status: int, reason: str) -> None:
    fault = fault_of(frame_of(CommandId.SUBMIT_MULTI, body))
    assert fault.command_status == status
    assert reason in fault.reason


@pytest.mark.parametrize(
    ("frame", "pdu"),
    [
        (frame_of(CommandId.DELIVER_SM_RESP, b""), DeliverSmResp(77)),
        (frame_of(CommandId.DATA_SM_RESP, b""), DataSmResp(77)),
        (frame_of(CommandId.SUBMIT_SM_RESP, b""), SubmitSmResp(77)),
        (frame_of(CommandId.SUBMIT_SM_RESP, b"", 0x58), SubmitSmResp(77, 0x58)),
        (frame_of(CommandId.SUBMIT_SM_RESP, b"\0", 0x58), SubmitSmResp(77, 0x58)),
        (frame_of(CommandId.SUBMIT_SM_RESP, b"a1\0", 0x412), SubmitSmResp(77, 0x412, "a1")),
        (
            frame_of(CommandId.SUBMIT_SM_RESP, b"\0\4\x28\0\1\x5a", 0x58),
            SubmitSmResp(77, 0x58, "", (Tlv(0x0428, b"Z"),)),
        ),
        (frame_of(CommandId.QUERY_SM_RESP, b"", 0x67), QuerySmResp(77, 0x67)),
        (frame_of(CommandId.SUBMIT_MULTI_RESP, b"", 0x45), SubmitMultiResp(77, 0x45)),
    ],
)
def test_a_response_may_lack_its_body(frame: bytes, pdu: pdu_module.Pdu) -> None:
    assert decode(frame) == pdu


@pytest.mark.parametrize("command_id", [CommandId.QUERY_SM_RESP, CommandId.SUBMIT_MULTI_RESP])
def test_a_good_response_whose_body_says_something_may_not_lack_it(command_id: int) -> None:
    assert fault_of(frame_of(command_id, b"")).command_status == CommandStatus.ESME_RINVCMDLEN


def test_a_good_response_needs_the_terminator_of_its_message_id() -> None:
    assert fault_of(frame_of(CommandId.SUBMIT_SM_RESP, b"a1")).command_status == CommandStatus.ESME_RINVCMDLEN


@pytest.mark.parametrize("body", [b"a1", b"\0\4\x28\0\5", b"\0\0\0"])
def test_under_an_error_status_the_body_of_a_response_does_not_matter(body: bytes) -> None:
    assert decode(frame_of(CommandId.SUBMIT_SM_RESP, body, 0x58)) == SubmitSmResp(77, 0x58)


def test_junk_after_a_generic_nack_does_not_matter() -> None:
    assert decode(frame_of(CommandId.GENERIC_NACK, b"\0\0\0", 3)) == GenericNack(77, 3)


def test_an_over_long_message_id_of_a_response_is_kept() -> None:
    """A response cannot be answered, and receipts will carry the same id."""
    long_id = "f" * 300
    frame = frame_of(CommandId.SUBMIT_SM_RESP, long_id.encode() + b"\0")
    assert decode(frame) == SubmitSmResp(77, 0, long_id)


@pytest.mark.parametrize(
    "tlvs",
    [
        (Tlv(0x0204, b""),),
        (Tlv(0xFFFF, b"unknown"), Tlv(0x1401, b"vendor")),
        (Tlv(0x0204, b"\0\1"), Tlv(0x0204, b"\0\2"), Tlv(0x0204, b"\0\1")),
        (Tlv(0x0427, b"far too long for a message_state"),),
        (Tlv(0x0424, b"x" * 65000),),
    ],
    ids=["empty", "unknown", "repeated", "odd size", "large"],
)
def test_strange_tlvs_are_kept_as_they_came(tlvs: tuple[Tlv, ...]) -> None:
    assert decode(encode(DeliverSm(1, tlvs=tlvs))).tlvs == tlvs
    assert decode(encode(EnquireLink(1, 0, tlvs))).tlvs == tlvs


@pytest.mark.parametrize("size", [0, 1, 15])
def test_less_than_a_header_is_unrecoverable(size: int) -> None:
    with pytest.raises(UnrecoverablePduError, match=f"{size} octets"):
        decode(encode(EnquireLink(1))[:size])


@pytest.mark.parametrize("length", [0, 15, 17, 0xFFFFFFFF])
def test_a_length_that_is_not_the_frame_s_is_unrecoverable(length: int) -> None:
    with pytest.raises(UnrecoverablePduError) as caught:
        decode(struct.pack(">I", length) + encode(EnquireLinkResp(9))[4:])
    assert caught.value.command_status == CommandStatus.ESME_RINVCMDLEN
    assert (caught.value.command_id, caught.value.sequence_number) == (0x80000015, 9)


@given(damaged(pdus.map(encode)))
def test_the_two_halves_of_the_codec_agree(frame: bytes) -> None:
    """What the compiled half takes, the careful half reads the same; what it gives up, the careful half explains."""
    _, command_id, command_status, sequence_number = struct.unpack(">IIII", frame[:16])
    try:
        fast = pdu_module._DECODERS[command_id](frame, len(frame), command_status, sequence_number)
    except codec.SURPRISES:
        fast = None
    try:
        body = read_body(ROW_OF[command_id], frame, command_status)
    except BodyFault:
        assert fast is None
        return
    if fast is None:
        assert command_id & 0x80000000, "only responses are forgiven anything"
    elif body is None:
        assert len(frame) == 16
        assert fast == type(fast)(sequence_number, command_status)
    else:
        values, tlvs = body
        assert fast == type(fast)(sequence_number, command_status, *values, tlvs)


def _too_much(row: PduRow) -> list[tuple[str, object]]:
    wrong: dict[Kind, tuple[object, ...]] = {
        Kind.INTEGER: (-1, 256, "1", None, 1.5),
        Kind.C_OCTET_STRING: ("a\0b", "hồ", b"octets", 5, None),
        Kind.OCTET_STRING: (b"x" * 256, "text", None),
        Kind.DEST_ADDRESSES: (
            (SmeAddress(1, 1, "9" * 21),),
            (SmeAddress(1, 256, "9"),),
            (DistributionList("l" * 21),),
            (DistributionList("l\0"),),
            (SmeAddress(1, 1, "9"),) * 255,
            (UnsuccessSme(1, 1, "9", 1),),
            ("84905123456",),
            5,
        ),
        Kind.UNSUCCESS_SMES: (
            (UnsuccessSme(1, 1, "9", -1),),
            (UnsuccessSme(1, 1, "9" * 21, 1),),
            ((1, 1, "9", 1),),
            (UnsuccessSme(1, 1, "9", 1),) * 256,
            None,
        ),
    }
    cases: list[tuple[str, object]] = []
    for field in row.fields:
        cases += [(field.name, value) for value in wrong[field.kind]]
        if field.kind is Kind.C_OCTET_STRING:
            cases.append((field.name, "x" * field.max_octets))
    return cases


@pytest.mark.parametrize("row", PDU_ROWS, ids=lambda row: row.command_id.name)
def test_a_value_that_does_not_fit_is_refused_and_nothing_is_sent(row: PduRow) -> None:
    name = row.command_id.name.lower()
    for field, value in _too_much(row):
        with pytest.raises(LocalProtocolError, match=name) as caught:
            encode(CLASS_OF[row.command_id](**{field: value}))
        inner = ("destination_addr", "dl_name", "dest_addr_npi", "error_status_code")
        assert any(word in str(caught.value) for word in (field, *inner)), (field, value)


@pytest.mark.parametrize(
    ("pdu", "complaint"),
    [
        (SubmitSm(source_addr="x" * 21), "submit_sm: source_addr has 22, at most 21 are allowed"),
        (SubmitSm(sequence_number=-1), "submit_sm: sequence_number does not fit in 4 octets"),
        (EnquireLink(command_status=1 << 32), "enquire_link: command_status does not fit in 4 octets"),
        (SubmitSm(tlvs=(Tlv(1 << 16, b""),)), "submit_sm: a TLV's tag does not fit in 2 octets"),
        (SubmitSm(tlvs=(Tlv(0x0424, b"x" * 65536),)), "submit_sm: TLV 0x0424 has 65536 octets"),
        (SubmitSm(tlvs=(Tlv(0x0424, "text"),)), "submit_sm: TLV 0x0424 must hold bytes, not str"),  # type: ignore[arg-type]
        (SubmitSm(tlvs=("ab",)), "submit_sm: tlvs holds a str, not a Tlv"),  # type: ignore[arg-type]
        (SubmitSm(tlvs=5), "submit_sm: tlvs must be a tuple, not int"),  # type: ignore[arg-type]
        (UnknownPdu(0, 0, -1), "UnknownPdu"),
        (UnknownPdu(0, 0, 1, "text"), "UnknownPdu"),  # type: ignore[arg-type]
        (("a", "tuple"), "a tuple is no PDU"),
    ],
)
def test_the_refusal_names_the_field(pdu: pdu_module.Pdu, complaint: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode(pdu)
    assert complaint in str(caught.value)


def _hostile() -> dict[str, bytes]:
    body = encode(MESSAGE)[16:]
    size = 65536 - 16
    return {
        "empty TLVs": frame_of(4, body + b"\2\4\0\0" * ((size - len(body)) // 4)),
        "no NUL anywhere": frame_of(4, b"x" * size),
        "NULs only": frame_of(4, b"\0" * size),
        "NULs in submit_multi": frame_of(0x21, b"\0" * size),
        "255 destinations": frame_of(0x21, b"\0\1\1\0\xff" + b"\1\1\1\0" * 255 + b"\0" * 10),
        "an endless message_id": frame_of(0x80000004, b"x" * size),
        "a message_id of 64 KB": frame_of(0x80000004, b"x" * (size - 1) + b"\0"),
        "unknown command": frame_of(0x777, b"x" * size),
    }


@pytest.mark.parametrize("what", list(_hostile()))
def test_hostile_pdus_cost_little(what: str) -> None:
    frame = _hostile()[what]
    tracemalloc.start()
    start = time.process_time()
    with contextlib.suppress(RemoteProtocolError):  # refused is as good as read: this test is about the cost
        decode(frame)
    seconds = time.process_time() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * len(frame)  # 16,000 empty TLVs are 16,000 small objects
    assert seconds < 1  # about 20 ms; quadratic work would need minutes


def test_alert_notification_with_its_tlv() -> None:
    alert = AlertNotification(5, 0, 1, 1, "84905123456", 3, 0, "8083", (Tlv(0x0422, b"\0"),))
    assert decode(encode(alert)) == alert
