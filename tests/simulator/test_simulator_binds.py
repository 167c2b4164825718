"""Who may bind, and what a session may do. Rows S3 to S6 and S10 of the conformance list."""

from __future__ import annotations

import pytest
from simulator_rig import Esme, Rig

from gateway.smpp.pdu import (
    BindReceiver,
    BindTransmitter,
    BroadcastSm,
    DataSm,
    DataSmResp,
    EnquireLink,
    GenericNack,
    SubmitSm,
    Tlv,
    Unbind,
    encode,
    tlv_int,
)

RINVBNDSTS, RALYBND, RBINDFAIL, RINVPASWD, RINVSYSID, RTHROTTLED = 0x04, 0x05, 0x0D, 0x0E, 0x0F, 0x58


def test_without_configuration_any_credentials_bind() -> None:
    rig = Rig({"accounts": {"any": {}}})
    for system_id in ("a", "somebody"):
        assert rig.esme().bind(system_id=system_id, password="whatever") == 0


def test_bind_resp_tells_the_version() -> None:
    esme = Rig().bound()
    assert tlv_int(esme.received[0], 0x0210) == 0x34


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"system_id": "motcua", "password": "right"}, 0),
        ({"system_id": "motcua", "password": "wrong"}, RINVPASWD),
        ({"system_id": "motcua", "password": ""}, RINVPASWD),
        ({"system_id": "nobody", "password": "right"}, RINVSYSID),
        ({"system_id": "motcua", "password": "right", "interface_version": 0x50}, RBINDFAIL),
        ({"system_id": "motcua", "password": "right", "pdu_class": BindReceiver}, RBINDFAIL),
    ],
)
def test_s4_binds_are_judged_and_refused_ones_closed(fields: dict[str, object], status: int) -> None:
    rig = Rig(
        system_id="motcua", password="right", modes=["transmitter", "transceiver"], versions=[0x33, 0x34], max_binds=2
    )
    esme = rig.esme()
    assert esme.bind(**fields) == status  # type: ignore[arg-type]
    assert esme.closed == (status != 0)
    assert len(rig.record("bind_refused")) == (status != 0)


def test_s4_third_bind_of_two() -> None:
    rig = Rig(max_binds=2)
    first = rig.bound()
    rig.bound()
    third = rig.esme()
    assert third.bind() == RALYBND
    assert third.closed
    first.send(Unbind())
    assert rig.esme().bind() == 0


def test_s4_a_pdu_before_the_bind_is_refused_and_closed() -> None:
    rig = Rig()
    esme = rig.esme()
    assert esme.response(esme.send(SubmitSm(destination_addr="84905123456"))).command_status == RINVBNDSTS
    assert esme.closed
    assert rig.record("submit") == []


def test_s4_silence_before_the_bind_is_closed() -> None:
    rig = Rig({"sessions": {"session_init_timeout_s": 5}})
    esme = rig.esme()
    rig.advance(4.5)
    assert not esme.closed
    rig.advance(1.0)
    assert esme.closed


def test_accounts_that_share_a_port_are_told_apart_by_system_id() -> None:
    rig = Rig({"accounts": {"a": {"port": 2775, "system_id": "one"}, "b": {"port": 2775, "system_id": "two"}}})
    rig.bound(system_id="two").submit()
    assert [entry["account"] for entry in rig.record("submit")] == ["b"]


def test_s3_mo_and_receipts_go_to_the_receiver_only() -> None:
    rig = Rig(receipts={"delay": 0.1})
    transmitter, receiver = rig.bound(pdu_class=BindTransmitter), rig.bound(pdu_class=BindReceiver)
    transmitter.submitted()
    rig.advance(1.0)
    assert len(receiver.delivered()) == 1
    assert transmitter.delivered() == []


def test_s3_submit_sm_on_a_receiver() -> None:
    esme = Rig().bound(pdu_class=BindReceiver)
    assert esme.submitted().command_status == RINVBNDSTS
    assert not esme.closed


def test_s5_window_overrun_is_throttled() -> None:
    rig = Rig(window=3, latency=1.0)
    esme = rig.bound()
    numbers = [esme.submit() for _ in range(5)]
    assert [esme.unanswered(number) for number in numbers] == [True, True, True, False, False]
    assert esme.response(numbers[3]).command_status == RTHROTTLED
    rig.advance(1.1)
    assert [esme.response(number).command_status for number in numbers] == [0, 0, 0, RTHROTTLED, RTHROTTLED]
    assert esme.submit()  # and there is room again
    rig.advance(1.1)
    assert rig.account.counters.accepted == 4


