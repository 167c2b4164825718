"""Traces of a daemon's binds: by the setting, and by ``motcua-gateway trace`` through the socket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import yaml
from link_rig import Line
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from gateway.app.trace_socket import TraceSocket
from gateway.app.tracing import RotatingFile, Tracing, registry_of
from gateway.settings import BindSettings, parse_settings
from gateway.smpp.pcap import FILE_HEADER
from gateway.smpp.pdu import SubmitSm
from gateway.smpp.trace import Traced

SUBMIT = SubmitSm(source_addr="MotcuaSMS", destination_addr="84905123456", short_message=b"Ho so da co ket qua")


def configuration(tmp_path: Path, **bind: Any) -> dict[str, Any]:
    base = {"name": "line", "host": "127.0.0.1", "system_id": "motcua", "password": "hushhush"}
    return {"trace_socket": str(tmp_path / "t.sock"), "operators": {"one": {"binds": [{**base, **bind}]}}}


class Traced_:
    """A bind with its tracing."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.settings = parse_settings(values)
        self.tracing = Tracing(self.settings, lambda: 1_763_784_271.25)
        self.socket = TraceSocket(reactor, self.tracing, self.settings.trace_socket)
        self.line = Line(self.tracing.watch)

    @pytest_twisted.inlineCallbacks
    def bind(self) -> Any:
        port, smsc = yield self.line.smsc()
        values = self.settings.operators["one"].binds[0].model_dump(exclude={"port", "tls", "listen", "trace"})
        client = self.line.bind(**values, port=port)
        yield self.line.until("bound")
        return client, smsc

    @pytest_twisted.inlineCallbacks
    def close(self) -> Any:
        yield self.line.close()
        yield self.socket.stop()
        self.tracing.close()


@pytest.fixture
def open_things() -> Iterator[list[Traced_]]:
    things: list[Traced_] = []
    yield things
    for thing in things:
        pytest_twisted.blockon(thing.close())


def soon() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    reactor.callLater(0.01, done.callback, None)  # type: ignore[attr-defined]
    return done


@pytest_twisted.inlineCallbacks
def until(look: Any) -> Any:
    for _ in range(2000):
        if look():
            return
        yield soon()
    raise AssertionError("it never came")


@pytest_twisted.inlineCallbacks
def test_the_setting_writes_lines_and_a_capture(open_things: list[Traced_], tmp_path: Path) -> Any:
    lines, pcap = tmp_path / "deep" / "line.log", tmp_path / "line.pcap"
    made = Traced_(configuration(tmp_path, trace={"file": str(lines), "pcap": str(pcap)}))
    open_things.append(made)
    client, _smsc = yield made.bind()
    client.submit(SUBMIT, None)
    yield until(lambda: "submit_sm_resp" in lines.read_text())
    text = lines.read_text()
    assert "2025-11-22T11:04:31.250000+07:00 #1 > bind_transceiver seq=1 system_id=motcua password=********" in text
    assert (
        '#1 > submit_sm seq=2 source_addr=0/0/MotcuaSMS destination_addr=0/0/84905***456 "Ho so da co ket qua"' in text
    )
    assert "#1 < submit_sm_resp seq=2 ESME_ROK message_id=3f6a" in text
    octets = pcap.read_bytes()
    assert octets.startswith(FILE_HEADER)
    assert b"hushhush" not in octets
    assert b"84905123456" not in octets
    assert lines.stat().st_mode & 0o777 == 0o600


@pytest_twisted.inlineCallbacks
def test_full_shows_numbers_and_still_no_password(open_things: list[Traced_], tmp_path: Path) -> Any:
    lines = tmp_path / "line.log"
    made = Traced_(configuration(tmp_path, trace={"file": str(lines), "full": True}))
    open_things.append(made)
    client, _smsc = yield made.bind()
    client.submit(SUBMIT, None)
    yield until(lambda: "84905123456" in lines.read_text())
    assert "hushhush" not in lines.read_text()


@pytest_twisted.inlineCallbacks
def test_a_connection_that_nobody_traces_has_no_tap(open_things: list[Traced_], tmp_path: Path) -> Any:
    made = Traced_(configuration(tmp_path))
    open_things.append(made)
    client, _smsc = yield made.bind()
    assert client._protocol.tap is None
    seen: list[Traced] = []
    made.tracing.add("line", seen.append)
    client.submit(SUBMIT, None)
    yield until(lambda: len(seen) == 2)
    assert [one.sent for one in seen] == [True, False]
    made.tracing.remove("line", seen.append)
    assert client._protocol.tap is None


@pytest_twisted.inlineCallbacks
def test_a_trace_that_fails_ends_and_the_link_stays(open_things: list[Traced_], tmp_path: Path) -> Any:
    made = Traced_(configuration(tmp_path))
    open_things.append(made)
    client, _smsc = yield made.bind()

    def full_disk(_traced: Traced) -> None:
        raise OSError("no space left on device")

    made.tracing.add("line", full_disk)
    client.submit(SUBMIT, None)
    yield until(lambda: client._protocol.tap is None)
    assert client.bound


