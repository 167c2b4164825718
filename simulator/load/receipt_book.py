"""Which receipts are awaited, and which came: matched by message_id, whatever base each side writes it in."""

from __future__ import annotations

from collections import Counter

from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import parse_receipt
from gateway.smpp.receipt_ids import id_keys
from simulator.load.latencies import Latencies

_EARLY_KEPT = 100_000  # receipts before their submit_sm_resp; bounds memory


class ReceiptBook:
    """Final receipts of the messages that were accepted."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        self.states: Counter[str] = Counter()
        self.expected = 0
        self.matched = 0
        self.intermediate = 0
        self.early = 0  # came before their submit_sm_resp
        self._awaited: dict[str, float] = {}  # key of the id: when its message should have left
        self._unmatched: dict[str, tuple[float, str]] = {}

    @property
    def missing(self) -> int:
        return self.expected - self.matched

    @property
    def unmatched(self) -> int:
        """Receipts of no message of ours, or of one that had its receipt before."""
        return len(self._unmatched)

    def accepted(self, message_id: str, intended_at: float) -> None:
        """A submit_sm_resp with this id is here: its receipt is awaited."""
        self.expected += 1
        for key in id_keys(message_id, "as_given", "response"):
            if key in self._unmatched:
                at, state = self._unmatched.pop(key)
                self.early += 1
                self._settle(at - intended_at, state)
            else:
                self._awaited[key] = intended_at

    def received(self, pdu: DeliverSm | DataSm, now: float) -> None:
        """A receipt is here."""
        receipt = parse_receipt(pdu)
        if receipt is None:
            return
        if not receipt.final:
            self.intermediate += 1
            return
        keys = id_keys(receipt.message_id, "either", "receipt")
        for key in keys:
            intended_at = self._awaited.pop(key, None)
            if intended_at is not None:
                self._settle(now - intended_at, receipt.stat)
                return
        if keys and len(self._unmatched) < _EARLY_KEPT:
            self._unmatched.update(dict.fromkeys(keys, (now, receipt.stat)))

    def _settle(self, seconds: float, state: str) -> None:
        self.matched += 1
        self.states[state] += 1
        self.latencies.add(seconds)
