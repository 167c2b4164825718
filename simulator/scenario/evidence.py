"""The last PDUs on the wire as lines, for a step that failed."""

from __future__ import annotations

from itertools import islice

from gateway.smpp import trace
from gateway.smpp.constants import RESPONSE_BIT, CommandId
from simulator.pdu_ring import PduEntry
from simulator.simulator import Simulator

_NOWHERE = trace.Address("", 0)


def last_pdus(simulator: Simulator, count: int, began_at: float) -> tuple[str, ...]:
    """The newest ones but for enquire_link, oldest first: seconds since the first step, direction seen from the simulator, fields, text."""
    entries = list(islice(filter(_telling, simulator.world.pdus.newest_first()), count))[::-1]
    connections: dict[str, int] = {}
    lines = []
    for entry in entries:
        number = connections.setdefault(entry.wire.peer, len(connections) + 1)
        octets = trace.without_password(entry.octets) if entry.framed else entry.octets
        traced = trace.Traced(entry.at, number, entry.sent, _NOWHERE, _NOWHERE, octets)
        alphabet = simulator.alphabet(entry.wire.account)
        lines.append(f"{entry.at - began_at:8.3f} {trace.line(traced, alphabet=alphabet)}")
    return tuple(lines)


def _telling(entry: PduEntry) -> bool:
    """Probes of a quiet link would push out everything else."""
    return not (entry.framed and int.from_bytes(entry.octets[4:8], "big") & ~RESPONSE_BIT == CommandId.ENQUIRE_LINK)
