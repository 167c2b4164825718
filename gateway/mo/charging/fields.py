"""Values of charging TLVs on the wire, as a profile's ``TlvField`` describes them.

The three types: ``integer`` (big-endian, so many octets), ``cstring`` (Latin-1 with a closing NUL), ``octets`` (Latin-1
without one; a value that begins with ``0x`` is hexadecimal). ``prefix`` octets come first, such as the type-of-subaddress
octet of SMPP 3.4 §5.3.2.15.
"""

from __future__ import annotations

from gateway.settings_smpp import TlvField
from gateway.settings_smpp import tlv_octets as to_octets

__all__ = ["from_octets", "to_octets"]


def from_octets(field: TlvField, octets: bytes) -> str:
    """The text of a TLV that a peer sent; lenient about its length and a missing NUL, never raises."""
    octets = octets.removeprefix(bytes.fromhex(field.prefix))
    if field.type == "integer":
        return str(int.from_bytes(octets, "big"))
    if field.type == "cstring":
        return octets.split(b"\0", 1)[0].decode("latin-1")
    return octets.decode("ascii") if octets.isascii() and octets.decode("ascii").isprintable() else f"0x{octets.hex()}"
