"""Every kind of expectation is met by an ESME that behaves, and broken by one that does not: then it says what it saw."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scenario_rig import HANDSET, ScenarioRig, failure, played

from gateway.smpp.pdu import BindReceiver, BindTransmitter, EnquireLink, QuerySm, Tlv, Unbind

Script = Callable[[ScenarioRig], None]
CHARGING = """
simulator:
  accounts:
    acc: {port: 2775, receipts: {delay: 0.1}, charging: {shortcodes: ["8083"], balances: {"84905123456": 300}}}
"""
MO = """
  - expect: {bind: {}}
  - mo: {from: "84905123456", to: "8083", text: MCKH}
    name: the query
"""


def bind(**fields: object) -> Script:
    return lambda rig: rig.bound(**fields) and None


def submit(*texts: bytes, **fields: object) -> Script:
    def script(rig: ScenarioRig) -> None:
        esme = rig.bound()
        for text in texts:
            esme.submit(text, **fields)

    return script


def answering(status: int | None) -> Script:
    """Binds and answers every deliver_sm with this status; None: not at all."""

    def script(rig: ScenarioRig) -> None:
        esme = rig.esme()
        esme.answer_with = status
        assert esme.bind() == 0

    return script


def replying(**fields: object) -> Script:
    """Binds, and replies to the query from the shortcode."""

    def script(rig: ScenarioRig) -> None:
        esme = rig.bound()
        rig.advance(0.1)
        esme.submit(b"0101701234", source_addr="8083", **fields)

    return script


def ends_session(how: str) -> Script:
    def script(rig: ScenarioRig) -> None:
        esme = rig.bound()
        rig.advance(0.5)
        if how == "unbind":
            esme.send(Unbind())
        elif how == "cut":
            esme.lose()

    return script


def sends_request(pdu: object) -> Script:
    def script(rig: ScenarioRig) -> None:
        rig.bound().send(pdu)  # type: ignore[arg-type]

    return script


CASES: dict[str, tuple[str, Script, Script, str]] = {
    # name: steps, the ESME that passes, the ESME that fails, what must be told of the failure
    "bind": (
        "  - expect: {bind: {mode: receiver, version: 0x34, system_id: esme}}",
        bind(pdu_class=BindReceiver, interface_version=0x34),
        bind(pdu_class=BindTransmitter, interface_version=0x34),
        "mode is transmitter, expected receiver",
    ),
    "bind version": (
        "  - expect: {bind: {version: [0x34, 0x50]}}",
        bind(interface_version=0x50),
        bind(interface_version=0x33),
        "version is 51, expected one of 52, 80",
    ),
    "unbound": (
        "  - expect: {unbound: {reason: {contains: unbound}}}",
        ends_session("unbind"),
        ends_session("cut"),
        "expected to contain 'unbound'",
    ),
    "text contains": (
        f'  - expect: {{text: {{to: "{HANDSET}", from: MotcuaSMS, contains: chao, parts: 1, copy: 1}}}}',
        submit(b"Xin chao"),
        submit(b"Tam biet"),
        "text is 'Tam biet', expected to contain 'chao'",
    ),
    "text matches": (
        f'  - expect: {{text: {{to: "{HANDSET}", matches: "so [0-9]+$"}}}}',
        submit(b"ho so 42"),
        submit(b"ho so mat"),
        "expected to match /so [0-9]+$/",
    ),
    "text equals": (
        "  - expect: {text: {equals: Xin chao}}",
        submit(b"Xin chao"),
        submit(b"Xin chao!"),
        "is 'Xin chao!', expected 'Xin chao'",
    ),
    "exactly": (
        "  - expect: {text: {}, exactly: 2}",
        submit(b"mot", b"hai"),
        submit(b"mot", b"hai", b"ba"),
        "3, 2 was expected",
    ),
    "exactly, too few": (
        "  - expect: {text: {}, exactly: 2}",
        submit(b"mot", b"hai"),
        submit(b"mot"),
        "only 1 of 2 within 10 s",
    ),
    "at least": (
        "  - expect: {submit_sm: {}, at_least: 2}",
        submit(b"mot", b"hai", b"ba"),
        submit(b"mot"),
        "only 1 of 2",
    ),
    "at most": (
        "  - expect: {submit_sm: {}, at_most: 2, for: 3s}",
        submit(b"mot", b"hai"),
        submit(b"mot", b"hai", b"ba"),
        "3, 2 was expected",
    ),
    "never": (
        "  - never: {text: {contains: chao}, for: 3s}",
        submit(b"Tam biet"),
        submit(b"Xin chao"),
        "it happened",
    ),
    "submit_sm fields": (
        "  - expect:\n      submit_sm: {source_addr: MotcuaSMS, source_addr_ton: 5, dest_addr_npi: 1, esm_class: 0,"
        " data_coding: 0, priority_flag: 1, service_type: CMT, validity_period: '000001000000000R', part: 1, parts: 1,"
        " status: ESME_ROK, accepted: true, outcome: answered, contains: Xin}",
        submit(b"Xin chao", priority_flag=1, service_type="CMT", validity_period="000001000000000R"),
        submit(b"Xin chao", priority_flag=0, service_type="CMT", validity_period="000001000000000R"),
        "priority_flag is 0 (0x00), expected 1",
    ),
    "submit_sm registered_delivery": (
        "  - expect: {submit_sm: {registered_delivery: {mask: 0x01, equals: 1}}}",
        submit(b"x", registered_delivery=0x11),
        submit(b"x", registered_delivery=0x10),
        "registered_delivery is 16, expected 1 under the mask 0x1",
    ),
    "submit_sm TLV": (
        "  - expect: {submit_sm: {tlvs: [{tag: 0x1401, equals: charge}, {tag: 0x0204, number: 7}, {tag: 0x9999, absent: true}]}}",
        submit(b"x", tlvs=(Tlv(0x1401, b"charge\0"), Tlv(0x0204, b"\0\7"))),
        submit(b"x", tlvs=(Tlv(0x1401, b"refund\0"), Tlv(0x0204, b"\0\7"))),
        "TLV 0x1401 is 'refund', expected 'charge'",
    ),
    "submit_sm TLV missing": (
        "  - expect: {submit_sm: {tlvs: [{tag: 0x1401, hex: '01'}]}}",
        submit(b"x", tlvs=(Tlv(0x1401, b"\1"),)),
        submit(b"x"),
        "TLV 0x1401 is missing",
    ),
    "mo_answer": (
        MO + "  - expect: {mo_answer: {step: the query, status: ESME_ROK, attempts: 1, state: delivered}}",
        answering(0),
        answering(0x0B),
        "state is refused, expected delivered",
    ),
    "mo_answer none": (
        MO + "  - expect: {mo_answer: {}, within: 3s}",
        answering(0),
        answering(None),
        "nothing within 3 s",
    ),
    "receipt": (
        "  - expect: {receipt: {outcome: answered, status: ESME_ROK, stat: DELIVRD, destination_addr: '84905123456'}}",
        lambda rig: answering(0)(rig) or (rig.esmes[0].submit() and None),
        lambda rig: answering(0x45)(rig) or (rig.esmes[0].submit() and None),
        "status is ESME_RSUBMITFAIL, expected 0",
    ),
    "links": (
        "  - expect: {links: {exactly: 2, mode: transceiver}, within: 5s}",
        lambda rig: bind()(rig) or bind()(rig),
        bind(),
        "1 session(s) are bound after 5 s",
    ),
    "links hold": (
        "  - expect: {links: {at_least: 1}, for: 5s}",
        bind(),
        ends_session("cut"),
        "0 session(s) are bound",
    ),
    "pdu": (
        "  - expect: {pdu: {command: enquire_link}}",
        sends_request(EnquireLink()),
        bind(),
        "command is 'bind_transceiver', expected 'enquire_link'",
    ),
    "pdu fields": (
        "  - expect: {pdu: {command: query_sm, fields: {message_id: '77'}}}",
        sends_request(QuerySm(message_id="77")),
        sends_request(QuerySm(message_id="78")),
        "message_id is '78', expected '77'",
    ),
    "once": (
        "  - expect: {once: {of: text, by: text, count: 3}}",
        submit(b"mot", b"hai", b"ba"),
        submit(b"mot", b"hai", b"hai", b"ba"),
        "'hai' came again",
    ),
    "once, one lost": (
        "  - expect: {once: {of: submit_sm, match: 'so ([0-9]+)', count: 3}}",
        submit(b"so 1", b"so 2", b"so 3"),
        submit(b"so 1", b"so 3"),
        "2 of 3 different ones within 10 s",
    ),
    "once, one too many": (
        "  - expect: {once: {of: submit_sm, match: 'so ([0-9]+)', count: 2}}",
        submit(b"so 1", b"so 2"),
        submit(b"so 1", b"so 2", b"so 3"),
        "3 different ones, 2 were expected",
    ),
    "order": (
        "  - expect: {submit_sm: {}, at_least: 3}\n  - expect: {order: {of: submit_sm, match: 'so ([0-9]+)'}}",
        submit(b"so 8", b"so 9", b"so 10"),
        submit(b"so 8", b"so 10", b"so 9"),
        "'9' came after '10'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_esme_that_behaves_passes(name: str) -> None:
    steps, good, _, _ = CASES[name]
    result = played(steps, good)
    assert result.passed, failure(result)
    assert {step.status for step in result.steps} == {"passed"}


@pytest.mark.parametrize("name", CASES)
def test_an_esme_that_does_not_fails_and_it_is_told_what_was_seen(name: str) -> None:
    steps, _, bad, told = CASES[name]
    result = played(steps, bad)
    assert not result.passed
    assert told in failure(result)


CHARGES: dict[str, tuple[str, Script, Script, str]] = {
    "charge": (
        MO
        + "  - expect: {charge: {phone: '84905123456', decision: charge, outcome: insufficient_balance, balance_vnd: 300}}",
        replying(),
        replying(destination_addr="84905999999"),
        "phone is '84905999999'",
    ),
    "charge refused": (
        MO + "  - expect: {submit_sm: {status: 0x0405, accepted: false}}",
        replying(),
        replying(destination_addr="84905999999"),
        "status is 0x00000407",
    ),
}


@pytest.mark.parametrize("name", CHARGES)
def test_charges(name: str) -> None:
    steps, good, bad, told = CHARGES[name]
    result = played(steps, good, CHARGING)
    assert result.passed, failure(result)
    result = played(steps, bad, CHARGING)
    assert not result.passed
    assert told in failure(result)


def test_a_balance_is_set() -> None:
    steps = """
  - balance: {phone: "84905123456", vnd: 9000}
  - expect: {bind: {}}
  - mo: {from: "84905123456", to: "8083", text: MCKH}
  - expect: {charge: {outcome: charged, amount_vnd: 1000, balance_vnd: 8000}}
