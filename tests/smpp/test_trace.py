"""Traces: readable lines, masked numbers, no passwords, and captures that tshark reads as SMPP."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from golden_pdus import GOLDEN
from hypothesis import given
from hypothesis import strategies as st
from pdu_strategies import pdus

from gateway.smpp.constants import TlvTag
from gateway.smpp.fields import Kind, TlvRow
from gateway.smpp.pcap import FILE_HEADER, SEGMENT_OCTETS, Capture
from gateway.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    Outbind,
    Pdu,
    SmeAddress,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Tlv,
    decode,
    encode,
    make_tlv,
)
from gateway.smpp.text import segment
from gateway.smpp.tlv import TlvRegistry
from gateway.smpp.trace import Address, Traced, line, mask, masked, without_password

OURS, THEIRS = Address("192.0.2.10", 40_001), Address("198.51.100.7", 2776)
SUBMIT = SubmitSm(
    7, 0, "", 5, 0, "MotcuaSMS", 1, 1, "84905123456", registered_delivery=1, short_message=b'Ho so "01" da co ket qua\n'
)


def traced(pdu: Pdu | bytes, *, sent: bool = True, at: float = 1_700_000_000.25) -> Traced:
    return Traced(at, 1, sent, OURS, THEIRS, pdu if isinstance(pdu, bytes) else encode(pdu))


def test_a_submit_is_one_line() -> None:
    assert line(traced(SUBMIT)) == (
        "#1 > submit_sm seq=7 source_addr=5/0/MotcuaSMS destination_addr=1/1/84905123456 registered_delivery=1 "
        '"Ho so \\"01\\" da co ket qua\\n"'
    )


def test_an_answer_shows_its_status_and_id() -> None:
    answer = SubmitSmResp(7, 0x0412, "3f6a", (make_tlv(TlvTag.CONGESTION_STATE, 90),))
    assert (
        line(traced(answer, sent=False)) == "#1 < submit_sm_resp seq=7 0x00000412 message_id=3f6a congestion_state=90"
    )
    assert "ESME_ROK" in line(traced(SubmitSmResp(7, 0, "1")))


def test_a_receipt_and_its_tlvs_by_name() -> None:
    receipt = DeliverSm(
        3,
        esm_class=4,
        source_addr="84905123456",
        short_message=b"id:1 stat:DELIVRD",
        tlvs=(make_tlv("receipted_message_id", "1"), make_tlv("message_state", 2), Tlv(0x1401, b"\1\2")),
    )
    shown = line(traced(receipt, sent=False))
    assert "esm_class=4" not in shown
    assert "esm_class=0x04(receipt)" in shown
    assert shown.endswith('"id:1 stat:DELIVRD" receipted_message_id="1" message_state=2 vendor_0x1401=0x0102')


def test_c14_vendor_tlvs_are_shown_by_the_name_of_the_configuration() -> None:
    registry = TlvRegistry([TlvRow("price", 0x1401, Kind.INTEGER, 2, 2)])
    assert line(traced(SUBMIT._replace(tlvs=(Tlv(0x1401, b"\3\xe8"),))), tlvs=registry).endswith("price=1000")


def test_a_part_shows_its_place_and_its_text() -> None:
    second = segment("đ" * 100, "ucs2", form="udh8", reference=5)[1]
    pdu = SUBMIT._replace(esm_class=second.esm_class_bits, data_coding=8, short_message=second.short_message)
    assert 'esm_class=0x40(udh) registered_delivery=1 data_coding=8 part=2/2 reference=5 "đ' in line(traced(pdu))


def test_what_is_no_pdu_is_shown_as_octets() -> None:
    assert line(traced(b"GET /")) == "#1 > no PDU: 47 45 54 20 2f"
    broken = encode(SUBMIT)[:-30]
    broken = len(broken).to_bytes(4, "big") + broken[4:]
    assert "malformed" in line(traced(broken))


@given(pdus)
def test_every_pdu_has_one_line(pdu: Pdu) -> None:
    assert len(line(traced(pdu)).splitlines()) == 1


# Masks


def test_numbers_are_masked_and_names_are_not() -> None:
    assert mask("84905123456") == "84905***456"
    assert [mask(word) for word in ("MotcuaSMS", "8083", "")] == ["MotcuaSMS", "8083", ""]


@pytest.mark.parametrize(
    "pdu",
    [
        SUBMIT,
        SUBMIT._replace(short_message=b"Goi 0905123456 hoac 84905123456"),
        SUBMIT._replace(data_coding=8, short_message="Gọi 0905123456".encode("utf-16-be")),
        SUBMIT._replace(short_message=b"", tlvs=(Tlv(TlvTag.MESSAGE_PAYLOAD, b"Goi 0905123456"),)),
        SubmitMulti(1, dest_address=(SmeAddress(1, 1, "84905123456"),)),
        DeliverSm(1, source_addr="84905123456", destination_addr="8083"),
    ],
)
def test_no_number_is_left_and_the_pdu_stays_one(pdu: Pdu) -> None:
    frame = masked(encode(pdu))
    assert len(frame) == len(encode(pdu))
    assert decode(frame).command_id == pdu.command_id
    assert b"5123" not in frame
    assert "5123".encode("utf-16-be") not in frame
    assert "5123" not in line(traced(frame))


def test_codes_and_ids_stay() -> None:
    text = b"MCKH 0101701234 H32.12-251104-0007 id:0000000123456789"
    assert masked(encode(SUBMIT._replace(destination_addr="8083", short_message=text))).endswith(text)


def test_a_malformed_pdu_is_masked_too() -> None:
    frame = encode(SUBMIT)[:-20]
    assert b"84905123456" not in masked(len(frame).to_bytes(4, "big") + frame[4:])


def test_passwords_never_show() -> None:
    for pdu in (BindTransceiver(1, 0, "motcua", "secret"), Outbind(1, 0, "smsc", "secret")):
        frame = without_password(encode(pdu))
        assert len(frame) == len(encode(pdu))
        assert b"secret" not in frame
        assert "password=******" in line(traced(frame))
    broken = encode(BindTransceiver(1, 0, "motcua", "secret"))[:-3]
    assert b"secret" not in without_password(len(broken).to_bytes(4, "big") + broken[4:])
    assert without_password(encode(SUBMIT)) == encode(SUBMIT)


@given(pdus)
def test_a_masked_pdu_is_as_long_as_it_was(pdu: Pdu) -> None:
    frame = encode(pdu)
    assert len(masked(without_password(frame))) == len(frame)
    assert len(masked(frame[:-1])) == len(frame) - 1


# Captures

TSHARK = shutil.which("tshark")
# tshark 4.0 is out of step after broadcast_rep_num: see test_pdu_golden.
SHOWN = [pdu for _, pdu in GOLDEN if TlvTag.BROADCAST_REP_NUM not in [one.tag for one in getattr(pdu, "tlvs", ())]]


def dissected(folder: Path, items: list[Traced], *options: str) -> list[dict[str, list[str]]]:
    if TSHARK is None:
        pytest.skip("tshark is not installed (apt-get install tshark)")
    capture = Capture()
    path = folder / "trace.pcap"
    path.write_bytes(FILE_HEADER + b"".join(capture.packets(item) for item in items))
    fields = [
        "smpp.command_id",
        "smpp.sequence_number",
        "_ws.malformed",
        "_ws.expert.severity",
        "ip.src",
        "tcp.srcport",
    ]
    command = [TSHARK, "-r", str(path), *options, "-T", "json"]
    for field in fields:
        command += ["-e", field]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [packet["_source"]["layers"] for packet in json.loads(output)]


@pytest.mark.peer("tshark")
def test_tshark_reads_every_pdu_and_finds_nothing_malformed(tmp_path: Path) -> None:
    items = [traced(pdu, sent=index % 2 == 0, at=1_700_000_000 + index / 10) for index, pdu in enumerate(SHOWN)]
    packets = dissected(tmp_path, items, "-d", "tcp.port==2776,smpp")
    assert len(packets) == len(SHOWN)
    for pdu, layers in zip(SHOWN, packets, strict=True):
        assert int(layers["smpp.command_id"][0], 16) == pdu.command_id
        assert "_ws.malformed" not in layers
        severities = [int(severity, 0) for severity in layers.get("_ws.expert.severity", [])]
        assert max(severities, default=0) < 0x00800000, layers  # no error


@pytest.mark.peer("tshark")
def test_tshark_knows_it_for_smpp_on_the_registered_port_without_being_told(tmp_path: Path) -> None:
    items = [
        traced(masked(encode(SUBMIT)))._replace(theirs=Address("2001:db8::7", 2775), ours=Address("2001:db8::1", 5))
    ]
    [layers] = dissected(tmp_path, items)
    assert int(layers["smpp.command_id"][0], 16) == SUBMIT.command_id


@pytest.mark.peer("tshark")
def test_checksums_and_sequence_numbers_are_right(tmp_path: Path) -> None:
    items = [traced(SUBMIT), traced(SubmitSmResp(7, 0, "1"), sent=False), traced(SUBMIT._replace(sequence_number=8))]
    packets = dissected(
        tmp_path, items, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-d", "tcp.port==2776,smpp"
    )
    for layers in packets:
        severities = [int(severity, 0) for severity in layers.get("_ws.expert.severity", [])]
        assert max(severities, default=0) < 0x00400000, layers  # no warning: nothing lost, nothing retransmitted
    assert [layers["tcp.srcport"][0] for layers in packets] == ["40001", "2776", "40001"]


def test_a_pdu_longer_than_a_packet_takes_two() -> None:
    big = encode(SUBMIT._replace(short_message=b"", tlvs=(Tlv(TlvTag.MESSAGE_PAYLOAD, b"x" * 64_000),)))
    assert len(big) > SEGMENT_OCTETS
    records = Capture().packets(traced(big))
    first = 16 + int.from_bytes(records[8:12], "little")
    assert first + 16 + int.from_bytes(records[first + 8 : first + 12], "little") == len(records)


@given(st.binary(min_size=1, max_size=40))
def test_whatever_crossed_the_wire_has_a_line_and_a_packet(octets: bytes) -> None:
    assert line(traced(octets))
    assert Capture().packets(traced(octets))
