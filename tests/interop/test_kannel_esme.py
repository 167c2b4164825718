"""The simulator against Kannel 1.4.5's bearerbox as ESME, bound as 3.3 and as 3.4, with its smsbox and an application behind. Row S1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kannel_peer import Kannel, kannel
from simulator_process import Running, running
from wire_tap import SeenPdu, WireTap, wire_tap

from gateway.smpp.constants import CommandId

pytestmark = [pytest.mark.peer("kannel"), pytest.mark.peer("tshark")]

HANDSET = "84905123456"
UNREACHABLE = "84912123456"
SIMULATOR = """
accounts:
  acc:
    port: 0
    system_id: motcua
    password: secret
    versions: [{version}]
    message_ids: {{form: hex}}
    receipts:
      form: {form}
      id_form: decimal
      delay: 0.05
      rules: [{{destination: "^84912", state: UNDELIV, error: "034"}}]
"""
#: bit 1: ids of submit_sm_resp are hexadecimal; bit 2 not set: those of receipts are decimal.
SMSC = """
group = smsc
smsc = smpp
smsc-id = operator
host = 127.0.0.1
smsc-username = motcua
smsc-password = secret
system-type = ""
interface-version = {version}
msg-id-type = 0x01
reconnect-delay = 1
enquire-link-interval = 1
source-addr-ton = 5
source-addr-npi = 0
{link}
"""
ANSWER = ("Hồ sơ 0101701234 của ông/bà đã có kết quả. " * 3).strip()
#: What Kannel complains of because a test wanted it: throttling, and a link that is cut.
ORDERED = ("Throttling error", "Couldn't connect to SMS center", "Error reading from", "I/O error")
CITIZEN_ASKS = "Cho hỏi hồ sơ 0101701234 " * 6


class Bench:
    """The simulator, Kannel in front of it, and a tap between."""

    def __init__(self, simulator: Running, tap: WireTap, peer: Kannel) -> None:
        self.simulator = simulator
        self.tap = tap
        self.kannel = peer

    def texts(self, number: str) -> list[str]:
        return [message["text"] for message in self.simulator.client.get("inbox", number)["messages"]]

    def delivery_report(self, number: str, kind: str) -> str:
        """The receipt that Kannel matched to the message: its text."""
        call = self.kannel.application.wait(
            f"delivery report {kind} for {number}",
            lambda call: call.path == "/dlr" and call.query["to"] == number and call.query["type"] == kind,
        )
        return call.query["receipt"]


@pytest.fixture(scope="module", params=[33, 34], ids=["version-33", "version-34"])
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def bench(version: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """At 3.3 a transmitter and a receiver, which is all that 3.3 has; at 3.4 one transceiver."""
    folder = tmp_path_factory.mktemp(f"kannel{version}")
    configuration = SIMULATOR.format(version=f"0x{version}", form="text" if version == 33 else "both")
    with running(folder, configuration) as simulator, wire_tap(simulator.ports["acc"]) as tap:
        links = ["port = {}", "receive-port = {}"] if version == 33 else ["transceiver-mode = true\nport = {}"]
        groups = "".join(SMSC.format(version=version, link=link.format(tap.port)) for link in links)
        with kannel(folder, groups, ANSWER) as peer:
            one = Bench(simulator, tap, peer)
            peer.until("Kannel is bound", lambda: len(bound(one)) == (2 if version == 33 else 1))
            yield one
        judge(tap.dissect(folder), version)
        complaints = [line for line in peer.log().splitlines() if " ERROR: " in line or " PANIC: " in line]
        assert not [line for line in complaints if not any(reason in line for reason in ORDERED)]


def bound(bench: Bench) -> list[tuple[str, str]]:
    [account] = bench.simulator.client.get("status")["accounts"]
    return sorted((bind["mode"], bind["version"]) for bind in account["binds"] if bind["state"] == "bound")


def counters(bench: Bench) -> dict[str, Any]:
    [account] = bench.simulator.client.get("status")["accounts"]
    found: dict[str, Any] = account["counters"]
    return found


def judge(seen: list[SeenPdu], version: int) -> None:
    """What tshark saw of the whole module: nothing malformed (else it had failed before), all kinds, no TLVs at 3.3."""
    kinds = {pdu.command_id for pdu in seen}
    binds = {CommandId.BIND_TRANSMITTER, CommandId.BIND_RECEIVER} if version == 33 else {CommandId.BIND_TRANSCEIVER}
    assert kinds >= binds | {CommandId.SUBMIT_SM, CommandId.DELIVER_SM, CommandId.ENQUIRE_LINK, CommandId.UNBIND}
    assert kinds >= {kind | 0x80000000 for kind in kinds if kind < 0x80000000}
    if version == 33:
        assert not [pdu for pdu in seen if pdu.tlv_tags]
    else:
        assert [pdu for pdu in seen if pdu.command_id == CommandId.DELIVER_SM and pdu.tlv_tags]


def test_kannel_binds_as_it_is_told(bench: Bench, version: int) -> None:
    expected = [("receiver", "0x33"), ("transmitter", "0x33")] if version == 33 else [("transceiver", "0x34")]
    assert bound(bench) == expected


def test_a_text_and_its_receipt(bench: Bench) -> None:
    bench.kannel.send(HANDSET, "Ho so da co ket qua")
    receipt = bench.delivery_report(HANDSET, "1")
    assert "stat:DELIVRD err:000 text:Ho so da co ket qua" in receipt
    assert "Ho so da co ket qua" in bench.texts(HANDSET)
    # Hexadecimal in the response, decimal in the receipt: Kannel had to find its own message by that.
    assert receipt.partition(" ")[0].removeprefix("id:").isdigit()
    assert "DLR[internal]: created DLR message" in bench.kannel.log()


def test_a_receipt_of_failure(bench: Bench) -> None:
    bench.kannel.send(UNREACHABLE, "Ho so da co ket qua")
    assert "stat:UNDELIV err:034" in bench.delivery_report(UNREACHABLE, "2")
    assert bench.texts(UNREACHABLE) == []


def test_a_long_unicode_text(bench: Bench) -> None:
    number = "84905000001"
    text = "Hồ sơ 0101701234 của ông/bà đã có kết quả. " * 5
    bench.kannel.send(number, text, coding="2")
    bench.delivery_report(number, "1")
    assert bench.texts(number) == [text]


def test_a_query_and_its_answer(bench: Bench) -> None:
    number = "84905000002"
    sent = bench.simulator.client.post("mo", body={"from": number, "to": "8083", "text": "MCKH 0101701234 €"})
    assert (sent["state"], sent["parts"][0]["status"]) == ("delivered", 0)
    call = bench.kannel.application.wait("the query", lambda call: call.query.get("from", "").endswith(number))
    assert (call.query["text"], call.query["to"]) == ("MCKH 0101701234 €", "8083")
    bench.kannel.until("the answer is on the handset", lambda: bench.texts(number) == [ANSWER])


def test_a_long_unicode_query(bench: Bench) -> None:
    number = "84905000003"
    sent = bench.simulator.client.post("mo", body={"from": number, "to": "8083", "text": CITIZEN_ASKS})
    assert (sent["state"], len(sent["parts"])) == ("delivered", 3)
    call = bench.kannel.application.wait("the long query", lambda call: call.query.get("from", "").endswith(number))
    assert call.query["text"] == CITIZEN_ASKS.strip()  # smsbox strips


def test_throttled_texts_are_sent_again(bench: Bench) -> None:
    number = "84905000004"
    bench.simulator.client.post("fault", "acc", body={"fault": "throttle", "count": 1})
    bench.kannel.send(number, "MOT")
    bench.delivery_report(number, "1")
    assert bench.texts(number) == ["MOT"]
    assert counters(bench)["refused"] == {"ESME_RTHROTTLED": 1}


def test_a_lost_link_is_made_again(bench: Bench, version: int) -> None:
    wanted = 2 if version == 33 else 1
    before = counters(bench)["binds"]
    bench.simulator.client.post("fault", "acc", body={"fault": "cut"})
    bench.kannel.until("Kannel binds again", lambda: counters(bench)["binds"] == before + wanted)
    bench.kannel.send("84905000005", "HAI")
    bench.delivery_report("84905000005", "1")