"""
    assert played(steps, replying(), CHARGING).passed


@pytest.mark.parametrize(
    ("always", "good", "bad", "told"),
    [
        ("rate: {at_most: 2}", submit(b"a", b"b"), submit(b"a", b"b", b"c"), "3 submit_sm within 1 s, 2 are allowed"),
        ("never: {submit_sm: {contains: xau}}", submit(b"tot"), submit(b"xau"), "it happened"),
    ],
)
def test_what_must_always_hold(always: str, good: Script, bad: Script, told: str) -> None:
    from scenario_rig import HEAD

    head = f"{HEAD}\nalways:\n  - {always}\n"
    steps = "  - expect: {submit_sm: {}}\n  - never: {unbound: {}, for: 2s}\n"
    result = played(steps, good, head)
    assert result.passed, failure(result)
    assert result.steps[-1].number == 0
    result = played(steps, bad, head)
    assert told in failure(result)
    assert [step.verb for step in result.failed] == ["always"]


def test_a_window_that_is_never_exceeded() -> None:
    head = """
simulator: {accounts: {acc: {port: 2775, latency: 0.5}}}
always: [{window: {at_most: 2}}]
"""
    steps = "  - expect: {submit_sm: {}, at_least: 2}\n  - wait: 1s\n"
    assert played(steps, submit(b"a", b"b"), head).passed
    assert "3 submit_sm of" in failure(played(steps, submit(b"a", b"b", b"c"), head))


def test_a_double_is_excused_only_when_no_answer_had_left() -> None:
    head = """
