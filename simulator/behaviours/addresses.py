"""Which addresses a message may carry."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.smpp.constants import CommandStatus
from simulator.behaviours.base import Submission


class Addresses:
    """A destination is required; the source must be one that the contract names, when it names any."""

    name = "addresses"
    refuses_at_once = False

    def __init__(self, source_addrs: Iterable[str]) -> None:
        self._sources = frozenset(source_addrs)

    def judge(self, submission: Submission) -> int:
        pdu = submission.pdu
        if not pdu.destination_addr:
            return CommandStatus.ESME_RINVDSTADR
        if self._sources and pdu.source_addr not in self._sources:
            return CommandStatus.ESME_RINVSRCADR
        return 0
