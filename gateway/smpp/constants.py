"""Every number of SMPP, once. The comments name the section of SMPP 3.4 (issue 1.2), or of SMPP 5.0 where marked "5.0".

A number that a peer sends stays an int: these enumerations name numbers, they never refuse one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from smpplib import consts as smpplib_consts

HEADER_OCTETS: Final = 16  # 3.2: command_length, command_id, command_status, sequence_number
RESPONSE_BIT: Final = 0x80000000  # 5.1.2.1: set in the command_id of every response
MAX_SEQUENCE_NUMBER: Final = 0x7FFFFFFF  # 5.1.4
DEFAULT_MAX_PDU_OCTETS: Final = 65536  # ours: message_payload holds 64 KB at most (5.3.2.32), more is no SMPP

STATUS_VENDOR_FIRST: Final = 0x0400  # 5.1.3: reserved for the SMSC's vendor
STATUS_VENDOR_LAST: Final = 0x04FF
TLV_VENDOR_FIRST: Final = 0x1400  # 5.3.2: reserved for the SMSC's vendor
TLV_VENDOR_LAST: Final = 0x3FFF


class CommandId(IntEnum):
    """5.1.2.1 command_id."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    QUERY_SM = 0x00000003
    QUERY_SM_RESP = 0x80000003
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    REPLACE_SM = 0x00000007
    REPLACE_SM_RESP = 0x80000007
    CANCEL_SM = 0x00000008
    CANCEL_SM_RESP = 0x80000008
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    SUBMIT_MULTI = 0x00000021
    SUBMIT_MULTI_RESP = 0x80000021
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103
    BROADCAST_SM = 0x00000111  # 5.0 4.7.5, as all below
    BROADCAST_SM_RESP = 0x80000111
    QUERY_BROADCAST_SM = 0x00000112
    QUERY_BROADCAST_SM_RESP = 0x80000112
    CANCEL_BROADCAST_SM = 0x00000113
    CANCEL_BROADCAST_SM_RESP = 0x80000113


class CommandStatus(IntEnum):
    """5.1.3 command_status. Where 5.0 renamed a status, both names are here; the 3.4 name is the one shown."""

    ESME_ROK = 0x00000000
    ESME_RINVMSGLEN = 0x00000001
    ESME_RINVCMDLEN = 0x00000002
    ESME_RINVCMDID = 0x00000003
    ESME_RINVBNDSTS = 0x00000004
    ESME_RALYBND = 0x00000005
    ESME_RINVPRTFLG = 0x00000006
    ESME_RINVREGDLVFLG = 0x00000007
    ESME_RSYSERR = 0x00000008
    ESME_RINVSRCADR = 0x0000000A
    ESME_RINVDSTADR = 0x0000000B
    ESME_RINVMSGID = 0x0000000C
    ESME_RBINDFAIL = 0x0000000D
    ESME_RINVPASWD = 0x0000000E
    ESME_RINVSYSID = 0x0000000F
    ESME_RCANCELFAIL = 0x00000011
    ESME_RREPLACEFAIL = 0x00000013
    ESME_RMSGQFUL = 0x00000014
    ESME_RINVSERTYP = 0x00000015
    ESME_RINVNUMDESTS = 0x00000033
    ESME_RINVDLNAME = 0x00000034
    ESME_RINVDESTFLAG = 0x00000040
    ESME_RINVSUBREP = 0x00000042
    ESME_RINVESMCLASS = 0x00000043
    ESME_RCNTSUBDL = 0x00000044
    ESME_RSUBMITFAIL = 0x00000045
    ESME_RINVSRCTON = 0x00000048
    ESME_RINVSRCNPI = 0x00000049
    ESME_RINVDSTTON = 0x00000050
    ESME_RINVDSTNPI = 0x00000051
    ESME_RINVSYSTYP = 0x00000053
    ESME_RINVREPFLAG = 0x00000054
    ESME_RINVNUMMSGS = 0x00000055
    ESME_RTHROTTLED = 0x00000058
    ESME_RINVSCHED = 0x00000061
    ESME_RINVEXPIRY = 0x00000062
    ESME_RINVDFTMSGID = 0x00000063
    ESME_RX_T_APPN = 0x00000064
    ESME_RX_P_APPN = 0x00000065
    ESME_RX_R_APPN = 0x00000066
    ESME_RQUERYFAIL = 0x00000067
    ESME_RINVOPTPARSTREAM = 0x000000C0
    ESME_RINVTLVSTREAM = 0x000000C0  # 5.0
    ESME_ROPTPARNOTALLWD = 0x000000C1
    ESME_RTLVNOTALLWD = 0x000000C1  # 5.0
    ESME_RINVPARLEN = 0x000000C2
    ESME_RINVTLVLEN = 0x000000C2  # 5.0
    ESME_RMISSINGOPTPARAM = 0x000000C3
    ESME_RMISSINGTLV = 0x000000C3  # 5.0
    ESME_RINVOPTPARAMVAL = 0x000000C4
    ESME_RINVTLVVAL = 0x000000C4  # 5.0
    ESME_RDELIVERYFAILURE = 0x000000FE
    ESME_RUNKNOWNERR = 0x000000FF
    ESME_RSERTYPUNAUTH = 0x00000100  # 5.0 4.7.6, as all below
    ESME_RPROHIBITED = 0x00000101
    ESME_RSERTYPUNAVAIL = 0x00000102
    ESME_RSERTYPDENIED = 0x00000103
    ESME_RINVDCS = 0x00000104
    ESME_RINVSRCADDRSUBUNIT = 0x00000105
    ESME_RINVDSTADDRSUBUNIT = 0x00000106
    ESME_RINVBCASTFREQINT = 0x00000107
    ESME_RINVBCASTALIAS_NAME = 0x00000108
    ESME_RINVBCASTAREAFMT = 0x00000109
    ESME_RINVNUMBCAST_AREAS = 0x0000010A
    ESME_RINVBCASTCNTTYPE = 0x0000010B
    ESME_RINVBCASTMSGCLASS = 0x0000010C
    ESME_RBCASTFAIL = 0x0000010D
    ESME_RBCASTQUERYFAIL = 0x0000010E
    ESME_RBCASTCANCELFAIL = 0x0000010F
    ESME_RINVBCAST_REP = 0x00000110
    ESME_RINVBCASTSRVGRP = 0x00000111
    ESME_RINVBCASTCHANIND = 0x00000112


