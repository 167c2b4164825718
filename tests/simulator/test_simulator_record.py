"""The books: complete, in order, on disk in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulator_rig import Rig
from twisted.internet.task import Clock

from gateway.smpp.pdu import Tlv
from simulator.errors import SimulatorError
from simulator.record import Record, quote
from simulator.schedule import Schedule
from simulator.settings import RecordSettings


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@given(st.text())
def test_any_text_survives(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert json.loads(quote(text)) == text


def test_the_file_has_everything_after_the_interval(tmp_path: Path) -> None:
    clock = Clock()
    path = tmp_path / "new" / "record.jsonl"
    record = Record(RecordSettings(path=path, flush_interval_s=0.2, memory_entries=2), Schedule(clock))
    record.open()
    for number in range(5):
        record.add("test", {"number": number, "text": "Đúng hạn\n"})
    assert read(path) == []
    clock.advance(0.2)
    assert [entry["number"] for entry in read(path)] == [0, 1, 2, 3, 4]
    assert [entry["n"] for entry in read(path)] == [1, 2, 3, 4, 5]
    record.add("test", {"number": 5})
    record.close()
    assert len(read(path)) == 6
    assert [json.loads(line)["number"] for line in record.lines()] == [4, 5]
    assert record.first_in_memory == 5


@given(st.integers(0, 30), st.integers(1, 10), st.integers(0, 40))
def test_memory_gives_the_newest_after_a_number(count: int, kept: int, after: int) -> None:
    record = Record(RecordSettings(memory_entries=kept), Schedule(Clock()))
    for number in range(1, count + 1):
        record.add("test", {"number": number})
    expected = [number for number in range(1, count + 1) if number > count - kept and number > after]
    assert [json.loads(line)["n"] for line in record.lines(after)] == expected


def test_a_burst_is_written_before_the_interval(tmp_path: Path) -> None:
    record = Record(RecordSettings(path=tmp_path / "r"), Schedule(Clock()))
    record.open()
    for number in range(5000):
        record.add("test", {"number": number})
    assert len(read(tmp_path / "r")) == 5000
    record.close()


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    record = Record(RecordSettings(path=tmp_path), Schedule(Clock()))
    with pytest.raises(SimulatorError, match=r"record\.path .* cannot be written"):
        record.open()


def test_a_submit_is_noted_with_all_that_tells_it(tmp_path: Path) -> None:
    rig = Rig({"record": {"path": str(tmp_path / "r.jsonl")}}, message_ids={"start": 700})
    esme = rig.bound(system_id="motcua")
    text = 'Hồ sơ "0101701234" đã có kết quả'
    header = bytes([5, 0, 3, 9, 2, 1])
    number = esme.submit(
        header + text.encode("utf-16-be"), data_coding=8, esm_class=0x40, tlvs=(Tlv(0x0204, b"\x12\x34"),)
    )
    esme.submitted(destination_addr="")
    rig.simulator.stop()
    submits = [entry for entry in read(tmp_path / "r.jsonl") if entry["event"] == "submit"]
    assert submits[0] == {
        "n": 2,
        "event": "submit",
        "at": pytest.approx(rig.reactor.seconds(), abs=0.01),
        "account": "acc",
        "system_id": "motcua",
        "sequence_number": number,
        "source": "MotcuaSMS",
        "destination": "84905123456",
        "data_coding": 8,
        "text": text,
        "udh": [9, 2, 1],
        "user_message_reference": 0x1234,
        "registered_delivery": 1,
        "message_id": "700",
        "status": 0,
        "outcome": "answered",
    }
    assert (submits[1]["status"], submits[1]["refused_by"], submits[1]["message_id"]) == (0x0B, "addresses", "")


def test_binds_and_their_ends_are_noted() -> None:
    rig = Rig()
    esme = rig.bound(system_id="motcua")
    esme.lose()
    (bind,), (unbind,) = rig.record("bind"), rig.record("unbind")
    assert (bind["system_id"], bind["mode"], bind["version"]) == ("motcua", "transceiver", "0x34")
    assert unbind["unanswered"] == 0
