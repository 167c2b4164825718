"""docs/smpp.md says what the code does: it is generated, and its examples are read by decoders that are not ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from smpplib import smpp as smpplib_smpp

from gateway.settings import StatusAction
from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.events import SessionClosed
from gateway.smpp.pcap import FILE_HEADER, Capture
from gateway.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    Pdu,
    decode,
    encode,
    make_response,
)
from gateway.smpp.session import Role
from gateway.smpp.trace import Address, Traced
from gateway.smpp_docs import ACTIONS, render

PAGE = Path(__file__).resolve().parents[1] / "docs" / "smpp.md"


def examples() -> list[bytes]:
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [bytes.fromhex(re.sub(r"#.*", "", block)) for block in blocks]


def test_the_guide_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m gateway.smpp_docs > docs/smpp.md"


def test_every_example_is_a_pdu() -> None:
    assert len(examples()) >= 20
    for frame in examples():
        assert encode(decode(frame)) == frame


def test_smpplib_reads_the_same_fields() -> None:
    compared = 0
    for frame in examples():
        ours = decode(frame)
        if any(one.tag >= 0x1400 for one in getattr(ours, "tlvs", ())):
            continue  # it does not know the vendors'
        theirs = smpplib_smpp.parse_pdu(frame, sequence=0)
        for name in ("short_message", "destination_addr", "message_id"):
            if hasattr(ours, name) and getattr(ours, name):
                value = getattr(ours, name)
                assert getattr(theirs, name) == (value.encode() if isinstance(value, str) else value)
                compared += 1
    assert compared >= 16


@pytest.mark.peer("tshark")
def test_tshark_finds_nothing_malformed(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (apt-get install tshark)")
    capture, path = Capture(), tmp_path / "guide.pcap"
    items = [Traced(1.0, 1, True, Address("192.0.2.1", 5), Address("192.0.2.2", 2775), frame) for frame in examples()]
    path.write_bytes(FILE_HEADER + b"".join(capture.packets(item) for item in items))
    fields = ["-e", "smpp.command_id", "-e", "_ws.malformed"]
    output = subprocess.run(
        [tshark, "-r", str(path), "-d", "tcp.port==2775,smpp", "-T", "json", *fields],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    layers = [packet["_source"]["layers"] for packet in json.loads(output)]
    assert [int(layer["smpp.command_id"][0], 16) for layer in layers] == [
        decode(frame).command_id for frame in examples()
    ]
    assert not [layer for layer in layers if "_ws.malformed" in layer]


def test_every_action_is_explained() -> None:
    assert set(ACTIONS) == set(StatusAction)


# What the guide's table says of PDUs that are not right


def bound() -> Connection:
    connection = Connection(Role.ESME, SessionSettings(), 0.0)
    connection.bind(BindTransceiver(system_id="motcua"), 0.0)
    connection.data_to_send()
    connection.receive_data(encode(BindTransceiverResp(1)), 0.0)
    assert connection.bound
    return connection


def answers(connection: Connection, octets: bytes) -> list[Pdu]:
    events = connection.receive_data(octets, 1.0)
    octets = connection.data_to_send()
    found = []
    while octets:
        length = int.from_bytes(octets[:4], "big")
        found.append(decode(octets[:length]))
        octets = octets[length:]
    assert all(not isinstance(event, SessionClosed) for event in events) or connection.closed
    return found


def frame(command_id: int, body: bytes, length: int | None = None) -> bytes:
    header = [16 + len(body) if length is None else length, command_id, 0, 5]
    return b"".join(number.to_bytes(4, "big") for number in header) + body


@pytest.mark.parametrize(
    ("octets", "answer", "status", "stays"),
    [
        (frame(0x0777, b""), 0x80000000, 0x03, True),
        (frame(0x5, b"\0" * 5), 0x80000005, 0x02, True),
        (frame(0x5, b"\0" * 17 + b"\x02\x04\x00\x09\x00"), 0x80000005, 0xC2, True),
        (frame(0x5, b"\0" * 17 + b"\x02\x04"), 0x80000005, 0xC0, True),
        (frame(0x4, b"\0" * 17), 0x80000004, 0x03, True),
        (frame(0x5, b"", 15), 0x80000000, 0x02, False),
        (frame(0x5, b"", 70_000), 0x80000000, 0x02, False),
    ],
)
def test_faults_are_answered_as_the_guide_says(octets: bytes, answer: int, status: int, stays: bool) -> None:
    connection = bound()
    [pdu] = answers(connection, octets)
    assert (pdu.command_id, pdu.command_status) == (answer, status)
    assert connection.closed is not stays


def test_a_deliver_sm_on_a_transmitter_is_refused_as_the_guide_says() -> None:
    connection = Connection(Role.ESME, SessionSettings(), 0.0)
    connection.bind(BindTransmitter(system_id="motcua"), 0.0)
    connection.data_to_send()
    connection.receive_data(encode(BindTransmitterResp(1)), 0.0)
    [pdu] = answers(connection, frame(0x5, b"\0" * 17))
    assert (pdu.command_id, pdu.command_status) == (0x80000005, 0x04)


def test_the_example_of_a_nack_is_the_one_we_send() -> None:
    [pdu] = answers(bound(), frame(0x0777, b""))
    assert encode(pdu._replace(sequence_number=77)) in examples()
    assert make_response(BindTransceiver(1)).command_id == BindTransceiverResp.command_id