# smpplib describes the statuses of 3.4, all but one; the rest is worded after the tables of the standards.
_OWN_DESCRIPTIONS: Final[dict[int, str]] = {
    CommandStatus.ESME_RINVREGDLVFLG: "Invalid Registered Delivery Flag",
    CommandStatus.ESME_RSERTYPUNAUTH: "ESME not authorised to use the service_type",
    CommandStatus.ESME_RPROHIBITED: "ESME prohibited from using the operation",
    CommandStatus.ESME_RSERTYPUNAVAIL: "The service_type is unavailable",
    CommandStatus.ESME_RSERTYPDENIED: "The service_type is denied",
    CommandStatus.ESME_RINVDCS: "Invalid Data Coding Scheme",
    CommandStatus.ESME_RINVSRCADDRSUBUNIT: "Invalid Source Address Subunit",
    CommandStatus.ESME_RINVDSTADDRSUBUNIT: "Invalid Destination Address Subunit",
    CommandStatus.ESME_RINVBCASTFREQINT: "Invalid Broadcast Frequency Interval",
    CommandStatus.ESME_RINVBCASTALIAS_NAME: "Invalid Broadcast Alias Name",
    CommandStatus.ESME_RINVBCASTAREAFMT: "Invalid Broadcast Area Format",
    CommandStatus.ESME_RINVNUMBCAST_AREAS: "Invalid Number of Broadcast Areas",
    CommandStatus.ESME_RINVBCASTCNTTYPE: "Invalid Broadcast Content Type",
    CommandStatus.ESME_RINVBCASTMSGCLASS: "Invalid Broadcast Message Class",
    CommandStatus.ESME_RBCASTFAIL: "broadcast_sm failed",
    CommandStatus.ESME_RBCASTQUERYFAIL: "query_broadcast_sm failed",
    CommandStatus.ESME_RBCASTCANCELFAIL: "cancel_broadcast_sm failed",
    CommandStatus.ESME_RINVBCAST_REP: "Invalid Number of Repeated Broadcasts",
    CommandStatus.ESME_RINVBCASTSRVGRP: "Invalid Broadcast Service Group",
    CommandStatus.ESME_RINVBCASTCHANIND: "Invalid Broadcast Channel Indicator",
}


def status_name(status: int) -> str:
    """Return the standard's name of a command_status ("ESME_RTHROTTLED"), or its number ("0x00000412")."""
    try:
        return CommandStatus(status).name
    except ValueError:
        return f"0x{status:08X}"


def status_description(status: int) -> str:
    """Say in words what a command_status means; never raises, whatever the number."""
    known = _OWN_DESCRIPTIONS.get(status) or smpplib_consts.DESCRIPTIONS.get(status)
    if known is not None:
        return str(known)
    if STATUS_VENDOR_FIRST <= status <= STATUS_VENDOR_LAST:
        return "The SMSC vendor's own error: see the operator's documents"
    return "Reserved by the standard: see the operator's documents"


def command_name(command_id: int) -> str:
    """Return the standard's name of a command_id ("submit_sm"), or its number ("0x00010203")."""
    try:
        return CommandId(command_id).name.lower()
    except ValueError:
        return f"0x{command_id:08X}"


