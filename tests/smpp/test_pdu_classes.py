"""PDUs as values: they agree with the rows, compare by class, hide passwords, and answer each other."""

from __future__ import annotations

import pytest
from pdu_strategies import CLASS_OF

from gateway.smpp import pdu as pdus
from gateway.smpp.constants import CommandId, CommandStatus, DataCoding
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.fields import PDU_ROWS, PduRow
from gateway.smpp.pdu import (
    RESPONSE_OF,
    AlertNotification,
    BindTransceiver,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    Outbind,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnknownPdu,
    UnsuccessSme,
    decode,
    encode,
    make_response,
)


@pytest.mark.parametrize("row", PDU_ROWS, ids=lambda row: row.command_id.name)
def test_each_class_has_the_fields_of_its_row(row: PduRow) -> None:
    names = tuple(field.name for field in row.fields)
    assert CLASS_OF[row.command_id]._fields == ("sequence_number", "command_status", *names, "tlvs")


def test_every_command_has_a_row_and_a_class() -> None:
    assert [row.command_id for row in PDU_ROWS if row.command_id not in CLASS_OF] == []
    assert {row.command_id for row in PDU_ROWS} == set(CommandId) == set(CLASS_OF)


def test_all_names_of_the_module_exist() -> None:
    assert [name for name in pdus.__all__ if not hasattr(pdus, name)] == []
    assert {pdu_class.__name__ for pdu_class in CLASS_OF.values()} <= set(pdus.__all__)


@pytest.mark.parametrize("pdu_class", CLASS_OF.values(), ids=lambda pdu_class: pdu_class.__name__)
def test_the_defaults_of_every_pdu_can_be_sent(pdu_class: type) -> None:
    assert decode(encode(pdu_class())) == pdu_class()


def test_equal_needs_the_same_class_and_the_same_values() -> None:
    submit = SubmitSm(1, 0, source_addr="8083")
    assert submit == SubmitSm(1, 0, source_addr="8083")
    assert hash(submit) == hash(SubmitSm(1, 0, source_addr="8083"))
    assert submit != DeliverSm(*submit)
    assert submit != submit._replace(source_addr="8084")
    assert EnquireLink(1) != Unbind(1)
    assert EnquireLink(1) != (1, 0, ())
    assert len({EnquireLink(1), Unbind(1), EnquireLink(1)}) == 2


def test_a_changed_copy_keeps_its_class() -> None:
    assert type(SubmitSm()._replace(sequence_number=7)) is SubmitSm


@pytest.mark.parametrize("pdu", [BindTransceiver(password="s3cret"), Outbind(password="s3cret")])
def test_the_repr_of_a_bind_does_not_show_the_password(pdu: BindTransceiver | Outbind) -> None:
    assert "s3cret" not in repr(pdu)
    assert "s3cret" not in f"{pdu}"
    assert "password=***" in repr(pdu)


def test_members_of_enumerations_are_numbers_on_the_wire() -> None:
    assert encode(SubmitSm(data_coding=DataCoding.UCS2)) == encode(SubmitSm(data_coding=8))


def test_every_request_but_two_has_a_response() -> None:
    without = {
        row.command_id for row in PDU_ROWS if not row.command_id & 0x80000000 and row.command_id not in RESPONSE_OF
    }
    assert without == {CommandId.ALERT_NOTIFICATION, CommandId.OUTBIND}
    assert all(RESPONSE_OF[request].command_id == request | 0x80000000 for request in RESPONSE_OF)


def test_a_response_takes_the_sequence_number_and_its_fields() -> None:
    request = SubmitSm(sequence_number=77, short_message=b"x")
    assert make_response(request, message_id="a1") == SubmitSmResp(77, 0, "a1")
    throttled = make_response(request, CommandStatus.ESME_RTHROTTLED)
    assert throttled == SubmitSmResp(77, 0x58)
    assert type(throttled.command_status) is int
    assert make_response(EnquireLink(5)) == EnquireLinkResp(5)
    failed = (UnsuccessSme(1, 1, "84905123456", 0x0B),)
    assert make_response(pdus.SubmitMulti(9), unsuccess_sme=failed) == SubmitMultiResp(9, 0, "", failed)


@pytest.mark.parametrize("request_", [AlertNotification(1), Outbind(1), UnknownPdu(1, 0, 0x777), SubmitSmResp(1)])
def test_what_has_no_response_gets_none(request_: pdus.Pdu) -> None:
    with pytest.raises(LocalProtocolError, match="no response"):
        make_response(request_)


def test_a_response_with_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(LocalProtocolError, match="enquire_link_resp: message_id"):
        make_response(EnquireLink(1), message_id="x")
