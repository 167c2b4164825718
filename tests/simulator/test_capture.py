"""Captures: what Wireshark reads of them, the log, masking, accounts, limits; started by settings and at run time."""

from __future__ import annotations

import json
import shutil
import stat
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from control_rig import Client
from simulator_process import running
from simulator_rig import HANDSET, Rig

from gateway.smpp.pdu import Tlv
from simulator.errors import SimulatorError


def packets(path: Path) -> list[bytes]:
    """The TCP payloads of a pcap of raw IPv4 packets."""
    octets = path.read_bytes()
    assert struct.unpack_from("<I", octets) == (0xA1B2C3D4,)
    found, position = [], 24
    while position < len(octets):
        (size,) = struct.unpack_from("<I", octets, position + 8)
        packet = octets[position + 16 : position + 16 + size]
        found.append(packet[40:])
        position += 16 + size
    return found


def commands(path: Path) -> list[int]:
    return [int.from_bytes(payload[4:8], "big") for payload in packets(path)]


def test_everything_from_the_bind_on_is_in_both_files(tmp_path: Path) -> None:
    rig = Rig({"capture": {"pcap": str(tmp_path / "a.pcap"), "log": str(tmp_path / "a.log")}}, password="secret")
    esme = rig.bound(system_id="motcua", password="secret")
    esme.submitted(f"goi {HANDSET} nhe".encode())
    rig.advance(2)
    rig.simulator.stop()
    assert commands(tmp_path / "a.pcap") == [9, 0x80000009, 4, 0x80000004, 5, 0x80000005]
    lines = (tmp_path / "a.log").read_text(encoding="utf-8").splitlines()
    assert [line.split()[4] for line in lines] == [
        "bind_transceiver",
        "bind_transceiver_resp",
        "submit_sm",
        "submit_sm_resp",
        "deliver_sm",
        "deliver_sm_resp",
    ]
    assert [line.split()[3] for line in lines] == ["<", ">", "<", ">", ">", "<"]
    assert lines[2].startswith("2026-01-05T15:00:00.000000+07:00 acc #1 < submit_sm")
    for octets in ((tmp_path / "a.log").read_bytes(), b"".join(packets(tmp_path / "a.pcap"))):
        assert HANDSET.encode() not in octets
        assert b"secret" not in octets
        assert b"84905***456" in octets
    assert stat.S_IMODE((tmp_path / "a.pcap").stat().st_mode) == 0o600


def test_in_full_when_asked(tmp_path: Path) -> None:
    rig = Rig({"capture": {"log": str(tmp_path / "a.log"), "full": True}})
    rig.bound(password="secret").submitted()
    rig.simulator.stop()
    text = (tmp_path / "a.log").read_text(encoding="utf-8")
    assert HANDSET in text
    assert "secret" in text


def test_an_account_has_its_own_connections_from_their_bind_on(tmp_path: Path) -> None:
    accounts = {
        "one": {"port": 2775, "system_id": "one", "capture": {"log": str(tmp_path / "one.log")}},
        "two": {"port": 2775, "system_id": "two"},
    }
    rig = Rig({"accounts": accounts, "capture": {"log": str(tmp_path / "all.log")}})
    for system_id in ("two", "one"):
        rig.bound(system_id=system_id).submitted()
    rig.simulator.stop()
    assert len((tmp_path / "all.log").read_text(encoding="utf-8").splitlines()) == 8
    own = (tmp_path / "one.log").read_text(encoding="utf-8").splitlines()
    assert [line.split()[4] for line in own] == [
        "bind_transceiver",
        "bind_transceiver_resp",
        "submit_sm",
        "submit_sm_resp",
    ]
    assert all("#2" in line for line in own)


def test_garbage_is_captured_as_it_is(tmp_path: Path) -> None:
    rig = Rig({"capture": {"log": str(tmp_path / "a.log")}})
    esme = rig.bound()
    esme.write(b"\x00\x00\x00\x03what")
    rig.simulator.stop()
    lines = (tmp_path / "a.log").read_text(encoding="utf-8").splitlines()
    assert lines[2].endswith("acc #1 < no PDU: 00 00 00 03 77 68 61 74")
    assert "acc #1 > generic_nack" in lines[3]


def test_files_turn_over_at_their_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    rig = Rig({"capture": {"pcap": str(path), "rotate_octets": 10_000, "keep": 2}})
    esme = rig.bound()
    for _ in range(200):
        esme.submitted(b"x" * 100)
    rig.simulator.stop()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.pcap", "a.pcap.1", "a.pcap.2"]
    sizes = [file.stat().st_size for file in (path, path.with_name("a.pcap.1"), path.with_name("a.pcap.2"))]
    assert all(size <= 10_000 for size in sizes)
    assert sizes[1] > 9_000
    numbers = [
        int.from_bytes(payload[12:16], "big")
        for name in ("a.pcap.2", "a.pcap.1", "a.pcap")
        for payload in packets(tmp_path / name)
    ]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 201  # the newest are here


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="cannot be written"):
        Rig({"capture": {"pcap": str(tmp_path)}})