def test_s5_throughput_over_the_limit_is_throttled_over_all_binds() -> None:
    rig = Rig(tps=3)
    one, other = rig.bound(), rig.bound()
    statuses = [esme.submitted().command_status for esme in (one, other, one, other, one)]
    assert statuses == [0, 0, 0, RTHROTTLED, RTHROTTLED]
    rig.advance(1.05)
    assert one.submitted().command_status == 0


def test_s6_an_idle_esme_is_probed() -> None:
    rig = Rig({"sessions": {"enquire_link_interval_s": 10}})
    esme = rig.bound()
    rig.advance(11)
    assert any(isinstance(pdu, EnquireLink) for pdu in esme.received)
    assert not esme.closed


def test_s6_an_esme_that_never_answers_deliver_sm_is_closed_and_its_mo_kept() -> None:
    rig = Rig({"sessions": {"response_timeout_s": 2, "unanswered_limit": 2}}, mo={"retry": 0.5})
    deaf = rig.bound()
    deaf.answer_with = None
    rig.simulator.send_mo(mo_request("MCKH 1"))
    rig.simulator.send_mo(mo_request("MCKH 2"))
    rig.advance(12)
    assert deaf.closed
    assert rig.account.waiting() == 2
    fresh = rig.bound()
    rig.advance(1)
    assert {pdu.short_message for pdu in fresh.delivered()} == {b"MCKH 1", b"MCKH 2"}
    assert rig.account.waiting() == 0


def test_all_that_a_deaf_esme_left_unanswered_at_once_comes_again() -> None:
    """More of them time out in one moment than it takes to close the session."""
    rig = Rig({"sessions": {"response_timeout_s": 2, "unanswered_limit": 2}}, mo={"retry": 0.5})
    deaf = rig.bound()
    deaf.answer_with = None
    texts = [f"MCKH {number}" for number in range(7)]
    for text in texts:
        rig.simulator.send_mo(mo_request(text))
    rig.advance(3)
    assert deaf.closed
    assert rig.account.waiting() == 7
    fresh = rig.bound()
    rig.advance(1)
    assert sorted(pdu.short_message.decode() for pdu in fresh.delivered()) == texts
    assert len(rig.record("mo")) == 7


def mo_request(text: str, **fields: object) -> object:
    from simulator.mo import MoRequest

    return MoRequest("84905123456", "8083", text, **fields)  # type: ignore[arg-type]


def test_s10_a_probe_and_a_flood_of_connections() -> None:
    rig = Rig({"sessions": {"max_connections": 20}})
    probe = rig.esme()
    probe.lose()
    esmes = [rig.esme() for _ in range(50)]
    assert sum(esme.refused for esme in esmes) == 30
    assert rig.record("unbind") == []
    for esme in esmes[:20]:
        esme.lose()
    assert rig.esme().bind() == 0


def test_data_sm_is_taken_like_submit_sm() -> None:
    rig = Rig(receipts={"delay": 0.1})
    esme = rig.bound()
    number = esme.send(
        DataSm(source_addr="8083", destination_addr="84905123456", tlvs=(Tlv(0x0424, b"MCKH: da xong"),))
    )
    response = esme.response(number)
    assert isinstance(response, DataSmResp)
    assert response.message_id
    rig.advance(0.5)
    assert [message.text for message in rig.inbox()] == ["MCKH: da xong"]


def test_what_this_smsc_does_not_offer_is_refused_in_step() -> None:
    esme = Rig().bound()
    assert esme.response(esme.send(BroadcastSm())).command_status == 0x03
    assert esme.submitted().command_status == 0


def test_garbage_from_an_esme_is_nacked_and_harms_nobody_else() -> None:
    rig = Rig()
    bad, good = rig.bound(), rig.bound()
    bad.write(b"\x00\x00\x00\x05")
    assert isinstance(bad.received[-1], GenericNack)
    assert bad.closed
    assert good.submitted().command_status == 0


def test_an_unknown_command_is_nacked_and_the_session_goes_on() -> None:
    esme = Rig().bound()
    esme.write(bytes.fromhex("00000010 00000777 00000000 00000042".replace(" ", "")))
    assert isinstance(esme.received[-1], GenericNack)
    assert esme.submitted().command_status == 0


def test_submits_in_one_read_are_all_answered_in_order() -> None:
    rig = Rig()
    esme: Esme = rig.bound()
    pdus = [SubmitSm(sequence_number=n, destination_addr="84905123456", short_message=b"x") for n in range(100, 150)]
    esme.write(b"".join(encode(pdu) for pdu in pdus))
    assert [pdu.sequence_number for pdu in esme.received[-50:]] == list(range(100, 150))
