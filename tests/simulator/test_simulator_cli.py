"""The command line and the control interface, against a simulator in its own process."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocking_esme import BlockingEsme
from simulator_process import Running, run, running

from gateway.smpp.pdu import BindTransceiver, DeliverSmResp, Pdu, SubmitSm
from simulator.errors import SimulatorError

CONFIGURATION = """
accounts:
  viettel:
    port: 0
    system_id: motcua
    password: secret
    prefixes: [8496]
    receipts: {delay: 0.05}
    mo: {retry: 0.05}
    charging: {decision_tlv: {tag: 0x1401}, link_tlv: {tag: 0x1402}, balances: {84961111111: 0}}
  mobifone: {port: 0, prefixes: [8490]}
"""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("cli"), CONFIGURATION) as one:
        yield one


@pytest.fixture
def esme(simulator: Running) -> Iterator[BlockingEsme]:
    esme = BlockingEsme(simulator.ports["viettel"])
    assert esme.ask(BindTransceiver(system_id="motcua", password="secret")).command_status == 0
    yield esme
    esme.close()


def test_it_starts_with_no_configuration_says_what_to_do_and_ends_at_sigterm(tmp_path: Path) -> None:
    import signal
    import subprocess

    from simulator_process import COMMAND

    with subprocess.Popen(
        [*COMMAND, "run", "--port", "0", "--control-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    text = "".join(lines)
    assert "SMSC simulator ready. Seed " in text
    assert "any system_id, any password" in text
    url = next(line.split()[-1] for line in lines if line.strip().startswith("control"))
    assert f"{url}/page\n" in text
    assert f'motcua-simulator mo --control {url} --from 84905123456 --to 8083 "MCKH 0101701234"' in text


def test_mo_inbox_and_status_from_the_command_line(simulator: Running, esme: BlockingEsme) -> None:
    import threading

    pdus: list[Pdu] = []

    def answer() -> None:
        pdus.append(esme.read())
        esme.send(DeliverSmResp(pdus[0].sequence_number))

    thread = threading.Thread(target=answer)
    thread.start()
    done = simulator.command("mo", "--from", "0965 123 456", "--to", "8083", "MCKH 0101701234")
    thread.join(20)
    assert done.returncode == 0, done.stderr
    assert "84965123456 → 8083 by viettel: ESME_ROK after" in done.stdout
    assert pdus[0].short_message == b"MCKH 0101701234"  # type: ignore[union-attr]

    submit = SubmitSm(source_addr="8083", destination_addr="84965123456", short_message=b"Dung han")
    assert esme.ask(submit).command_status == 0x0407  # nobody's MO: the charge fails
    assert esme.ask(submit._replace(source_addr="MotcuaSMS")).command_status == 0
    until(lambda: simulator.json("inbox", "0965123456")["messages"])
    shown = simulator.command("inbox", "84965123456").stdout
    assert "84965123456: 1 message" in shown
    assert "MotcuaSMS  by viettel\n    Dung han" in shown
    status = simulator.json("status")
    viettel = next(account for account in status["accounts"] if account["account"] == "viettel")
    assert viettel["binds"][0]["mode"] == "transceiver"
    assert viettel["counters"]["accepted"] >= 1
    assert "bound  transceiver  motcua" in simulator.command("status").stdout


def until(condition: object, limit_s: float = 20.0) -> None:
    """Ask until it is so; the process asked has its own clock."""
    import time

    end = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it never became so"


def test_an_mo_that_nobody_takes_is_kept_and_may_be_asked_for(simulator: Running) -> None:
    done = simulator.command("mo", "--from", "84905123456", "--to", "8083", "--wait", "0.05", "MCKH 1")
    assert done.returncode == 3
    assert "no answer yet; kept" in done.stdout
    answer = simulator.json("mo", "--from", "84905123456", "--to", "8083", "--wait", "0", "MCKH 2")
    assert (answer["state"], answer["account"]) == ("kept", "mobifone")
    assert simulator.client.get("mo", str(answer["id"]))["state"] == "kept"


def test_faults_from_the_command_line(simulator: Running, esme: BlockingEsme) -> None:
    submit = SubmitSm(source_addr="MotcuaSMS", destination_addr="84965123456", short_message=b"x")
    assert (
        "viettel: throttle, sessions now 1"
        in simulator.command("fault", "viettel", "throttle", "--seconds", "60").stdout
    )
    assert esme.ask(submit).command_status == 0x58
    assert "FAULT throttle" in simulator.command("status").stdout
    assert simulator.command("fault", "all", "clear").stdout == "cleared: viettel, mobifone\n"
    assert esme.ask(submit).command_status == 0
    simulator.command("fault", "viettel", "status", "--status", "ESME_RINVDSTADR", "--count", "1")
    assert esme.ask(submit).command_status == 0x0B
    assert simulator.json("fault", "viettel", "cut")["accounts"] == {"viettel": {"sessions": 1}}
    assert esme.closed()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fault", "nobody", "cut"], "there is no account 'nobody'. It is one of: viettel, mobifone"),
        (["fault", "viettel", "cut", "--seconds", "3"], "'cut' happens at once"),
        (["fault", "viettel", "status"], "needs a status other than ESME_ROK"),
        (["mo", "--from", "abc", "--to", "8083", "x"], "'abc' is not a telephone number"),
        (["balance", "mobifone", "84905123456", "5"], "Give the account a section 'charging'"),
    ],
)
def test_a_refused_command_says_why(simulator: Running, words: list[str], expected: str) -> None:
    done = simulator.command(*words)
    assert done.returncode == 1
    assert expected in done.stderr


def test_balances_and_the_operators_books(simulator: Running) -> None:
    assert simulator.json("balance", "viettel", "0962222222", "700") == {"phone": "84962222222", "balance_vnd": 700}
    books = simulator.json("charging")["accounts"]
    assert set(books) == {"viettel"}
    assert books["viettel"]["balances"] == {"84961111111": 0, "84962222222": 700}


def test_the_record_by_pages_and_by_kind(simulator: Running, esme: BlockingEsme) -> None:
    del esme
    lines = [json.loads(line) for line in simulator.command("record", "--event", "bind").stdout.splitlines()]
    assert lines
    assert {line["event"] for line in lines} == {"bind"}
    page = simulator.client.get("record", after=lines[-1]["n"] - 1, limit=1)
    assert [entry["n"] for entry in page["entries"]] == [lines[-1]["n"]] == [page["next"]]


def status_of(simulator: Running, method: str, path: str, body: bytes | None, content_type: str) -> tuple[int, str]:
    request = urllib.request.Request(simulator.url + path, body, {"Content-Type": content_type}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "code", "expected"),
    [
        ("GET", "/", None, "", 200, "POST   /mo"),
        ("GET", "/nothing", None, "", 404, "GET / lists the paths"),
        ("PUT", "/status", None, "", 404, "there is nothing here"),
        ("POST", "/mo", b"{}", "text/plain", 400, "Send the body as application/json"),
        ("POST", "/mo", b"{", "application/json", 400, "is not JSON"),
        ("POST", "/mo", b"[]", "application/json", 400, "is not a JSON object"),
        ("POST", "/mo", b'{"from": "84905123456", "tekst": 1}', "application/json", 400, "tekst: Extra inputs"),
        ("GET", "/mo/999999", None, "", 400, "there is no MO 999999"),
        ("GET", "/record?after=x", None, "", 400, "'x' is not a number"),
        ("GET", "/inbox/84909999999", None, "", 200, '"messages": []'),
    ],
)
def test_the_control_interface_answers_in_json_with_remedies(
    simulator: Running, method: str, path: str, body: bytes | None, content_type: str, code: int, expected: str
) -> None:
    got, text = status_of(simulator, method, path, body, content_type)
    assert (got, expected in text) == (code, True), text


def test_a_port_that_is_taken_is_named(simulator: Running) -> None:
    taken = simulator.ports["viettel"]
    done = run("run", "--port", str(taken), "--control-port", "0")
    assert done.returncode == 1
    assert f"accounts.any.port: cannot listen on 127.0.0.1:{taken} (Address already in use)" in done.stderr
    assert "choose another port with --port" in done.stderr


def test_bad_configuration_is_told_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("accounts: {a: {tsp: 1, port: x}}\n", encoding="utf-8")
    done = run("run", "--config", str(path))
    assert done.returncode == 2
    assert "accounts.a.tsp: unknown key" in done.stderr
    assert "accounts.a.port:" in done.stderr
    assert "Traceback" not in done.stderr


def test_port_is_for_one_account(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(CONFIGURATION, encoding="utf-8")
    done = run("run", "--config", str(path), "--port", "0")
    assert done.returncode == 2
    assert "the configuration has 2" in done.stderr


def test_without_a_simulator_the_commands_say_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = run("status", "--control", f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert done.returncode == 1
    assert "Start it with 'motcua-simulator run'" in done.stderr


def test_the_record_is_complete_when_the_process_ends(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    with running(tmp_path, None, "--record", str(record)) as one:
        esme = BlockingEsme(one.ports["any"])
        esme.ask(BindTransceiver(system_id="a", password="b"))
        for _ in range(50):
            esme.ask(SubmitSm(destination_addr="84905123456", short_message=b"x"))
        assert one.stop() == 0
        esme.close()
    events = [json.loads(line)["event"] for line in record.read_text(encoding="utf-8").splitlines()]
    assert events.count("submit") == 50


def test_the_client_tells_what_is_no_simulator(simulator: Running) -> None:
    from simulator.control_client import ControlClient

    with pytest.raises(SimulatorError, match="there is nothing here"):
        ControlClient(simulator.url).get("nothing")
