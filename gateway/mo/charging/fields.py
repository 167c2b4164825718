"""Values of charging TLVs on the wire, as a profile's ``TlvField`` describes them.

The three types: ``integer`` (big-endian, so many octets), ``cstring`` (Latin-1 with a closing NUL), ``octets`` (Latin-1
without one; a value that begins with ``0x`` is hexadecimal). ``prefix`` octets come first, such as the type-of-subaddress
octet of SMPP 3.4 §5.3.2.15.
"""

from __future__ import annotations

from gateway.settings import TlvField


def to_octets(field: TlvField, value: str) -> bytes:
    """The TLV's value on the wire. Raises ValueError, worded for the operator, when it does not fit the field."""
    prefix = bytes.fromhex(field.prefix)
    if field.type == "integer":
        number = int(value, 0) if value.lower().startswith("0x") else int(value)
        if not 0 <= number < 256**field.octets:
            raise ValueError(f"'{value}' does not fit an integer of {field.octets} octet(s)")
        return prefix + number.to_bytes(field.octets, "big")
    if field.type == "octets" and value.lower().startswith("0x"):
        return prefix + bytes.fromhex(value[2:])
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"'{value}' is not Latin-1") from error
    if b"\0" in octets:
        raise ValueError("a NUL cannot stand in the value")
    return prefix + octets + (b"\0" if field.type == "cstring" else b"")


def from_octets(field: TlvField, octets: bytes) -> str:
    """The text of a TLV that a peer sent; lenient about its length and a missing NUL, never raises."""
    octets = octets.removeprefix(bytes.fromhex(field.prefix))
    if field.type == "integer":
        return str(int.from_bytes(octets, "big"))
    if field.type == "cstring":
        return octets.split(b"\0", 1)[0].decode("latin-1")
    return octets.decode("ascii") if octets.isascii() and octets.decode("ascii").isprintable() else f"0x{octets.hex()}"
