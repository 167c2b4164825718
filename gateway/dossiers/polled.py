"""What the poller last saw of receipt codes, asked of the store by the batch."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from gateway.db import Database
from gateway.gather import Gather, one_items_fault
from gateway.store.seen import SeenDossier, seen_by_codes_txn

#: The most codes in one question to the store.
CODES = 200


class Polled:
    """receipt code → its dossiers as last polled, of every source. Codes asked for while the store is busy go together."""

    def __init__(self, db: Database) -> None:
        self._gather: Gather[str, list[SeenDossier]] = Gather(
            lambda codes: db.read("seen_by_codes", seen_by_codes_txn, codes), lambda: CODES, splits=one_items_fault
        )

    def seen(self, code: str) -> Deferred[list[SeenDossier]]:
        """The dossiers of a code. Fails with StoreError."""
        return self._gather.add(code)