@pytest_twisted.inlineCallbacks
def test_a_look_that_begins_inside_a_pdu_waits_for_the_next_one(open_things: list[Traced_], tmp_path: Path) -> Any:
    made = Traced_(configuration(tmp_path))
    open_things.append(made)
    _client, smsc = yield made.bind()
    enquire = bytes.fromhex("00000010 00000015 00000000 00000009")
    smsc.sessions[-1].write_raw(enquire[:10])
    yield soon()
    seen: list[Traced] = []
    made.tracing.add("line", seen.append)
    smsc.sessions[-1].write_raw(enquire[10:])
    yield until(lambda: seen)
    smsc.sessions[-1].write_raw(enquire)
    yield until(lambda: len(seen) == 3)
    assert [(one.sent, one.octets[4:8].hex()) for one in seen] == [
        (True, "80000015"),  # the answer to the one of which we missed the beginning
        (False, "00000015"),
        (True, "80000015"),
    ]


# The command


def start_command(tmp_path: Path, values: dict[str, Any], *options: str) -> subprocess.Popen[str]:
    config = tmp_path / "gateway.yaml"
    config.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-c", "from gateway.cli import main; main()", "trace", *options, "--config", str(config)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest_twisted.inlineCallbacks
def test_the_command_looks_at_the_running_daemon(open_things: list[Traced_], tmp_path: Path) -> Any:
    values = configuration(tmp_path)
    made = Traced_(values)
    open_things.append(made)
    yield made.socket.start()
    assert Path(values["trace_socket"]).stat().st_mode & 0o777 == 0o600
    client, _smsc = yield made.bind()
    pcap = tmp_path / "out.pcap"
    command = start_command(tmp_path, values, "line", "--pcap", str(pcap))
    yield until(lambda: client._protocol.tap is not None)
    client.submit(SUBMIT, None)
    yield until(lambda: pcap.stat().st_size > len(FILE_HEADER) + 150)
    yield made.socket.stop()
    out, err = yield deferToThread(command.communicate, timeout=60)
    assert command.returncode == 0, err
    assert "> submit_sm seq=2" in out
    assert "< submit_sm_resp seq=2 ESME_ROK message_id=3f6a" in out
    assert "84905***456" in out
    assert "looking at line" in err
    assert "the daemon ended the trace" in err
    assert client.bound


@pytest_twisted.inlineCallbacks
def test_seconds_end_it_and_full_shows_numbers(open_things: list[Traced_], tmp_path: Path) -> Any:
    values = configuration(tmp_path)
    made = Traced_(values)
    open_things.append(made)
    yield made.socket.start()
    client, _smsc = yield made.bind()
    command = start_command(tmp_path, values, "line", "--full", "--seconds", "1")
    yield until(lambda: client._protocol.tap is not None)
    client.submit(SUBMIT, None)
    out, err = yield deferToThread(command.communicate, timeout=60)
    assert (command.returncode, "84905123456" in out) == (0, True), err
    yield until(lambda: client._protocol.tap is None)


@pytest.mark.parametrize(
    ("bind", "words"), [("line", "no daemon answers at"), ("other", "there is no bind 'other'; there are line")]
)
def test_the_command_says_what_is_wrong(tmp_path: Path, bind: str, words: str) -> None:
    command = start_command(tmp_path, configuration(tmp_path), bind)
    _out, err = command.communicate(timeout=60)
    assert command.returncode == 1
    assert words in err


@pytest_twisted.inlineCallbacks
def test_the_socket_answers_nonsense_with_an_error(open_things: list[Traced_], tmp_path: Path) -> Any:
    made = Traced_(configuration(tmp_path))
    open_things.append(made)
    yield made.socket.start()

    def ask() -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(20)
            line.connect(str(tmp_path / "t.sock"))
            line.sendall(b"GET / HTTP/1.1\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
            return answer

    answer = yield deferToThread(ask)
    assert answer == {"error": "there is no bind ''", "binds": ["line"]}


@pytest_twisted.inlineCallbacks
def test_a_second_daemon_on_the_same_socket_does_without(open_things: list[Traced_], tmp_path: Path) -> Any:
    for _ in range(2):
        made = Traced_(configuration(tmp_path))
        open_things.append(made)
        yield made.socket.start()
    assert [thing.socket._port is not None for thing in open_things] == [True, False]


# Files and names


def test_files_rotate_at_whole_records_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "t.pcap"
    file = RotatingFile(path, 100, 2, header=b"head")
    for number in range(10):
        file.write(bytes([48 + number]) * 40)
    file.close()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["t.pcap", "t.pcap.1", "t.pcap.2"]
    assert [(tmp_path / name).read_bytes()[:5] for name in names] == [b"head8", b"head6", b"head4"]
    assert all(len((tmp_path / name).read_bytes()) <= 100 for name in names)


def test_a_file_is_continued_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        file = RotatingFile(tmp_path / "t", 1000, 2, header=b"head")
        file.write(b"x")
        file.close()
    assert (tmp_path / "t").read_bytes() == b"headxx"


def test_c14_names_of_the_bind_come_first_where_two_vendors_share_a_tag(tmp_path: Path) -> None:
    values = configuration(tmp_path, tlvs={"b_price": 5})
    values["vendor_tlvs"] = [
        {"name": "a_price", "tag": 0x1401, "type": "integer"},
        {"name": "b_price", "tag": 0x1401, "type": "integer"},
    ]
    settings = parse_settings(values)
    bind: BindSettings = settings.operators["one"].binds[0]
    assert registry_of(settings, bind).name(0x1401) == "b_price"