class _Full:
    """A disk without room."""

    def write(self, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_a_full_disk_ends_the_capture_and_nothing_else(tmp_path: Path) -> None:
    rig = Rig({"capture": {"log": str(tmp_path / "a.log")}})
    esme = rig.bound()
    captures = rig.simulator.world.captures
    recording = captures.running[1]
    files: Any = recording
    files._log = _Full()
    assert esme.submitted().command_status == 0
    assert captures.running == {}
    assert recording.failed == "No space left on device"
    assert esme.submitted().command_status == 0


def test_started_and_stopped_over_http(tmp_path: Path) -> None:
    rig = Rig()
    client = Client(rig)
    esme = rig.bound()
    assert client.get("/capture").json == {"captures": []}
    path, log = tmp_path / "a.pcap", tmp_path / "a.log"
    begun = client.post("/capture", {"pcap": str(path), "log": str(log), "account": "acc"}).json
    assert (begun["id"], begun["account"], begun["full"], begun["pdus"]) == (1, "acc", False, 0)
    esme.submitted()
    assert client.get("/capture").json["captures"][0]["pdus"] == 2
    again = client.post("/capture", {"pcap": str(path)})
    assert again.code == 400
    assert "is there already" in again.json["error"]["what"]
    assert client.ask("DELETE", "/capture/1").json["pdus"] == 2
    assert commands(path) == [4, 0x80000004]
    esme.submitted()
    assert len(log.read_text(encoding="utf-8").splitlines()) == 2
    assert client.ask("DELETE", "/capture/1").code == 400
    assert client.post("/capture", {}).code == 400
    assert client.post("/capture", {"log": str(tmp_path / "b"), "account": "nobody"}).code == 400
    assert client.post("/capture", {"log": str(tmp_path / "no" / "\0")}).code == 400


def test_without_a_ring_a_capture_sees_later_connections(tmp_path: Path) -> None:
    rig = Rig({"control": {"pdu_entries": 0}})
    client = Client(rig)
    rig.bound().submitted()
    client.post("/capture", {"pcap": str(tmp_path / "a.pcap")})
    rig.bound().submitted()
    rig.simulator.stop()
    assert commands(tmp_path / "a.pcap") == [9, 0x80000009, 4, 0x80000004]
    assert rig.simulator.world.pdus.count == 0


def test_the_file_is_there_before_the_end(tmp_path: Path) -> None:
    rig = Rig({"capture": {"pcap": str(tmp_path / "a.pcap")}})
    rig.bound().submitted()
    rig.advance(1)
    assert commands(tmp_path / "a.pcap")[:4] == [9, 0x80000009, 4, 0x80000004]


@pytest.mark.peer("tshark")
def test_tshark_reads_every_pdu_and_finds_nothing_malformed(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (apt-get install tshark)")
    path = tmp_path / "a.pcap"
    rig = Rig({"capture": {"pcap": str(path)}}, receipts={"form": "both"})
    esme = rig.bound(system_id="motcua")
    esme.submitted("Hồ sơ đã có kết quả".encode("utf-16-be"), data_coding=8, tlvs=(Tlv(0x0204, b"\x00\x07"),))
    Client(rig).post("/mo", {"from": HANDSET, "to": "8083", "text": "MCKH 0101701234 " * 20, "wait_s": 0})
    rig.advance(2)
    esme.lose()
    rig.simulator.stop()
    fields = ["-e", "smpp.command_id", "-e", "_ws.malformed", "-e", "_ws.expert.severity", "-e", "tcp.checksum.status"]
    ports = ["-d", "tcp.port==12345,smpp", "-d", "tcp.port==50000,smpp"]
    done = subprocess.run(
        [tshark, "-r", str(path), *ports, "-T", "json", *fields, "-o", "tcp.check_checksum:TRUE"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    layers = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    found = [int(number, 16) for layer in layers for number in layer.get("smpp.command_id", [])]
    assert found == commands(path)
    assert found.count(5) == 4  # a receipt and three parts of the MO
    assert not [layer for layer in layers if "_ws.malformed" in layer]
    assert {layer["tcp.checksum.status"][0] for layer in layers} == {"1"}


def test_the_command_line_captures_and_a_run_may_begin_with_it(tmp_path: Path) -> None:
    first = tmp_path / "all.pcap"
    with running(tmp_path, None, "--capture", str(first), "--capture-log", str(tmp_path / "all.log")) as simulator:
        begun = simulator.json("capture", "start", "--log", str(tmp_path / "later.log"), "--full")
        assert begun["id"] == 2
        listed = simulator.command("capture", "list").stdout
        assert "capture 1 of all accounts: 0 PDUs, numbers masked" in listed
        assert "capture 2 of all accounts: 0 PDUs, numbers and passwords in full" in listed
        assert simulator.command("capture", "start").returncode == 2
        assert simulator.json("capture", "stop", "2")["pdus"] == 0
        assert simulator.command("capture", "stop", "2").returncode == 1
        assert simulator.stop() == 0
    assert packets(first) == []
