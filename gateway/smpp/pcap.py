"""Captures that Wireshark opens: PDUs in made-up TCP packets between the true addresses.

The file is a classic pcap of raw IP packets (link type 101). Sequence numbers count the octets of each direction, so that
"Follow TCP Stream" works; the handshake is missing, which Wireshark takes for a capture that began later.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from gateway.smpp.trace import Address, Traced

#: Link type "raw IP": each packet begins with its IP header.
LINKTYPE_RAW = 101
#: PDUs longer than this take several packets: an IP packet ends at 65,535 octets.
SEGMENT_OCTETS = 60_000
_PUSH_ACK = 0x18

FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0x40000, LINKTYPE_RAW)


class Capture:
    """Turns PDUs into packets; remembers what each connection has sent."""

    def __init__(self) -> None:
        self._sent: dict[tuple[Address, Address], int] = {}

    def packets(self, traced: Traced) -> bytes:
        """The records of one PDU, to be written after :data:`FILE_HEADER`."""
        source, target = (traced.ours, traced.theirs) if traced.sent else (traced.theirs, traced.ours)
        found = []
        for start in range(0, len(traced.octets), SEGMENT_OCTETS):
            piece = traced.octets[start : start + SEGMENT_OCTETS]
            number = self._sent.get((source, target), 1)
            answered = self._sent.get((target, source), 1)
            self._sent[(source, target)] = (number + len(piece)) & 0xFFFFFFFF
            packet = _packet(source, target, number, answered, piece)
            seconds, fraction = divmod(traced.at, 1)
            record = struct.pack("<IIII", int(seconds), int(fraction * 1_000_000), len(packet), len(packet))
            found.append(record + packet)
        return b"".join(found)


def _packet(source: Address, target: Address, number: int, answered: int, payload: bytes) -> bytes:
    here, there = _ip(source.host), _ip(target.host)
    if here.version != there.version:
        here, there = _as_v6(here), _as_v6(there)
    tcp = struct.pack(">HHIIBBHHH", source.port, target.port, number, answered, 5 << 4, _PUSH_ACK, 0xFFFF, 0, 0)
    length = len(tcp) + len(payload)
    if isinstance(here, IPv4Address):
        pseudo = here.packed + there.packed + struct.pack(">BBH", 0, 6, length)
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0x4000, 64, 6, 0, here.packed, there.packed)
        head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
    else:
        pseudo = here.packed + there.packed + struct.pack(">IBBBB", length, 0, 0, 0, 6)
        head = struct.pack(">IHBB16s16s", 6 << 28, length, 6, 64, here.packed, there.packed)
    checked = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp + payload)) + tcp[18:]
    return head + checked + payload


def _ip(host: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return IPv4Address("192.0.2.1")  # RFC 5737: of documentation; the transport did not say


def _as_v6(address: IPv4Address | IPv6Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")


def _checksum(octets: bytes) -> int:
    """RFC 1071."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
