"""PDUs as frozen values, and ``encode`` and ``decode`` between them and octets.

Each PDU is a named tuple: sequence_number, command_status, then the body's fields by the standard's names in wire
order, then the TLVs as they came. Strings are str (Latin-1 both ways, no octet is lost), messages are bytes. Numbers stay
numbers, whatever they are. sm_length and the counts of lists are derived, not fields. The rows of ``fields`` say sizes;
a test proves that these classes and the rows agree.

Two PDUs are equal only if they are of the same class; a plain tuple never equals a PDU.
This file is longer than most because the standard has 33 PDUs.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar, Final, NamedTuple

from gateway.smpp.careful import BodyFault, explain_refusal, read_body
from gateway.smpp.codec import SURPRISES, Decoder, Encoder, compile_row, unpack_header
from gateway.smpp.constants import HEADER_OCTETS, RESPONSE_BIT, CommandId, CommandStatus, command_name
from gateway.smpp.errors import LocalProtocolError, RecoverablePduError, UnrecoverablePduError
from gateway.smpp.fields import PDU_ROWS, DestAddress, DistributionList, PduRow, SmeAddress, UnsuccessSme
from gateway.smpp.tlv import Tlv, TlvRegistry, make_tlv, tlv, tlv_int, tlv_str

__all__ = [
    "PDU_CLASSES",
    "RESPONSE_OF",
    "AlertNotification",
    "BindReceiver",
    "BindReceiverResp",
    "BindTransceiver",
    "BindTransceiverResp",
    "BindTransmitter",
    "BindTransmitterResp",
    "BroadcastSm",
    "BroadcastSmResp",
    "CancelBroadcastSm",
    "CancelBroadcastSmResp",
    "CancelSm",
    "CancelSmResp",
    "DataSm",
    "DataSmResp",
    "DeliverSm",
    "DeliverSmResp",
    "DestAddress",
    "DistributionList",
    "EnquireLink",
    "EnquireLinkResp",
    "GenericNack",
    "Outbind",
    "Pdu",
    "QueryBroadcastSm",
    "QueryBroadcastSmResp",
    "QuerySm",
    "QuerySmResp",
    "ReplaceSm",
    "ReplaceSmResp",
    "SmeAddress",
    "SubmitMulti",
    "SubmitMultiResp",
    "SubmitSm",
    "SubmitSmResp",
    "Tlv",
    "TlvRegistry",
    "Unbind",
    "UnbindResp",
    "UnknownPdu",
    "UnsuccessSme",
    "decode",
    "encode",
    "make_response",
    "make_tlv",
    "tlv",
    "tlv_int",
    "tlv_str",
]


class _Command:
    """What every PDU class adds to its named tuple: the command_id, and equality that minds the class."""

    __slots__ = ()
    command_id: ClassVar[CommandId]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((type(self), super().__hash__()))


class _Secretive(_Command):
    """A PDU with a password: its repr, and so logs and tracebacks, must not show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        fields = zip(self._fields, self, strict=True)  # type: ignore[attr-defined,call-overload]
        shown = (f"{name}={'***' if name == 'password' else repr(value)}" for name, value in fields)
        return f"{type(self).__name__}({', '.join(shown)})"


