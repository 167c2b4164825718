"""The slow, exact half of the codec: what to do with a PDU that the compiled half could not take as it is.

The compiled functions of ``codec`` handle clean PDUs and give up at the first surprise without saying why. Then this
module walks the rows field by field. It finds the exact fault and its command_status, or it accepts what real
SMSCs send although the standard forbids it:

- a response without a body (see ``PduRow.empty_body_ok``);
- an over-long string in a response: we cannot answer a response, and a long message_id is still a message_id;
- an unreadable body under a command_status other than ESME_ROK: the status is the answer, the body is not needed.

Tests hold the two halves to the same answers.
"""

from __future__ import annotations

from typing import Any

from gateway.smpp.constants import HEADER_OCTETS, RESPONSE_BIT, CommandStatus, DestFlag, command_name
from gateway.smpp.errors import LocalProtocolError
from gateway.smpp.fields import DestAddress, DistributionList, Field, Kind, PduRow, SmeAddress, UnsuccessSme
from gateway.smpp.tlv import Tlv

Body = tuple[list[Any], tuple[Tlv, ...]]


class BodyFault(Exception):
    """Why a body cannot be read, and the command_status that says so."""

    def __init__(self, status: CommandStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def read_body(row: PduRow, frame: bytes, command_status: int) -> Body | None:
    """Return the values of the row's fields and the TLVs, or None where the body is to be left at its defaults.

    Raises BodyFault.
    """
    response = bool(row.command_id & RESPONSE_BIT)
    if len(frame) == HEADER_OCTETS and response and (row.empty_body_ok or command_status):
        return None
    reader = _Reader(frame, lenient=response)
    try:
        return [reader.read(field) for field in row.fields], reader.tlvs()
    except BodyFault:
        if response and command_status:
            return None
        raise


class _Reader:
    """Walks one frame. Every read checks the end of the frame first."""

    def __init__(self, frame: bytes, *, lenient: bool) -> None:
        self._frame = frame
        self._position = HEADER_OCTETS
        self._lenient = lenient

    def read(self, field: Field) -> Any:
        match field.kind:
            case Kind.INTEGER:
                return self._integer(field.name)
            case Kind.C_OCTET_STRING:
                return self._string(field)
            case Kind.OCTET_STRING:
                length = self._integer("sm_length")
                return self._octets(length, field.name, CommandStatus.ESME_RINVMSGLEN)
            case Kind.DEST_ADDRESSES:
                return tuple(self._dest_address() for _ in range(self._integer("number_of_dests")))
            case Kind.UNSUCCESS_SMES:
                return tuple(self._unsuccess_sme() for _ in range(self._integer("no_unsuccess")))

    def tlvs(self) -> tuple[Tlv, ...]:
        found = []
        while self._position < len(self._frame):
            if self._position + 4 > len(self._frame):
                left = len(self._frame) - self._position
                raise BodyFault(CommandStatus.ESME_RINVOPTPARSTREAM, f"{left} octets after the last field are no TLV")
            tag = self._big_endian(2, "tag")
            length = self._big_endian(2, "length")
            found.append(Tlv(tag, self._octets(length, f"TLV 0x{tag:04X}", CommandStatus.ESME_RINVPARLEN)))
        return tuple(found)

    def _octets(self, length: int, name: str, fault: CommandStatus) -> bytes:
        end = self._position + length
        if end > len(self._frame):
            raise BodyFault(fault, f"{name} has {length} octets, the PDU only {len(self._frame) - self._position} more")
        octets = self._frame[self._position : end]
        self._position = end
        return octets

    def _big_endian(self, octets: int, name: str) -> int:
        return int.from_bytes(self._octets(octets, name, CommandStatus.ESME_RINVCMDLEN), "big")

    def _integer(self, name: str) -> int:
        return self._big_endian(1, name)

    def _string(self, field: Field) -> str:
        end = self._frame.find(b"\0", self._position)
        if end < 0:
            raise BodyFault(CommandStatus.ESME_RINVCMDLEN, f"{field.name} does not end before the PDU does")
        octets = self._frame[self._position : end]
        if len(octets) >= field.max_octets and not self._lenient:
            raise BodyFault(field.fault, f"{field.name} has more than {field.max_octets} octets")
        self._position = end + 1
        return octets.decode("latin-1")

    def _dest_address(self) -> DestAddress:
        flag = self._integer("dest_flag")
        if flag == DestFlag.SME_ADDRESS:
            return SmeAddress(self._integer("dest_addr_ton"), self._integer("dest_addr_npi"), self._string(_DEST))
        if flag == DestFlag.DISTRIBUTION_LIST:
            return DistributionList(self._string(_LIST_NAME))
        raise BodyFault(CommandStatus.ESME_RINVDESTFLAG, f"dest_flag {flag} is neither 1 nor 2")

    def _unsuccess_sme(self) -> UnsuccessSme:
        ton, npi = self._integer("dest_addr_ton"), self._integer("dest_addr_npi")
        return UnsuccessSme(ton, npi, self._string(_DEST), self._big_endian(4, "error_status_code"))


_DEST = Field("destination_addr", Kind.C_OCTET_STRING, 21, CommandStatus.ESME_RINVDSTADR)
_LIST_NAME = Field("dl_name", Kind.C_OCTET_STRING, 21, CommandStatus.ESME_RINVDLNAME)


def explain_refusal(row: PduRow, pdu: tuple[Any, ...], cause: Exception) -> LocalProtocolError:
    """Say which field of our own PDU cannot be encoded, and why. The text holds sizes and types, never the content."""
    command = command_name(row.command_id)
    sequence_number, command_status, *values, tlvs = pdu
    header = (("sequence_number", sequence_number), ("command_status", command_status))
    complaints = [_complain_integer(name, value, 4) for name, value in header]
    complaints += [_complain(field, value) for field, value in zip(row.fields, values, strict=True)]
    complaints.append(_complain_tlvs(tlvs))
    found = [complaint for complaint in complaints if complaint]
    return LocalProtocolError(f"{command}: {'; '.join(found) or f'cannot be encoded ({type(cause).__name__})'}")


def _complain(field: Field, value: Any) -> str:
    match field.kind:
        case Kind.INTEGER:
            return _complain_integer(field.name, value, 1)
        case Kind.C_OCTET_STRING:
            return _complain_string(field, value)
        case Kind.OCTET_STRING:
            if not isinstance(value, bytes):
                return f"{field.name} must be bytes, not {type(value).__name__}"
            return _complain_size(field, len(value))
        case Kind.DEST_ADDRESSES | Kind.UNSUCCESS_SMES:
            return _complain_list(field, value)


def _complain_integer(name: str, value: Any, octets: int) -> str:
    if not isinstance(value, int):
        return f"{name} must be an int, not {type(value).__name__}"
    return "" if 0 <= value < 1 << 8 * octets else f"{name} does not fit in {octets} octets"


def _complain_string(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        return f"{field.name} must be a str, not {type(value).__name__}"
    if "\0" in value:
        return f"{field.name} holds a NUL"
    if not all(character <= "\xff" for character in value):
        return f"{field.name} holds a character outside Latin-1"
    return _complain_size(field, len(value) + 1)


def _complain_size(field: Field, size: int) -> str:
    return f"{field.name} has {size}, at most {field.max_octets} are allowed" if size > field.max_octets else ""


def _complain_list(field: Field, value: Any) -> str:
    if not isinstance(value, tuple | list):
        return f"{field.name} must be a tuple, not {type(value).__name__}"
    allowed = (UnsuccessSme,) if field.kind is Kind.UNSUCCESS_SMES else (SmeAddress, DistributionList)
    for address in value:
        if not isinstance(address, allowed):
            names = " or ".join(item.__name__ for item in allowed)
            return f"{field.name} holds a {type(address).__name__}, not a {names}"
    return _complain_size(field, len(value)) or "; ".join(filter(None, map(_complain_address, value)))


def _complain_address(address: DestAddress | UnsuccessSme) -> str:
    if isinstance(address, DistributionList):
        return _complain_string(_LIST_NAME, address.dl_name)
    ton, npi, number, *status = address
    complaints = [_complain_integer("dest_addr_ton", ton, 1), _complain_integer("dest_addr_npi", npi, 1)]
    complaints.append(_complain_string(_DEST, number))
    complaints += [_complain_integer("error_status_code", value, 4) for value in status]
    return "; ".join(filter(None, complaints))


def _complain_tlvs(tlvs: Any) -> str:
    if not isinstance(tlvs, tuple | list):
        return f"tlvs must be a tuple, not {type(tlvs).__name__}"
    for item in tlvs:
        if not isinstance(item, tuple) or len(item) != 2:
            return f"tlvs holds a {type(item).__name__}, not a Tlv"
        tag, value = item
        if not isinstance(tag, int) or not 0 <= tag <= 0xFFFF:
            return "a TLV's tag does not fit in 2 octets"
        if not isinstance(value, bytes):
            return f"TLV 0x{tag:04X} must hold bytes, not {type(value).__name__}"
        if len(value) > 0xFFFF:
            return f"TLV 0x{tag:04X} has {len(value)} octets, at most 65535 are allowed"
    return ""