parameters: {excuse: unanswered}
simulator: {accounts: {acc: {port: 2775, latency: 0.5, disturbances: {cut_at: [2]}}}}
"""
    steps = "  - expect: {once: {of: submit_sm, by: text, count: 2, excuse: '${excuse}'}}\n"

    def resends(rig: ScenarioRig) -> None:
        submit(b"mot", b"hai")(rig)  # cut before either answer left
        rig.esmes.clear()
        submit(b"mot", b"hai")(rig)

    def resends_answered(rig: ScenarioRig) -> None:
        submit(b"mot")(rig)
        rig.advance(1)  # answered
        rig.esmes[0].submit(b"hai")
        rig.esmes.clear()
        submit(b"mot")(rig)

    assert played(steps, resends, head).passed
    assert "'mot' came again" in failure(played(steps, resends, head, excuse="none"))
    assert "'mot' came again" in failure(played(steps, resends_answered, head))


def test_a_long_text_is_one_text_and_its_parts_are_submits() -> None:
    from gateway.smpp.text import segment

    text = "Hồ sơ của ông đã có kết quả " * 6
    steps = f"""
  - expect: {{text: {{equals: "{text}", parts: 3, data_coding: 8}}, exactly: 1}}
  - expect: {{submit_sm: {{parts: 3, part: 2, data_coding: 8}}}}
