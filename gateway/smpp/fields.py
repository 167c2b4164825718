"""SMPP as data: each PDU's body and each TLV is a row here; ``codec`` compiles the rows when it is imported.

Field sizes are octets on the wire, the terminating NUL of a C-octet string included, as the standard counts.
A field's ``fault`` is the command_status that answers a PDU in which this field is too long.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from gateway.smpp.constants import CommandId, CommandStatus, TlvTag


class Kind(Enum):
    """How a value lies on the wire (SMPP 3.4 §3.1)."""

    INTEGER = "integer"  # unsigned, big endian
    C_OCTET_STRING = "cstring"  # ends with NUL; a str here, Latin-1 both ways, so that no octet is lost
    OCTET_STRING = "octets"  # as given; in a PDU's body preceded by its length in one octet (sm_length)
    DEST_ADDRESSES = "dest_addresses"  # number_of_dests, then that many addresses with their dest_flag
    UNSUCCESS_SMES = "unsuccess_smes"  # no_unsuccess, then that many addresses with their error


class SmeAddress(NamedTuple):
    """One destination of submit_multi with dest_flag 1 (SMPP 3.4 §4.5.1.1)."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""


class DistributionList(NamedTuple):
    """One destination of submit_multi with dest_flag 2 (SMPP 3.4 §4.5.1.2)."""

    dl_name: str = ""


DestAddress = SmeAddress | DistributionList


class UnsuccessSme(NamedTuple):
    """One destination that submit_multi could not serve (SMPP 3.4 §4.5.2.1)."""

    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    error_status_code: int = 0


class Field(NamedTuple):
    """One mandatory parameter of a PDU."""

    name: str
    kind: Kind
    max_octets: int
    fault: CommandStatus = CommandStatus.ESME_RINVPARLEN


class PduRow(NamedTuple):
    """The body of one PDU."""

    command_id: CommandId
    fields: tuple[Field, ...] = ()
    # A response of status 0 may come without a body: its one field is an id that the standard leaves unused, or that
    # real SMSCs leave out. Any response of another status may lack its body (3.4 §4.4.2).
    empty_body_ok: bool = False


class TlvRow(NamedTuple):
    """One optional parameter.

    commands: the command_ids of the PDUs that may carry it; None: the standard's own rows, not policed.
    """

    name: str
    tag: int
    kind: Kind
    min_octets: int
    max_octets: int
    commands: frozenset[int] | None = None


def _integer(name: str) -> Field:
    return Field(name, Kind.INTEGER, 1)


def _string(name: str, max_octets: int, fault: CommandStatus = CommandStatus.ESME_RINVPARLEN) -> Field:
    return Field(name, Kind.C_OCTET_STRING, max_octets, fault)


_SERVICE_TYPE: Final = _string("service_type", 6, CommandStatus.ESME_RINVSERTYP)
_MESSAGE_ID: Final = _string("message_id", 65, CommandStatus.ESME_RINVMSGID)
_SYSTEM_ID: Final = _string("system_id", 16, CommandStatus.ESME_RINVSYSID)
# The standard says 9 octets; operators hand out longer passwords, and servers that hold to 9 refuse these themselves.
_PASSWORD: Final = _string("password", 65, CommandStatus.ESME_RINVPASWD)
_SCHEDULE: Final = _string("schedule_delivery_time", 17, CommandStatus.ESME_RINVSCHED)
_VALIDITY: Final = _string("validity_period", 17, CommandStatus.ESME_RINVEXPIRY)
# 254 octets in 3.4 §4.4.1, 255 in 5.0 §4.7.28: what one octet of length can say, so that all we decode can be encoded.
_SHORT_MESSAGE: Final = Field("short_message", Kind.OCTET_STRING, 255, CommandStatus.ESME_RINVMSGLEN)


def _source(max_octets: int = 21) -> tuple[Field, ...]:
    return (
        _integer("source_addr_ton"),
        _integer("source_addr_npi"),
        _string("source_addr", max_octets, CommandStatus.ESME_RINVSRCADR),
    )