class _NoBody(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    tlvs: tuple[Tlv, ...] = ()


class _Bind(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _BindResp(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    system_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _Outbind(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    system_id: str = ""
    password: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _MessageId(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    message_id: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _Message(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


class _SubmitMulti(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_address: tuple[DestAddress, ...] = ()
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


class _SubmitMultiResp(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    message_id: str = ""
    unsuccess_sme: tuple[UnsuccessSme, ...] = ()
    tlvs: tuple[Tlv, ...] = ()


class _DataSm(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: tuple[Tlv, ...] = ()


class _Query(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _QuerySmResp(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0
    tlvs: tuple[Tlv, ...] = ()


class _CancelSm(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _ReplaceSm(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


class _AlertNotification(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _BroadcastSm(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    message_id: str = ""
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    tlvs: tuple[Tlv, ...] = ()


class _CancelBroadcastSm(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


class _Unknown(NamedTuple):
    sequence_number: int = 0
    command_status: int = 0
    command_id: int = 0
    body: bytes = b""


class UnknownPdu(_Unknown):
    """A PDU whose command_id the standard does not know; its body is kept as octets."""

    __slots__ = ()

    @property
    def tlvs(self) -> tuple[Tlv, ...]:
        """None that we could tell from the rest of the body."""
        return ()


class BindReceiver(_Secretive, _Bind):
    __slots__ = ()
    command_id = CommandId.BIND_RECEIVER


class BindReceiverResp(_Command, _BindResp):
    __slots__ = ()
    command_id = CommandId.BIND_RECEIVER_RESP


class BindTransmitter(_Secretive, _Bind):
    __slots__ = ()
    command_id = CommandId.BIND_TRANSMITTER


class BindTransmitterResp(_Command, _BindResp):
    __slots__ = ()
    command_id = CommandId.BIND_TRANSMITTER_RESP


class BindTransceiver(_Secretive, _Bind):
    __slots__ = ()
    command_id = CommandId.BIND_TRANSCEIVER


class BindTransceiverResp(_Command, _BindResp):
    __slots__ = ()
    command_id = CommandId.BIND_TRANSCEIVER_RESP


class Outbind(_Secretive, _Outbind):
    __slots__ = ()
    command_id = CommandId.OUTBIND


class Unbind(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.UNBIND


class UnbindResp(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.UNBIND_RESP


class GenericNack(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.GENERIC_NACK


class EnquireLink(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.ENQUIRE_LINK


class EnquireLinkResp(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.ENQUIRE_LINK_RESP


class SubmitSm(_Command, _Message):
    __slots__ = ()
    command_id = CommandId.SUBMIT_SM


class SubmitSmResp(_Command, _MessageId):
    __slots__ = ()
    command_id = CommandId.SUBMIT_SM_RESP


class SubmitMulti(_Command, _SubmitMulti):
    __slots__ = ()
    command_id = CommandId.SUBMIT_MULTI


class SubmitMultiResp(_Command, _SubmitMultiResp):
    __slots__ = ()
    command_id = CommandId.SUBMIT_MULTI_RESP


class DeliverSm(_Command, _Message):
    __slots__ = ()
    command_id = CommandId.DELIVER_SM


class DeliverSmResp(_Command, _MessageId):
    __slots__ = ()
    command_id = CommandId.DELIVER_SM_RESP


class DataSm(_Command, _DataSm):
    __slots__ = ()
    command_id = CommandId.DATA_SM


class DataSmResp(_Command, _MessageId):
    __slots__ = ()
    command_id = CommandId.DATA_SM_RESP


class QuerySm(_Command, _Query):
    __slots__ = ()
    command_id = CommandId.QUERY_SM


class QuerySmResp(_Command, _QuerySmResp):
    __slots__ = ()
    command_id = CommandId.QUERY_SM_RESP


class CancelSm(_Command, _CancelSm):
    __slots__ = ()
    command_id = CommandId.CANCEL_SM


class CancelSmResp(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.CANCEL_SM_RESP


class ReplaceSm(_Command, _ReplaceSm):
    __slots__ = ()
    command_id = CommandId.REPLACE_SM


class ReplaceSmResp(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.REPLACE_SM_RESP


class AlertNotification(_Command, _AlertNotification):
    __slots__ = ()
    command_id = CommandId.ALERT_NOTIFICATION


class BroadcastSm(_Command, _BroadcastSm):
    __slots__ = ()
    command_id = CommandId.BROADCAST_SM


class BroadcastSmResp(_Command, _MessageId):
    __slots__ = ()
    command_id = CommandId.BROADCAST_SM_RESP


class QueryBroadcastSm(_Command, _Query):
    __slots__ = ()
    command_id = CommandId.QUERY_BROADCAST_SM


class QueryBroadcastSmResp(_Command, _MessageId):
    __slots__ = ()
    command_id = CommandId.QUERY_BROADCAST_SM_RESP


class CancelBroadcastSm(_Command, _CancelBroadcastSm):
    __slots__ = ()
    command_id = CommandId.CANCEL_BROADCAST_SM


class CancelBroadcastSmResp(_Command, _NoBody):
    __slots__ = ()
    command_id = CommandId.CANCEL_BROADCAST_SM_RESP


Pdu = (
    BindReceiver
    | BindReceiverResp
    | BindTransmitter
    | BindTransmitterResp
    | BindTransceiver
    | BindTransceiverResp
    | Outbind
    | Unbind
    | UnbindResp
    | GenericNack
    | EnquireLink
    | EnquireLinkResp
    | SubmitSm
    | SubmitSmResp
    | SubmitMulti
    | SubmitMultiResp
    | DeliverSm
    | DeliverSmResp
    | DataSm
    | DataSmResp
    | QuerySm
    | QuerySmResp
    | CancelSm
    | CancelSmResp
    | ReplaceSm
    | ReplaceSmResp
    | AlertNotification
    | BroadcastSm
    | BroadcastSmResp
    | QueryBroadcastSm
    | QueryBroadcastSmResp
    | CancelBroadcastSm
    | CancelBroadcastSmResp
    | UnknownPdu
)

PDU_CLASSES: Final[tuple[type[_Command], ...]] = (
    BindReceiver,
    BindReceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    BindTransceiver,
    BindTransceiverResp,
    Outbind,
    Unbind,
    UnbindResp,
    GenericNack,
    EnquireLink,
    EnquireLinkResp,
    SubmitSm,
    SubmitSmResp,
    SubmitMulti,
    SubmitMultiResp,
    DeliverSm,
    DeliverSmResp,
    DataSm,
    DataSmResp,
    QuerySm,
    QuerySmResp,
    CancelSm,
    CancelSmResp,
    ReplaceSm,
    ReplaceSmResp,
    AlertNotification,
    BroadcastSm,
    BroadcastSmResp,
    QueryBroadcastSm,
    QueryBroadcastSmResp,
    CancelBroadcastSm,
    CancelBroadcastSmResp,
)
_CLASS_OF: Final[dict[int, type[_Command]]] = {pdu_class.command_id: pdu_class for pdu_class in PDU_CLASSES}
_ROW_OF: Final[dict[int, PduRow]] = {row.command_id: row for row in PDU_ROWS}
# Which class answers a request. alert_notification and outbind have no answer in the standard.
RESPONSE_OF: Final[dict[int, type[Any]]] = {
    command_id: _CLASS_OF[command_id | RESPONSE_BIT]
    for command_id in _CLASS_OF
    if not command_id & RESPONSE_BIT and command_id | RESPONSE_BIT in _CLASS_OF
}

_ENCODERS: Final[dict[type, Encoder]] = {}
_DECODERS: Final[dict[int, Decoder]] = {}
for _class in PDU_CLASSES:
    _ENCODERS[_class], _DECODERS[_class.command_id] = compile_row(_ROW_OF[_class.command_id], _class)


def make_response(request: Pdu, command_status: int = CommandStatus.ESME_ROK, **fields: Any) -> Pdu:
    """Build the response to a request: same sequence_number, the fields given by name, the rest at their defaults.

    Raises LocalProtocolError if the request has no response in the standard, or the response no such field.
    """
    response_class = RESPONSE_OF.get(request.command_id)
    if response_class is None:
        raise LocalProtocolError(f"{command_name(request.command_id)}: the standard has no response to it")
    try:
        response: Pdu = response_class(request.sequence_number, int(command_status), **fields)
    except TypeError as error:
        name = command_name(response_class.command_id)
        raise LocalProtocolError(f"{name}: {', '.join(fields)} are not all fields of it") from error
    return response


def encode(pdu: Pdu) -> bytes:
    """Turn a PDU into octets, header included. Raises LocalProtocolError that names the faulty field."""
    try:
        encoder = _ENCODERS[type(pdu)]
    except KeyError:
        return _encode_unknown(pdu)
    try:
        return encoder(pdu)
    except SURPRISES as error:
        raise explain_refusal(_ROW_OF[pdu.command_id], pdu, error) from error


def _encode_unknown(pdu: Pdu) -> bytes:
    if not isinstance(pdu, UnknownPdu):
        raise LocalProtocolError(f"a {type(pdu).__name__} is no PDU")
    sequence_number, command_status, command_id, body = pdu
    try:
        header = struct.pack(">IIII", HEADER_OCTETS + len(body), command_id, command_status, sequence_number)
        return header + body
    except SURPRISES as error:
        raise LocalProtocolError("UnknownPdu: a number of the header does not fit in 4 octets") from error


def decode(frame: bytes) -> Pdu:
    """Turn one whole PDU, as ``Framer`` cuts it, into a value.

    Raises RecoverablePduError with the command_status to answer with (a body that does not follow the standard), or
    UnrecoverablePduError (a header that does not fit the frame). An unknown command_id is no error: UnknownPdu.
    """
    try:
        size, command_id, command_status, sequence_number = unpack_header(frame)
    except struct.error:
        reason = f"{len(frame)} octets are less than a header"
        raise UnrecoverablePduError(0, 0, CommandStatus.ESME_RINVCMDLEN, reason) from None
    if size != len(frame):
        reason = f"command_length {size} in a frame of {len(frame)} octets"
        raise UnrecoverablePduError(command_id, sequence_number, CommandStatus.ESME_RINVCMDLEN, reason)
    try:
        decoder = _DECODERS[command_id]
    except KeyError:
        return UnknownPdu(sequence_number, command_status, command_id, frame[HEADER_OCTETS:])
    try:
        return decoder(frame, size, command_status, sequence_number)  # type: ignore[no-any-return]
    except SURPRISES:
        return _decode_carefully(frame, command_id, command_status, sequence_number)


def _decode_carefully(frame: bytes, command_id: int, command_status: int, sequence_number: int) -> Pdu:
    try:
        body = read_body(_ROW_OF[command_id], frame, command_status)
    except BodyFault as fault:
        reason = f"{command_name(command_id)}: {fault.reason}"
        raise RecoverablePduError(command_id, sequence_number, fault.status, reason) from None
    pdu_class: Any = _CLASS_OF[command_id]
    if body is None:
        return pdu_class(sequence_number, command_status)  # type: ignore[no-any-return]
    values, tlvs = body
    return pdu_class(sequence_number, command_status, *values, tlvs)  # type: ignore[no-any-return]
