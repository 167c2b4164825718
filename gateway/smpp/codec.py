"""The fast half of the codec: one encode and one decode function per PDU, generated from its row on import.

Why generated: a loop over the fields costs more than the fields. A generated function is straight-line code without
a test for the kind of each field: about what one would write by hand, without the chance to mistype it by hand. To
read one: ``print(decoder_source("submit_sm", row))``. The source holds names and numbers of our own rows only; nothing
of it comes from outside.

The functions take clean PDUs. At anything else they raise whatever Python raises there; ``decode`` and ``encode``
then ask ``careful`` for the exact fault or the accepted deviation. So the fast half holds no error handling, and
each check in it is there to be sure that an unclean PDU cannot pass.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gateway.smpp.constants import DestFlag
from gateway.smpp.fields import DistributionList, Field, Kind, PduRow, SmeAddress, UnsuccessSme
from gateway.smpp.tlv import Tlv

# What the generated code and its helpers raise on an unclean PDU: no terminator, past the end, out of range, wrong type.
SURPRISES = (ValueError, IndexError, TypeError, AttributeError, OverflowError, struct.error)

Decoder = Callable[[bytes, int, int, int], Any]  # frame, its length, command_status, sequence_number → a PDU
Encoder = Callable[[Any], bytes]

unpack_header = struct.Struct(">IIII").unpack_from
_pack_header = struct.Struct(">IIII").pack
_unpack_tlv_header = struct.Struct(">HH").unpack_from
_pack_tlv_header = struct.Struct(">HH").pack
_pack_u32 = struct.Struct(">I").pack
_unpack_u32 = struct.Struct(">I").unpack_from
_new = tuple.__new__  # builds a named tuple without its __new__, which costs as much as half a decode


def read_tlvs(frame: bytes, position: int, end: int) -> tuple[Tlv, ...]:
    """Read TLVs up to the end of the frame, whatever their tags. Raises one of SURPRISES."""
    found = []
    while position < end:
        tag, length = _unpack_tlv_header(frame, position)
        start = position + 4
        position = start + length
        found.append(_new(Tlv, (tag, frame[start:position])))
    if position != end:  # only the last one can reach beyond the end, and its slice is cut there
        raise ValueError
    return tuple(found)


def write_tlvs(tlvs: tuple[Tlv, ...]) -> bytes:
    return b"".join([_pack_tlv_header(tag, len(value)) + value for tag, value in tlvs])


def read_dest_addresses(frame: bytes, position: int) -> tuple[tuple[Any, ...], int]:
    count, position = frame[position], position + 1
    found: list[Any] = []
    for _ in range(count):
        flag = frame[position]
        if flag == DestFlag.SME_ADDRESS:
            end = frame.index(0, position + 3, position + 24)
            number = frame[position + 3 : end].decode("latin-1")
            found.append(_new(SmeAddress, (frame[position + 1], frame[position + 2], number)))
        elif flag == DestFlag.DISTRIBUTION_LIST:
            end = frame.index(0, position + 1, position + 22)
            found.append(_new(DistributionList, (frame[position + 1 : end].decode("latin-1"),)))
        else:
            raise ValueError
        position = end + 1
    return tuple(found), position


def write_dest_addresses(addresses: tuple[Any, ...]) -> bytes:
    if len(addresses) > 254:  # 3.4 §5.2.24
        raise ValueError
    parts = [b"%c" % len(addresses)]
    for address in addresses:
        if isinstance(address, SmeAddress):
            parts.append(b"\1%c%c%b\0" % (address[0], address[1], _short_string(address[2])))
        elif isinstance(address, DistributionList):
            parts.append(b"\2%b\0" % _short_string(address[0]))
        else:
            raise TypeError
    return b"".join(parts)


def read_unsuccess_smes(frame: bytes, position: int) -> tuple[tuple[UnsuccessSme, ...], int]:
    count, position = frame[position], position + 1
    found = []
    for _ in range(count):
        end = frame.index(0, position + 2, position + 23)
        number = frame[position + 2 : end].decode("latin-1")
        (status,) = _unpack_u32(frame, end + 1)
        found.append(_new(UnsuccessSme, (frame[position], frame[position + 1], number, status)))
        position = end + 5
    return tuple(found), position


def write_unsuccess_smes(addresses: tuple[UnsuccessSme, ...]) -> bytes:
    parts = [b"%c" % len(addresses)]
    for address in addresses:
        if not isinstance(address, UnsuccessSme):
            raise TypeError
        ton, npi, number, status = address
        parts.append(b"%c%c%b\0%b" % (ton, npi, _short_string(number), _pack_u32(status)))
    return b"".join(parts)


def _short_string(text: str) -> bytes:
    if len(text) > 20 or "\0" in text:
        raise ValueError
    return text.encode("latin-1")


_HELPERS: dict[str, Any] = {
    "compile": re.compile,
    "DOTALL": re.DOTALL,
    "new": _new,
    "pack_header": _pack_header,
    "read_tlvs": read_tlvs,
    "write_tlvs": write_tlvs,
    "read_dest_addresses": read_dest_addresses,
    "write_dest_addresses": write_dest_addresses,
    "read_unsuccess_smes": read_unsuccess_smes,
    "write_unsuccess_smes": write_unsuccess_smes,
}
_PATTERNS = {  # sizes without the NUL; the message itself follows its length, so it is not part of a pattern
    Kind.INTEGER: ".",
    Kind.C_OCTET_STRING: r"([^\0]{{0,{size}}})\0",
    Kind.OCTET_STRING: ".",
}
_LISTS = {Kind.DEST_ADDRESSES: "dest_addresses", Kind.UNSUCCESS_SMES: "unsuccess_smes"}


def decoder_source(name: str, row: PduRow) -> str:
    """Write the decoder of one PDU.

    The frame becomes one str, and one pattern takes all its strings out of it: each must end within its size, so
    over-long and unterminated ones do not match. Then every position is a local variable plus a number known here.
    """
    before: list[str] = []
    lines = [f"def {name}(frame, size, command_status, sequence_number):"]
    if any(field.kind is Kind.C_OCTET_STRING for field in row.fields):
        lines.append("text = frame.decode('latin-1')")
    values = ["sequence_number", "command_status"]
    here = _Position("", 16)
    for number, run in enumerate(_runs(row.fields)):
        if run[0].kind in _LISTS:
            lines.append(f"list{number}, end{number} = read_{_LISTS[run[0].kind]}(frame, {here})")
            values.append(f"list{number}")
            here = _Position(f"end{number}", 0)
            continue
        strings = [field.name for field in run if field.kind is Kind.C_OCTET_STRING]
        if [field.kind for field in run] == [Kind.C_OCTET_STRING]:  # most responses; cheaper than a pattern
            limit = here.plus(run[0].max_octets)
            lines.append(f"{strings[0]} = text[{here} : text.index('\\0', {here}, {limit})]")
        elif strings:
            pattern = "".join(_PATTERNS[field.kind].format(size=field.max_octets - 1) for field in run)
            before.append(f"match{number} = compile(r'{pattern}', DOTALL).match")
            lines.append(f"{', '.join(strings)}, = match{number}(text, {here}).groups()")
        for field in run:
            here = _decode_field(field, here, lines, values)
    lines += [
        f"end = {here}",
        "if end == size:",
        f"    return new(PDU, ({', '.join(values)}, ()))",
        "if end > size:",
        "    raise ValueError",
        f"return new(PDU, ({', '.join(values)}, read_tlvs(frame, end, size)))",
    ]
    return "\n".join(before) + "\n" + "\n    ".join(lines) + "\n"


class _Position(NamedTuple):
    """A place in the frame: where the last field of unknown size ended, plus what follows it so far."""

    variable: str
    offset: int

    def __str__(self) -> str:
        return f"{self.variable}+{self.offset}" if self.variable else str(self.offset)

    def plus(self, octets: int) -> _Position:
        return _Position(self.variable, self.offset + octets)


def _runs(fields: tuple[Field, ...]) -> Iterator[tuple[Field, ...]]:
    """Split the fields at those that no pattern can describe: a list stands alone, short_message ends a run."""
    run: list[Field] = []
    for field in fields:
        if field.kind in _LISTS:
            if run:
                yield tuple(run)
            yield (field,)
            run = []
            continue
        run.append(field)
        if field.kind is Kind.OCTET_STRING:
            yield tuple(run)
            run = []
    if run:
        yield tuple(run)


def _decode_field(field: Field, here: _Position, lines: list[str], values: list[str]) -> _Position:
    """Add the code of one field of a run, and return where the next one is."""
    if field.kind is Kind.INTEGER:
        values.append(f"frame[{here}]")
        return here.plus(1)
    end = f"end_{field.name}"
    if field.kind is Kind.C_OCTET_STRING:
        lines.append(f"{end} = {here}+len({field.name})")
        values.append(field.name)
        return _Position(end, 1)
    lines.append(f"{end} = {here.plus(1)}+frame[{here}]")
    values.append(f"frame[{here.plus(1)}:{end}]")
    return _Position(end, 0)


def encoder_source(name: str, row: PduRow) -> str:
    """Write the encoder of one PDU: checks of lengths and NULs, then one bytes template for the whole body.

    ``%c`` refuses integers outside one octet, ``encode`` characters outside Latin-1, ``%b`` what is not bytes.
    """
    names = ["sequence_number", "command_status", *(field.name for field in row.fields), "tlvs"]
    lines = [f"def {name}(pdu):", f"{', '.join(names)} = pdu"]
    strings = [field for field in row.fields if field.kind is Kind.C_OCTET_STRING]
    too_long = [f"len({field.name}) > {field.max_octets - 1}" for field in strings]
    if strings:
        nul = "'\\0' in f'" + "".join(f"{{{field.name}}}" for field in strings) + "'"
        lines += [f"if {' or '.join([*too_long, nul])}:", "    raise ValueError"]
    template, arguments = "", []
    for field in row.fields:
        piece, values = _TEMPLATES[field.kind]
        template += piece
        arguments += [value.format(field=field.name) for value in values]
    body = f"b'{template}' % ({', '.join(arguments)},)" if arguments else "b''"
    if template == "%b\\0":  # most responses; cheaper than a template
        body = f"{arguments[0]} + b'\\0'"
    lines += [
        f"body = {body}",
        "if tlvs:",
        "    body += write_tlvs(tlvs)",
        f"return pack_header(len(body) + 16, {int(row.command_id)}, command_status, sequence_number) + body",
    ]
    return "\n    ".join(lines) + "\n"


_TEMPLATES: dict[Kind, tuple[str, tuple[str, ...]]] = {
    Kind.INTEGER: ("%c", ("{field}",)),
    Kind.C_OCTET_STRING: ("%b\\0", ("{field}.encode('latin-1')",)),
    Kind.OCTET_STRING: ("%c%b", ("len({field})", "{field}")),
    Kind.DEST_ADDRESSES: ("%b", ("write_dest_addresses({field})",)),
    Kind.UNSUCCESS_SMES: ("%b", ("write_unsuccess_smes({field})",)),
}


def compile_row(row: PduRow, pdu_class: type) -> tuple[Encoder, Decoder]:
    """Build the two functions of one PDU; the class's fields must be the row's, in the same order."""
    name = row.command_id.name.lower()
    namespace: dict[str, Any] = {**_HELPERS, "PDU": pdu_class}
    source = encoder_source(f"encode_{name}", row) + decoder_source(f"decode_{name}", row)
    exec(compile(source, f"<codec of {name}>", "exec"), namespace)  # the name is what tracebacks and profiles show
    return namespace[f"encode_{name}"], namespace[f"decode_{name}"]