def _destination(max_octets: int = 21) -> tuple[Field, ...]:
    return (
        _integer("dest_addr_ton"),
        _integer("dest_addr_npi"),
        _string("destination_addr", max_octets, CommandStatus.ESME_RINVDSTADR),
    )


_BIND: Final = (
    _SYSTEM_ID,
    _PASSWORD,
    _string("system_type", 13, CommandStatus.ESME_RINVSYSTYP),
    _integer("interface_version"),
    _integer("addr_ton"),
    _integer("addr_npi"),
    _string("address_range", 41),
)
_AFTER_DESTINATION: Final = (
    _integer("esm_class"),
    _integer("protocol_id"),
    _integer("priority_flag"),
    _SCHEDULE,
    _VALIDITY,
    _integer("registered_delivery"),
    _integer("replace_if_present_flag"),
    _integer("data_coding"),
    _integer("sm_default_msg_id"),
    _SHORT_MESSAGE,
)
_MESSAGE: Final = (_SERVICE_TYPE, *_source(), *_destination(), *_AFTER_DESTINATION)

PDU_ROWS: Final[tuple[PduRow, ...]] = (
    PduRow(CommandId.BIND_RECEIVER, _BIND),  # 4.1.3
    PduRow(CommandId.BIND_RECEIVER_RESP, (_SYSTEM_ID,), empty_body_ok=True),
    PduRow(CommandId.BIND_TRANSMITTER, _BIND),  # 4.1.1
    PduRow(CommandId.BIND_TRANSMITTER_RESP, (_SYSTEM_ID,), empty_body_ok=True),
    PduRow(CommandId.BIND_TRANSCEIVER, _BIND),  # 4.1.5
    PduRow(CommandId.BIND_TRANSCEIVER_RESP, (_SYSTEM_ID,), empty_body_ok=True),
    PduRow(CommandId.OUTBIND, (_SYSTEM_ID, _PASSWORD)),  # 4.1.7
    PduRow(CommandId.UNBIND),  # 4.2
    PduRow(CommandId.UNBIND_RESP, empty_body_ok=True),
    PduRow(CommandId.GENERIC_NACK, empty_body_ok=True),  # 4.3
    PduRow(CommandId.SUBMIT_SM, _MESSAGE),  # 4.4.1
    PduRow(CommandId.SUBMIT_SM_RESP, (_MESSAGE_ID,), empty_body_ok=True),  # 4.4.2
    PduRow(  # 4.5.1
        CommandId.SUBMIT_MULTI,
        (
            _SERVICE_TYPE,
            *_source(),
            Field("dest_address", Kind.DEST_ADDRESSES, 254, CommandStatus.ESME_RINVNUMDESTS),
            *_AFTER_DESTINATION,
        ),
    ),
    PduRow(  # 4.5.2
        CommandId.SUBMIT_MULTI_RESP,
        (_MESSAGE_ID, Field("unsuccess_sme", Kind.UNSUCCESS_SMES, 255, CommandStatus.ESME_RINVNUMDESTS)),
    ),
    PduRow(CommandId.DELIVER_SM, _MESSAGE),  # 4.6.1
    PduRow(CommandId.DELIVER_SM_RESP, (_MESSAGE_ID,), empty_body_ok=True),  # 4.6.2
    PduRow(  # 4.7.1
        CommandId.DATA_SM,
        (
            _SERVICE_TYPE,
            *_source(65),
            *_destination(65),
            _integer("esm_class"),
            _integer("registered_delivery"),
            _integer("data_coding"),
        ),
    ),
    PduRow(CommandId.DATA_SM_RESP, (_MESSAGE_ID,), empty_body_ok=True),  # 4.7.2
    PduRow(CommandId.QUERY_SM, (_MESSAGE_ID, *_source())),  # 4.8.1
    PduRow(  # 4.8.2
        CommandId.QUERY_SM_RESP,
        (_MESSAGE_ID, _string("final_date", 17), _integer("message_state"), _integer("error_code")),
    ),
    PduRow(CommandId.CANCEL_SM, (_SERVICE_TYPE, _MESSAGE_ID, *_source(), *_destination())),  # 4.9.1
    PduRow(CommandId.CANCEL_SM_RESP, empty_body_ok=True),
    PduRow(  # 4.10.1
        CommandId.REPLACE_SM,
        (
            _MESSAGE_ID,
            *_source(),
            _SCHEDULE,
            _VALIDITY,
            _integer("registered_delivery"),
            _integer("sm_default_msg_id"),
            _SHORT_MESSAGE,
        ),
    ),
    PduRow(CommandId.REPLACE_SM_RESP, empty_body_ok=True),
    PduRow(CommandId.ENQUIRE_LINK),  # 4.11
    PduRow(CommandId.ENQUIRE_LINK_RESP, empty_body_ok=True),
    PduRow(  # 4.12.1
        CommandId.ALERT_NOTIFICATION,
        (*_source(65), _integer("esme_addr_ton"), _integer("esme_addr_npi"), _string("esme_addr", 65)),
    ),
    PduRow(  # 5.0 4.4.1.1
        CommandId.BROADCAST_SM,
        (
            _SERVICE_TYPE,
            *_source(),
            _MESSAGE_ID,
            _integer("priority_flag"),
            _SCHEDULE,
            _VALIDITY,
            _integer("replace_if_present_flag"),
            _integer("data_coding"),
            _integer("sm_default_msg_id"),
        ),
    ),
    PduRow(CommandId.BROADCAST_SM_RESP, (_MESSAGE_ID,), empty_body_ok=True),  # 5.0 4.4.1.2
    PduRow(CommandId.QUERY_BROADCAST_SM, (_MESSAGE_ID, *_source())),  # 5.0 4.6.1.1
    PduRow(CommandId.QUERY_BROADCAST_SM_RESP, (_MESSAGE_ID,), empty_body_ok=True),  # 5.0 4.6.1.3
    PduRow(CommandId.CANCEL_BROADCAST_SM, (_SERVICE_TYPE, _MESSAGE_ID, *_source())),  # 5.0 4.6.2.1
    PduRow(CommandId.CANCEL_BROADCAST_SM_RESP, empty_body_ok=True),
)