class TlvTag(IntEnum):
    """5.3.2 tags of the optional parameters; those marked 5.0 are from its 4.8.1."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DESTINATION_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428  # 5.0
    USSD_SERVICE_OP = 0x0501
    BROADCAST_CHANNEL_INDICATOR = 0x0600  # 5.0
    BROADCAST_CONTENT_TYPE = 0x0601  # 5.0
    BROADCAST_CONTENT_TYPE_INFO = 0x0602  # 5.0
    BROADCAST_MESSAGE_CLASS = 0x0603  # 5.0
    BROADCAST_REP_NUM = 0x0604  # 5.0
    BROADCAST_FREQUENCY_INTERVAL = 0x0605  # 5.0
    BROADCAST_AREA_IDENTIFIER = 0x0606  # 5.0
    BROADCAST_ERROR_STATUS = 0x0607  # 5.0
    BROADCAST_AREA_SUCCESS = 0x0608  # 5.0
    BROADCAST_END_TIME = 0x0609  # 5.0
    BROADCAST_SERVICE_GROUP = 0x060A  # 5.0
    BILLING_IDENTIFICATION = 0x060B  # 5.0
    SOURCE_NETWORK_ID = 0x060D  # 5.0
    DEST_NETWORK_ID = 0x060E  # 5.0
    SOURCE_NODE_ID = 0x060F  # 5.0
    DEST_NODE_ID = 0x0610  # 5.0
    DEST_ADDR_NP_RESOLUTION = 0x0611  # 5.0
    DEST_ADDR_NP_INFORMATION = 0x0612  # 5.0
    DEST_ADDR_NP_COUNTRY = 0x0613  # 5.0
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


class InterfaceVersion(IntEnum):
    """5.2.4 interface_version."""

    V33 = 0x33  # 0x00-0x33 all mean 3.3 or older
    V34 = 0x34
    V50 = 0x50


class Ton(IntEnum):
    """5.2.5 type of number."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER_NUMBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class Npi(IntEnum):
    """5.2.6 numbering plan indicator."""

    UNKNOWN = 0
    ISDN = 1  # E.163, E.164
    DATA = 3  # X.121
    TELEX = 4  # F.69
    LAND_MOBILE = 6  # E.212
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    INTERNET = 14
    WAP = 18


class EsmClass(IntEnum):
    """5.2.12 esm_class: bits 1-0 mode, bits 5-2 type, bits 7-6 GSM features."""

    DEFAULT = 0x00
    MODE_MASK = 0x03
    DATAGRAM = 0x01
    FORWARD = 0x02
    STORE_AND_FORWARD = 0x03
    TYPE_MASK = 0x3C
    DELIVERY_RECEIPT = 0x04  # SMSC to ESME: short_message holds a delivery receipt
    DELIVERY_ACKNOWLEDGEMENT = 0x08
    USER_ACKNOWLEDGEMENT = 0x10
    CONVERSATION_ABORT = 0x18
    INTERMEDIATE_NOTIFICATION = 0x20
    UDHI = 0x40  # short_message begins with a user data header
    REPLY_PATH = 0x80


class RegisteredDelivery(IntEnum):
    """5.2.17 registered_delivery: bits 1-0 receipt, 3-2 acknowledgement, 4 intermediate notification."""

    NONE = 0x00
    RECEIPT_MASK = 0x03
    RECEIPT = 0x01
    RECEIPT_ON_FAILURE = 0x02
    RECEIPT_ON_SUCCESS = 0x03  # 5.0 4.7.21
    DELIVERY_ACKNOWLEDGEMENT = 0x04
    USER_ACKNOWLEDGEMENT = 0x08
    INTERMEDIATE_NOTIFICATION = 0x10


class DataCoding(IntEnum):
    """5.2.19 data_coding."""

    DEFAULT_ALPHABET = 0x00  # the SMSC's: GSM 7-bit, ASCII or Latin-1, by agreement
    IA5 = 0x01
    OCTETS = 0x02
    LATIN_1 = 0x03
    OCTETS_2 = 0x04
    JIS = 0x05
    CYRILLIC = 0x06
    HEBREW = 0x07
    UCS2 = 0x08
    PICTOGRAM = 0x09
    ISO_2022_JP = 0x0A
    EXTENDED_KANJI_JIS = 0x0D
    KS_C_5601 = 0x0E


class MessageStateCode(IntEnum):
    """5.2.28 message_state."""

    SCHEDULED = 0  # 5.0 4.7.15
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9  # 5.0 4.7.15


class DestFlag(IntEnum):
    """5.2.25 dest_flag of submit_multi."""

    SME_ADDRESS = 1
    DISTRIBUTION_LIST = 2


class MsAvailabilityStatus(IntEnum):
    """5.3.2.30 ms_availability_status."""

    AVAILABLE = 0
    DENIED = 1
    UNAVAILABLE = 2


class NetworkType(IntEnum):
    """5.3.2.31 first octet of network_error_code."""

    ANSI_136 = 1
    IS_95 = 2
    GSM = 3


class CongestionState(IntEnum):
    """5.0 4.8.4.18 congestion_state: the first number of each range (0 to 100)."""

    IDLE = 0
    LOW_LOAD = 1
    MEDIUM_LOAD = 30
    HIGH_LOAD = 50
    OPTIMUM_LOAD = 80
    NEARING_CONGESTION = 90
    CONGESTED = 100


class BroadcastAreaFormat(IntEnum):
    """5.0 4.8.4.4.1 first octet of broadcast_area_identifier."""

    ALIAS = 0
    ELLIPSOID_ARC = 1
    POLYGON = 2
