"""The control interface: its description holds for its routes and its answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from control_rig import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families
from simulator_rig import HANDSET, Rig

from gateway.smpp.pdu import BindReceiver, SubmitSm, Tlv, make_tlv, tlv
from simulator.behaviours.faults import FaultKind
from simulator.control import Control
from simulator.control_requests import BalanceBody, FaultBody, MoBody
from simulator.control_routes import ROUTES
from simulator.openapi import DESCRIPTION

CHARGING = {"decision_tlv": {"tag": 0x1401}, "link_tlv": {"tag": 0x1402}, "balances": {"84961111111": 0}}


@pytest.fixture
def rig() -> Rig:
    return Rig(charging=CHARGING, receipts={"delay": 0.1})


@pytest.fixture
def client(rig: Rig) -> Client:
    return Client(rig)


def busy(rig: Rig, client: Client) -> None:
    """Something of everything: messages, long and refused ones, receipts, a fault, garbage, MO with an answer and without."""
    esme = rig.bound()
    mo = client.post("/mo", {"from": HANDSET, "to": "8083", "text": "MCKH 1", "wait_s": 0}).json
    esme.read()
    decision = (Tlv(0x1401, b"1\0"), Tlv(0x1402, mo["parts"][0]["message_id"].encode() + b"\0"))
    assert esme.submitted(b"Da xong", source_addr="8083", tlvs=decision).command_status == 0
    esme.submitted(b"Da xong", source_addr="8083", tlvs=decision)
    esme.submitted(b"\x05\x00\x03\x01\x02\x01nua", esm_class=0x40)
    client.post("/fault/acc", {"fault": "status", "status": "ESME_RINVDSTADR", "count": 5})
    esme.submitted(b"khong duoc")
    esme.answer_with = 0x66
    client.post("/mo", {"from": HANDSET, "to": "8083", "text": "bị từ chối", "wait_s": 0})
    esme.read()
    esme.answer_with = 0
    rig.advance(1.5)
    lost = rig.esme()
    lost.write(b"\x00\x00\x00\x03garbage")
    esme.lose()
    client.post("/mo", {"from": "84961111111", "to": "8083", "text": "x", "wait_s": 0})


def resolved(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DESCRIPTION["components"]})


def check(client: Client, method: str, template: str, path: str, body: Any = None) -> Any:
    """Ask, and hold the answer against its schema."""
    answer = client.ask(method, path, body)
    assert answer.code == 200, answer.text
    content = DESCRIPTION["paths"][template][method.lower()]["responses"]["200"]["content"]
    schema = content["application/json"]["schema"]
    faults = [f"{error.json_path}: {error.message}" for error in resolved(schema).iter_errors(answer.json)]
    assert faults == []
    return answer.json


def test_the_description_is_openapi() -> None:
    validate(DESCRIPTION)


def test_the_description_has_the_routes_and_no_others() -> None:
    described = {(method.upper(), path) for path, methods in DESCRIPTION["paths"].items() for method in methods}
    assert described == {(route.method, route.template) for route in ROUTES}
    names = [operation["operationId"] for methods in DESCRIPTION["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    for route in ROUTES:
        operation = DESCRIPTION["paths"][route.template][route.method.lower()]
        in_path = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", route.template))
        assert ("requestBody" in operation) == route.has_body
        assert hasattr(Control, f"_{route.handler}")


@pytest.mark.parametrize(
    ("model", "name"), [(MoBody, "MoRequest"), (FaultBody, "FaultRequest"), (BalanceBody, "Balance")]
)
def test_the_described_bodies_are_the_ones_that_are_taken(model: Any, name: str) -> None:
    schema = DESCRIPTION["components"]["schemas"][name]
    fields = {field.alias or key: field for key, field in model.model_fields.items()}
    assert set(schema["properties"]) == set(fields)
    assert set(schema["required"]) == {key for key, field in fields.items() if field.is_required()}


def test_every_answer_is_as_described(rig: Rig, client: Client, tmp_path: Path) -> None:
    busy(rig, client)
    status = check(client, "GET", "/status", "/status")
    assert status["accounts"][0]["faults"][0]["status"] == "ESME_RINVDSTADR"
    rig.bound()
    (bind,) = check(client, "GET", "/status", "/status")["accounts"][0]["binds"]
    assert (bind["mode"], bind["delivers_window"], bind["state"]) == ("transceiver", 500, "bound")
    assert bind["pdus_received"] >= 1
    check(client, "GET", "/history", "/history")
    check(client, "GET", "/openapi.json", "/openapi.json")
    assert check(client, "GET", "/inbox", "/inbox")["handsets"][0]["number"] == HANDSET
    check(client, "GET", "/inbox/{number}", f"/inbox/{HANDSET}")
    assert {one["number"] for one in check(client, "GET", "/handsets", "/handsets")["handsets"]} == {
        HANDSET,
        "84961111111",
    }
    talk = check(client, "GET", "/handsets/{number}", f"/handsets/{HANDSET}")
    assert {message["kind"] for message in talk["messages"]} == {"sent", "received"}
    mo = check(client, "POST", "/mo", "/mo", {"from": "0905123456", "to": "8083", "text": "x", "wait_s": 0})
    assert check(client, "GET", "/mo/{id}", f"/mo/{mo['id']}")["from"] == HANDSET
    kinds = check(client, "GET", "/faults", "/faults")["faults"]
    assert {kind["fault"] for kind in kinds} == {kind.value for kind in FaultKind}
    check(client, "POST", "/fault/{account}", "/fault/all", {"fault": "throttle", "seconds": 3})
    check(client, "DELETE", "/fault/{account}/{fault}", "/fault/acc/throttle")
    check(client, "DELETE", "/fault/{account}", "/fault/all")
    pdus = check(client, "GET", "/pdus", "/pdus?limit=5000")["pdus"]
    for pdu in pdus:
        check(client, "GET", "/pdus/{n}", f"/pdus/{pdu['n']}")
    check(client, "POST", "/capture", "/capture", {"pcap": str(tmp_path / "a.pcap"), "account": "acc"})
    assert len(check(client, "GET", "/capture", "/capture")["captures"]) == 1
    check(client, "DELETE", "/capture/{id}", "/capture/1")
    check(client, "GET", "/record", "/record")
    check(client, "POST", "/record/flush", "/record/flush", {})
    books = check(client, "GET", "/charging", "/charging")["accounts"]["acc"]
    assert [entry["outcome"] for entry in books["entries"]] == ["charged", "charged_before"]
    assert len(check(client, "GET", "/charging", "/charging?limit=1")["accounts"]["acc"]["entries"]) == 1
    body = {"phone": "0961111111", "balance_vnd": 700}
    check(client, "POST", "/charging/{account}/balance", "/charging/acc/balance", body)


def test_a_schema_that_lacks_a_member_would_be_found(rig: Rig, client: Client) -> None:
    status = client.get("/status").json
    status["accounts"][0]["unheard_of"] = 1
    schema = {"$ref": "#/components/schemas/Status"}
    assert not resolved(schema).is_valid(status)


def test_every_refusal_is_as_described(client: Client) -> None:
    schema = resolved({"$ref": "#/components/schemas/Error"})
    for method, path, body, code in [
        ("GET", "/nothing", None, 404),
        ("DELETE", "/status", None, 404),
        ("GET", "/pdus/999", None, 404),
        ("GET", "/pdus/x", None, 400),
        ("GET", "/page/../control.py", None, 404),
        ("GET", "/page/%2e%2e%2fcontrol.py", None, 404),
        ("GET", "/handsets/abc", None, 400),
        ("DELETE", "/fault/acc/nonsense", None, 400),
        ("DELETE", "/fault/nobody", None, 400),
        ("POST", "/mo", {"from": "1"}, 400),
        ("POST", "/mo", b"[" * 100_000, 400),
        ("POST", "/charging/acc/balance", {"phone": HANDSET, "balance_vnd": 10**30}, 400),
        ("GET", "/record?limit=" + "9" * 400, None, 400),
    ]:
        answer = client.ask(method, path, body)
        assert (answer.code, path) == (code, path)
        assert schema.is_valid(answer.json)


def test_the_paths_as_text_and_the_page_for_a_browser(client: Client) -> None:
    text = client.get("/").text
    assert all(route.template in text for route in ROUTES)
    page = client.get("/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body == client.get("/page").body
    etag = client.get("/page/app.js").headers["etag"]
    assert client.get("/page/app.js", If_None_Match=etag).code == 304


def test_raw_tlvs_reach_the_esme(rig: Rig, client: Client) -> None:
    esme = rig.bound()
    tlvs = [{"tag": 0x1501, "value": "0102"}, {"tag": 0x1502}]
    client.post("/mo", {"from": HANDSET, "to": "8083", "text": "x", "tlvs": tlvs, "wait_s": 0})
    esme.read()
    (pdu,) = esme.delivered()
    assert (tlv(pdu, 0x1501), tlv(pdu, 0x1502)) == (b"\x01\x02", b"")


def test_pdus_by_number_command_and_words(rig: Rig, client: Client) -> None:
    esme = rig.bound()
    for text in (b"mot", b"hai", b"ba"):
        esme.submitted(text)
    page = client.get("/pdus?command=submit_sm").json
    assert [pdu["text"] for pdu in page["pdus"]] == ["mot", "hai", "ba"]
    assert [pdu["text"] for pdu in client.get("/pdus?command=submit_sm&limit=2").json["pdus"]] == ["hai", "ba"]
    assert [pdu["text"] for pdu in client.get("/pdus?contains=HAI%20submit_sm").json["pdus"]] == ["hai"]
    assert client.get("/pdus?account=other").json["pdus"] == []
    seen: list[int] = []
    after = 0
    while (page := client.get(f"/pdus?after={after}&limit=3").json)["pdus"]:
        seen += [pdu["n"] for pdu in page["pdus"]]
        after = page["next"]
    assert seen == list(range(1, page["count"] + 1))


def test_one_pdu_in_full(rig: Rig, client: Client) -> None:
    esme = rig.bound()
    text = "Đã có kết quả".encode("utf-16-be")
    reference, vendor = make_tlv(0x0204, 7), Tlv(0x1401, b"charge\0")
    esme.submitted(text, data_coding=8, registered_delivery=0x11, tlvs=(reference, vendor))
    (found,) = client.get("/pdus?command=submit_sm").json["pdus"]
    pdu = client.get(f"/pdus/{found['n']}").json
    assert pdu["text"] == "Đã có kết quả"
    fields = {field["name"]: (field["value"], field["meaning"]) for field in pdu["fields"]}
    assert fields["command_id"] == ("0x00000004", "submit_sm")
    assert fields["data_coding"] == (8, "UCS-2")
    assert fields["dest_addr_ton"] == (1, "international")
    assert fields["registered_delivery"] == (0x11, "receipt wanted, intermediate too")
    assert fields["short_message"] == (text.hex(" "), "26 octets")
    assert pdu["tlvs"] == [
        {"tag": 0x0204, "name": "user_message_reference", "hex": "0007", "value": "7"},
        {"tag": 0x1401, "name": "vendor_0x1401", "hex": "63686172676500", "value": "charge"},
    ]
    assert bytes.fromhex(pdu["hex"])[16:17] == b"\0"
    assert len(pdu["hex"]) == 2 * pdu["octets"]


def test_malformed_pdus_are_shown_as_octets(rig: Rig, client: Client) -> None:
    esme = rig.bound()
    esme.write(bytes.fromhex("00000012 00000004 00000000 00000009 4141"))  # a submit_sm of two octets
    found = client.get("/pdus?command=submit_sm").json["pdus"][0]
    assert found["fault"]
    assert found["sequence_number"] == 9
    rig.esme().write(b"GET / HTTP/1.1\r\n\r\n")
    last = [pdu for pdu in client.get("/pdus").json["pdus"] if pdu["direction"] == "in"][-1]
    assert (last["command"], last["fault"]) == (None, "these octets are no PDU")
    assert bytes.fromhex(client.get(f"/pdus/{last['n']}").json["hex"]) == b"GET / HTTP/1.1\r\n\r\n"


def test_history_has_rates_of_each_second(rig: Rig, client: Client) -> None:
    esme = rig.bound()
    rig.reactor.advance(1)
    for _ in range(5):
        esme.submitted()
    rig.reactor.advance(1)
    rig.reactor.advance(1)
    history = client.get("/history").json
    assert history["series"][0] == "submits"
    assert [sample["rates"]["acc"][0] for sample in history["samples"]] == [0, 5, 0]
    rig.advance(400, 1)
    assert len(client.get("/history").json["samples"]) == 300


def test_metrics(rig: Rig, client: Client) -> None:
    busy(rig, client)
    rig.bound(pdu_class=BindReceiver)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    counters = rig.account.counters
    assert samples["motcua_simulator_submits_total", ("acc",)] == counters.submits == 4
    assert samples["motcua_simulator_mo_sent_total", ("acc",)] == 3
    assert samples["motcua_simulator_refused_total", ("acc", "ESME_RINVDSTADR")] == 1
    assert samples["motcua_simulator_bound_sessions", ("acc", "receiver")] == 1
    assert samples["motcua_simulator_fault_active", ("acc", "status")] == 1
    assert samples["motcua_simulator_pdus_total", ()] == rig.simulator.world.pdus.count
    assert all(value == value for value in samples.values())


def test_a_fault_alone_is_switched_off(rig: Rig, client: Client) -> None:
    esme = rig.bound()
    client.post("/fault/acc", {"fault": "throttle"})
    client.post("/fault/acc", {"fault": "silence", "seconds": 60})
    assert client.get("/status").json["accounts"][0]["binds"][0]["state"] == "silent"
    assert client.ask("DELETE", "/fault/acc/silence").json == {"cleared": ["acc"]}
    assert [fault["fault"] for fault in client.get("/status").json["accounts"][0]["faults"]] == ["throttle"]
    assert client.get("/status").json["accounts"][0]["binds"][0]["state"] == "bound"
    assert esme.submitted().command_status == 0x58
    client.ask("DELETE", "/fault/acc/throttle")
    assert esme.submitted().command_status == 0


def test_a_conversation_tells_what_became_of_each_mo(rig: Rig, client: Client) -> None:
    rig.advance(0.1)
    client.post("/mo", {"from": HANDSET, "to": "8083", "text": "một", "wait_s": 0})
    talk = client.get(f"/handsets/{HANDSET}").json
    assert (talk["account"], talk["balance_vnd"]) == ("acc", 50_000)
    assert [(one["text"], one["state"]) for one in talk["messages"]] == [("một", "kept")]
    esme = rig.bound()
    esme.read()
    assert client.get(f"/handsets/{HANDSET}").json["messages"][0]["state"] == "delivered"
    esme.answer_with = 0x66
    client.post("/mo", {"from": HANDSET, "to": "8083", "text": "hai", "wait_s": 0})
    esme.read()
    sent = client.get("/handsets/0905123456").json["messages"][-1]
    assert (sent["state"], sent["status_name"]) == ("refused", "ESME_RX_R_APPN")
    esme.send(SubmitSm(source_addr="MotcuaSMS", destination_addr=HANDSET, short_message=b"ba"))
    rig.advance(0.2)
    assert client.get(f"/handsets/{HANDSET}?limit=1").json["messages"][0]["text"] == "ba"