def _int_tlv(tag: TlvTag, octets: int = 1) -> TlvRow:
    return TlvRow(tag.name.lower(), tag, Kind.INTEGER, octets, octets)


def _str_tlv(tag: TlvTag, max_octets: int) -> TlvRow:
    return TlvRow(tag.name.lower(), tag, Kind.C_OCTET_STRING, 1, max_octets)


def _octets_tlv(tag: TlvTag, min_octets: int, max_octets: int) -> TlvRow:
    return TlvRow(tag.name.lower(), tag, Kind.OCTET_STRING, min_octets, max_octets)


TLV_ROWS: Final[tuple[TlvRow, ...]] = (
    _int_tlv(TlvTag.DEST_ADDR_SUBUNIT),
    _int_tlv(TlvTag.DEST_NETWORK_TYPE),
    _int_tlv(TlvTag.DEST_BEARER_TYPE),
    _int_tlv(TlvTag.DEST_TELEMATICS_ID, 2),
    _int_tlv(TlvTag.SOURCE_ADDR_SUBUNIT),
    _int_tlv(TlvTag.SOURCE_NETWORK_TYPE),
    _int_tlv(TlvTag.SOURCE_BEARER_TYPE),
    _int_tlv(TlvTag.SOURCE_TELEMATICS_ID),  # one octet, unlike its counterpart: 5.3.2.8
    _int_tlv(TlvTag.QOS_TIME_TO_LIVE, 4),
    _int_tlv(TlvTag.PAYLOAD_TYPE),
    _str_tlv(TlvTag.ADDITIONAL_STATUS_INFO_TEXT, 256),
    _str_tlv(TlvTag.RECEIPTED_MESSAGE_ID, 65),
    _int_tlv(TlvTag.MS_MSG_WAIT_FACILITIES),
    _int_tlv(TlvTag.PRIVACY_INDICATOR),
    _octets_tlv(TlvTag.SOURCE_SUBADDRESS, 2, 23),
    _octets_tlv(TlvTag.DEST_SUBADDRESS, 2, 23),
    _int_tlv(TlvTag.USER_MESSAGE_REFERENCE, 2),
    _int_tlv(TlvTag.USER_RESPONSE_CODE),
    _int_tlv(TlvTag.SOURCE_PORT, 2),
    _int_tlv(TlvTag.DESTINATION_PORT, 2),
    _int_tlv(TlvTag.SAR_MSG_REF_NUM, 2),
    _int_tlv(TlvTag.LANGUAGE_INDICATOR),
    _int_tlv(TlvTag.SAR_TOTAL_SEGMENTS),
    _int_tlv(TlvTag.SAR_SEGMENT_SEQNUM),
    _int_tlv(TlvTag.SC_INTERFACE_VERSION),
    _int_tlv(TlvTag.CALLBACK_NUM_PRES_IND),
    _octets_tlv(TlvTag.CALLBACK_NUM_ATAG, 1, 65),
    _int_tlv(TlvTag.NUMBER_OF_MESSAGES),
    _octets_tlv(TlvTag.CALLBACK_NUM, 4, 19),
    _int_tlv(TlvTag.DPF_RESULT),
    _int_tlv(TlvTag.SET_DPF),
    _int_tlv(TlvTag.MS_AVAILABILITY_STATUS),
    _octets_tlv(TlvTag.NETWORK_ERROR_CODE, 3, 3),
    _octets_tlv(TlvTag.MESSAGE_PAYLOAD, 0, 65535),
    _int_tlv(TlvTag.DELIVERY_FAILURE_REASON),
    _int_tlv(TlvTag.MORE_MESSAGES_TO_SEND),
    _int_tlv(TlvTag.MESSAGE_STATE),
    _int_tlv(TlvTag.CONGESTION_STATE),
    _int_tlv(TlvTag.USSD_SERVICE_OP),
    _int_tlv(TlvTag.BROADCAST_CHANNEL_INDICATOR),
    _octets_tlv(TlvTag.BROADCAST_CONTENT_TYPE, 3, 3),
    _octets_tlv(TlvTag.BROADCAST_CONTENT_TYPE_INFO, 1, 255),
    _int_tlv(TlvTag.BROADCAST_MESSAGE_CLASS),
    _int_tlv(TlvTag.BROADCAST_REP_NUM, 2),
    _octets_tlv(TlvTag.BROADCAST_FREQUENCY_INTERVAL, 3, 3),
    _octets_tlv(TlvTag.BROADCAST_AREA_IDENTIFIER, 1, 100),
    _int_tlv(TlvTag.BROADCAST_ERROR_STATUS, 4),
    _int_tlv(TlvTag.BROADCAST_AREA_SUCCESS),
    _str_tlv(TlvTag.BROADCAST_END_TIME, 17),
    _octets_tlv(TlvTag.BROADCAST_SERVICE_GROUP, 1, 255),
    _octets_tlv(TlvTag.BILLING_IDENTIFICATION, 1, 1024),
    _str_tlv(TlvTag.SOURCE_NETWORK_ID, 65),
    _str_tlv(TlvTag.DEST_NETWORK_ID, 65),
    _octets_tlv(TlvTag.SOURCE_NODE_ID, 6, 6),
    _octets_tlv(TlvTag.DEST_NODE_ID, 6, 6),
    _int_tlv(TlvTag.DEST_ADDR_NP_RESOLUTION),
    _octets_tlv(TlvTag.DEST_ADDR_NP_INFORMATION, 0, 10),
    _octets_tlv(TlvTag.DEST_ADDR_NP_COUNTRY, 1, 5),
    _int_tlv(TlvTag.DISPLAY_TIME),
    _int_tlv(TlvTag.SMS_SIGNAL, 2),
    _octets_tlv(TlvTag.MS_VALIDITY, 1, 4),  # one octet in 3.4, four with a time in 5.0
    _octets_tlv(TlvTag.ALERT_ON_MESSAGE_DELIVERY, 0, 1),  # empty in 3.4, one octet in 5.0
    _int_tlv(TlvTag.ITS_REPLY_TYPE),
    _octets_tlv(TlvTag.ITS_SESSION_INFO, 2, 2),
)
