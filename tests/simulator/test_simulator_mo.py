"""MO: forms of long texts, numbers, kept and sent again, repeated."""

from __future__ import annotations

from typing import Any

import pytest
from simulator_rig import Rig

from gateway.smpp.pdu import BindTransmitter, DeliverSm, Tlv, tlv, tlv_str
from gateway.smpp.text import IncomingPart, join_text, parse_concatenation, user_data
from simulator.errors import RequestError
from simulator.mo import Mo, MoRequest

HANDSET = "84905123456"
VIETNAMESE = "Cho tôi hỏi hồ sơ đất đai của gia đình ở phường Nha Trang đã xong chưa ạ? " * 3


def request(text: str = "MCKH 0101701234", **fields: Any) -> MoRequest:
    return MoRequest(HANDSET, "8083", text, **fields)


def text_of(pdus: list[Any]) -> str | None:
    parts = []
    for pdu in pdus:
        place = parse_concatenation(pdu)
        parts.append(
            (place.part if place else 1, IncomingPart(place.octets if place else user_data(pdu), pdu.data_coding))
        )
    return join_text([part for _, part in sorted(parts)])


def test_a_short_mo_is_one_deliver_sm() -> None:
    rig = Rig()
    esme = rig.bound()
    mo = rig.simulator.send_mo(request())
    esme.read()
    (pdu,) = esme.delivered()
    assert isinstance(pdu, DeliverSm)
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == (HANDSET, 1, 1)
    assert (pdu.destination_addr, pdu.short_message, pdu.esm_class) == ("8083", b"MCKH 0101701234", 0)
    assert tlv_str(pdu, 0x001E) == mo.parts[0].message_id
    assert (mo.state, mo.parts[0].status, mo.parts[0].attempts) == ("delivered", 0, 1)


