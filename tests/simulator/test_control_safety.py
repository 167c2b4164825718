"""The control interface has no password: other sites' pages and foreign names stay out, and nothing piles up."""

from __future__ import annotations

import pytest
from control_rig import Client, events
from simulator_rig import HANDSET, Rig
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

MO = {"from": HANDSET, "to": "8083", "text": "x", "wait_s": 0}


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:2780", 200),
        ("localhost:2780", 200),
        ("LOCALHOST", 200),
        ("[::1]:2780", 200),
        ("192.168.1.5:2780", 200),
        ("lab.example", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:2780", 403),
        ("localhost.evil.example", 403),
        ("[::1", 403),
        ("", 400),  # Twisted's own refusal: HTTP/1.1 without Host
    ],
)
def test_only_this_servers_own_names(host: str, code: int) -> None:
    client = Client(Rig({"control": {"names": ["lab.example"]}}))
    answers = {client.ask("GET", path, host=host).code for path in ("/status", "/page", "/events")}
    assert answers <= {code, 403 if code == 400 else code}


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("", 200),
        ("http://127.0.0.1:2780", 200),
        ("http://127.0.0.1:8000", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_sites_may_not_post(origin: str, code: int) -> None:
    rig = Rig()
    assert Client(rig).post("/mo", MO, Origin=origin).code == code
    assert rig.account.counters.mo_sent == (code == 200)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", ["/mo", "/fault/all", "/record/flush", "/charging/acc/balance"])
def test_what_a_form_can_send_is_refused(media_type: str, path: str) -> None:
    rig = Rig(charging={})
    answer = Client(rig).post(path, b'{"from": "84905123456", "to": "8083", "text": "x"}', Content_Type=media_type)
    assert answer.code == 400
    if media_type != "multipart/form-data":  # Twisted reads forms itself, and refuses a broken one without a word
        assert answer.json["error"]["where"] == "Content-Type"
    assert rig.account.counters.mo_sent == 0


def test_headers_of_every_answer() -> None:
    client = Client(Rig())
    for path in ("/", "/page", "/page/app.js", "/status", "/nothing", "/metrics", "/events"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    from simulator.config_file import parse_settings

    assert parse_settings({}).control.host == "127.0.0.1"


def test_the_page_on_a_port_of_its_own() -> None:
    rig = Rig({"control": {"page_port": 2790}})
    assert (rig.simulator.control_port, rig.simulator.page_port) == (2780, 2790)
    assert set(rig.reactor.factories) >= {2780, 2790}
    assert Client(rig).get("/status").json["page_port"] == 2790
    assert Rig().simulator.page_port == 2780


def test_events_of_an_open_page() -> None:
    rig = Rig(receipts={"delay": 0.1})
    client = Client(rig)
    transport = client.begin("GET", "/events")
    assert transport.producer is not None
    assert events(transport.value())[0][0] == "hello"
    esme = rig.bound()
    client.post("/mo", MO)
    esme.read()
    esme.submitted(b"tra loi", source_addr="8083")
    rig.advance(1.5)
    seen = events(transport.value())
    assert {"hello", "pdus", "handsets", "state"} <= {name for name, _ in seen}
    assert [HANDSET] in [values["numbers"] for name, values in seen if name == "handsets"]
    texts = [pdu["text"] for name, values in seen if name == "pdus" for pdu in values["pdus"]]
    assert "tra loi" in texts
    assert [values["status"]["accounts"][0]["counters"]["submits"] for name, values in seen if name == "state"] == [1]


def test_a_page_that_reads_too_slowly_costs_nothing_and_is_told_what_it_missed() -> None:
    rig = Rig()
    transport = Client(rig).begin("GET", "/events")
    esme = rig.bound()
    transport.producer.pauseProducing()
    before = len(transport.value())
    for _ in range(500):
        esme.submitted()
    rig.advance(5)
    assert len(transport.value()) == before
    transport.producer.resumeProducing()
    rig.advance(0.3)
    (missed,) = [values for name, values in events(transport.value()) if name == "pdus"]
    assert len(missed["pdus"]) == 60
    assert missed["skipped"] == rig.simulator.world.pdus.count - 60


def test_a_page_that_is_closed_is_forgotten_and_then_nothing_is_watched() -> None:
    rig = Rig()
    client = Client(rig)
    transport = client.begin("GET", "/events")
    assert len(rig.simulator.world.inbox.watchers) == 1
    transport.channel.connectionLost(Failure(ConnectionDone()))
    assert rig.simulator.world.inbox.watchers == []
    rig.advance(1)
    again = client.begin("GET", "/events")
    rig.advance(1.5)
    assert [name for name, _ in events(again.value())].count("state") == 1


def test_pages_are_counted() -> None:
    client = Client(Rig())
    pages = [client.begin("GET", "/events") for _ in range(20)]
    refused = client.get("/events")
    assert (refused.code, refused.json["error"]["what"]) == (400, "20 pages are open already")
    pages[0].channel.connectionLost(Failure(ConnectionDone()))
    assert events(client.begin("GET", "/events").value())[0][0] == "hello"