"""

    def sends(rig: ScenarioRig) -> None:
        esme = rig.bound()
        for piece in segment(text, "ucs2", form="udh8", reference=7):
            esme.submit(piece.short_message, esm_class=piece.esm_class_bits, data_coding=piece.data_coding)

    assert played(steps, sends).passed


def test_an_event_meets_one_expectation_only() -> None:
    twice = "  - expect: {text: {}}\n  - expect: {text: {}, within: 2s}\n"
    result = played(twice, submit(b"mot"))
    assert "counted by 'expect text'" in failure(result)
    assert played(twice, submit(b"mot", b"hai")).passed
    assert played("  - expect: {text: {}}\n  - expect: {text: {}, again: true}\n", submit(b"mot")).passed


def test_since_a_step() -> None:
    steps = """
  - expect: {{bind: {{}}}}
  - name: the cut
    fault: cut
  - expect: {{bind: {{}}, since: {since}, again: true, within: 2s}}
"""
    assert played(steps.format(since="start"), bind()).passed
    assert "nothing within 2 s" in failure(played(steps.format(since="the cut"), bind()))
    assert "nothing within 2 s" in failure(played(steps.format(since="now"), bind()))


def test_a_submit_multi_is_a_submit_for_each_destination() -> None:
    from gateway.smpp.pdu import SmeAddress, SubmitMulti

    steps = """
  - expect: {submit_sm: {destination_addr: "84905000001", accepted: true}}
  - expect: {submit_sm: {destination_addr: "84905000002", contains: chao}}
  - expect: {once: {of: text, by: to, count: 2}}
"""
    numbers = tuple(SmeAddress(1, 1, f"8490500000{n}") for n in (1, 2))
    request = SubmitMulti(source_addr="8083", dest_address=numbers, short_message=b"Xin chao")
    result = played(steps, sends_request(request))
    assert result.passed, failure(result)