@pytest.mark.parametrize("form", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize("text", [VIETNAMESE, "MCKH {€} [^]\\ " * 30, "Chữ 😀 ngoài BMP " * 12])
def test_long_texts_in_every_form(form: Any, text: str) -> None:
    rig = Rig()
    esme = rig.bound()
    mo = rig.simulator.send_mo(request(text, form=form))
    esme.read()
    assert text_of(esme.delivered()) == text
    assert (len(mo.parts) > 1) == (form != "payload")
    assert mo.state == "delivered"
    assert len({part.message_id for part in mo.parts}) == len(mo.parts)


@pytest.mark.parametrize(
    ("form", "written"), [("international", HANDSET), ("plus", "+" + HANDSET), ("national", "0905123456")]
)
def test_the_operator_writes_numbers_in_its_way(form: str, written: str) -> None:
    rig = Rig(mo={"number_form": form, "id_tlv": None, "source_ton": 2, "dest_ton": 6})
    esme = rig.bound()
    rig.simulator.send_mo(request())
    esme.read()
    (pdu,) = esme.delivered()
    assert pdu.source_addr == written
    assert (pdu.source_addr_ton, pdu.dest_addr_ton, pdu.tlvs) == (2, 6, ())


def test_an_mo_waits_for_a_bind_that_receives() -> None:
    rig = Rig()
    mo = rig.simulator.send_mo(request())
    rig.bound(pdu_class=BindTransmitter)
    assert mo.state == "kept"
    receiver = rig.bound()
    assert len(receiver.delivered()) == 1
    assert mo.state == "delivered"


@pytest.mark.parametrize("status", [0x08, 0x14, 0x58, 0x64])
def test_a_temporary_error_is_tried_again(status: int) -> None:
    rig = Rig(mo={"retry": 1.0})
    esme = rig.bound()
    esme.answer_with = status
    mo = rig.simulator.send_mo(request())
    esme.read()
    assert mo.state == "kept"
    esme.answer_with = 0
    rig.advance(0.9)
    assert len(esme.delivered()) == 1
    rig.advance(0.2)
    assert (mo.state, mo.parts[0].attempts) == ("delivered", 2)
    first, second = esme.delivered()
    assert first == second._replace(sequence_number=first.sequence_number)


def test_a_permanent_error_is_the_end() -> None:
    rig = Rig()
    esme = rig.bound()
    esme.answer_with = 0x66
    mo = rig.simulator.send_mo(request())
    esme.read()
    rig.advance(10)
    assert (mo.state, mo.parts[0].status) == ("refused", 0x66)
    assert len(esme.delivered()) == 1


def test_an_mo_is_given_up_after_its_time() -> None:
    rig = Rig(mo={"retry": 1.0, "keep_s": 3.0})
    esme = rig.bound()
    esme.answer_with = 0x64
    mo = rig.simulator.send_mo(request())
    rig.advance(10)
    assert mo.state == "given_up"
    assert 3 <= mo.parts[0].attempts <= 4
    assert rig.record("mo")[-1]["outcome"] == "given_up"


def test_a_late_answer_counts_and_ends_the_attempts() -> None:
    from gateway.smpp.pdu import DeliverSmResp, encode

    rig = Rig({"sessions": {"response_timeout_s": 1}}, mo={"retry": 5.0})
    esme = rig.bound()
    esme.answer_with = None
    mo = rig.simulator.send_mo(request())
    rig.advance(2)
    assert mo.state == "kept"
    esme.write(encode(DeliverSmResp(esme.delivered()[0].sequence_number)))
    assert mo.state == "delivered"
    esme.answer_with = 0
    rig.advance(10)
    assert len(esme.delivered()) == 1


def test_the_same_mo_delivered_again() -> None:
    rig = Rig()
    esme = rig.bound()
    mo = rig.simulator.send_mo(request(copies=3))
    esme.read()
    first, *others = esme.delivered()
    assert len(others) == 2
    assert all(other._replace(sequence_number=first.sequence_number) == first for other in others)
    assert mo.state == "delivered"


def test_raw_tlvs() -> None:
    rig = Rig()
    esme = rig.bound()
    rig.simulator.send_mo(request(tlvs=(Tlv(0x1501, b"\x01\x02"),)))
    esme.read()
    assert tlv(esme.delivered()[0], 0x1501) == b"\x01\x02"


def test_the_window_to_an_esme_is_kept() -> None:
    rig = Rig({"sessions": {"deliver_window": 2}})
    esme = rig.bound()
    esme.answer_with = None
    for number in range(5):
        rig.simulator.send_mo(request(f"MCKH {number}"))
    esme.read()
    assert len(esme.delivered()) == 2
    assert rig.account.waiting() == 3


def test_mo_are_given_up_oldest_first_when_too_many_wait() -> None:
    rig = Rig(mo={"kept": 3})
    mos: list[Mo] = [rig.simulator.send_mo(request(f"MCKH {number}")) for number in range(5)]
    assert [mo.state for mo in mos] == ["given_up", "given_up", "kept", "kept", "kept"]


def test_the_account_is_that_of_the_handsets_prefix() -> None:
    rig = Rig(
        {
            "accounts": {
                "viettel": {"port": 1, "prefixes": [8496]},
                "mobifone": {"port": 2, "prefixes": [8490]},
                "special": {"port": 3, "prefixes": [84905]},
            }
        }
    )
    account = rig.simulator.account_of_phone
    assert account("84961234567").name == "viettel"
    assert account("84901234567").name == "mobifone"
    assert account("84905123456").name == "special"
    assert account("84521234567").name == "viettel"  # nobody's: the first
    rig.bound(port=2)
    assert account("84521234567").name == "mobifone"  # nobody's: one that can deliver it


def test_what_cannot_be_sent_is_refused_with_a_reason() -> None:
    rig = Rig()
    with pytest.raises(RequestError, match="GSM 7-bit"):
        rig.simulator.send_mo(request("Hồ sơ", coding="gsm7"))
    with pytest.raises(RequestError, match="parts"):
        rig.simulator.send_mo(request("x" * 153 * 256))
    with pytest.raises(RequestError, match="It is one of: acc"):
        rig.simulator.send_mo(request(), "viettel")


def test_parts_leave_in_the_order_that_is_asked_for() -> None:
    rig = Rig()
    esme = rig.bound()
    mo = rig.simulator.send_mo(request(VIETNAMESE, form="udh8", order=(3, 1, 1)))
    esme.read()
    places = [parse_concatenation(pdu) for pdu in esme.delivered()]
    assert [place.part for place in places if place] == [3, 1, 1]
    assert [part.withheld for part in mo.parts] == [False, True, False, True]
    assert mo.state == "delivered"
    with pytest.raises(RequestError, match="the message has parts 1 to 4"):
        rig.simulator.send_mo(request(VIETNAMESE, order=(5,)))


@pytest.mark.parametrize(
    ("fields", "data_coding", "octets"),
    [
        ({"text": "Ma so?", "coding": "ascii"}, 1, b"Ma so?"),
        ({"text": "Déjà", "coding": "latin1"}, 3, b"D\xe9j\xe0"),
        ({"text": "MCKH 1", "flash": True}, 0x10, b"MCKH 1"),
        ({"text": "Hồ", "flash": True}, 0x18, "Hồ".encode("utf-16-be")),
        (
            {"octets": b"\x05\x00\x03\x01\x02\x01abc", "data_coding": 4, "esm_class": 0x40},
            4,
            b"\x05\x00\x03\x01\x02\x01abc",
        ),
        ({"octets": b"\xff\xfe", "data_coding": 0xF5}, 0xF5, b"\xff\xfe"),
    ],
)
def test_codings_and_octets_as_they_are(fields: dict[str, Any], data_coding: int, octets: bytes) -> None:
    rig = Rig()
    esme = rig.bound()
    rig.simulator.send_mo(request(**fields))
    esme.read()
    (pdu,) = esme.delivered()
    assert isinstance(pdu, DeliverSm)
    assert (pdu.data_coding, pdu.short_message) == (data_coding, octets)
    assert pdu.esm_class == fields.get("esm_class", 0)


def test_octets_that_are_too_many_go_into_message_payload() -> None:
    rig = Rig()
    esme = rig.bound()
    rig.simulator.send_mo(request(octets=b"x" * 300, data_coding=4))
    esme.read()
    (pdu,) = esme.delivered()
    assert tlv(pdu, 0x0424) == b"x" * 300


def test_a_text_that_its_coding_lacks() -> None:
    with pytest.raises(RequestError, match="ascii"):
        Rig().simulator.send_mo(request("Hồ sơ", coding="ascii"))
