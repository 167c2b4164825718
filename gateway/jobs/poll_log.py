"""What a poller tells: the notices it made, and the rows that it could not read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from gateway.dossiers.rows import UNMAPPED_STATUS
from gateway.store.decisions import BadRow, SourceRow
from gateway.store.dossiers import Applied

log = structlog.get_logger()

#: Bad rows remembered, so that one that is met at each poll is written and logged once.
MEMORY = 10_000


class BadRows:
    """The bad rows of one source that are listed already, as far as this life of the daemon knows."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._known: dict[str, BadRow] = {}
        self._words: set[str] = set()

    def new(self, rows: Iterable[BadRow]) -> list[BadRow]:
        """Those that are not listed as they are; logs each unmapped word once, and the others as a number."""
        fresh = []
        for row in rows:
            if self._known.get(row.receipt_code) == row:
                continue
            self._known.pop(row.receipt_code, None)
            self._known[row.receipt_code] = row
            fresh.append(row)
        while len(self._known) > MEMORY:
            del self._known[next(iter(self._known))]
        self._tell(fresh)
        return fresh

    def healed(
        self, rows: Sequence[SourceRow], already: Sequence[SourceRow], still_bad: frozenset[str]
    ) -> list[SourceRow]:
        """Good rows that stand on the list and are not recorded anyway: to be taken off it."""
        if not self._known:
            return []
        good = [row for row in rows if row.dossier.receipt_code not in still_bad]
        healed = [row for row in good if self._known.pop(row.dossier.receipt_code, None) is not None]
        codes = {row.dossier.receipt_code for row in already}
        return [row for row in healed if row.dossier.receipt_code not in codes]

    def forget(self, rows: Iterable[BadRow]) -> None:
        """They could not be listed: the next time counts as the first."""
        for row in rows:
            self._known.pop(row.receipt_code, None)

    def _tell(self, fresh: Sequence[BadRow]) -> None:
        others = []
        for row in fresh:
            if row.reason != UNMAPPED_STATUS:
                others.append(row)
            elif row.detail not in self._words:
                self._words.add(row.detail)
                log.warning(
                    "status_word_unmapped",
                    source=self._source,
                    word=row.detail,
                    code=row.receipt_code,
                    remedy=f"map it under sources.{self._source}.statuses",
                )
        if others:
            log.warning(
                "bad_rows",
                source=self._source,
                rows=len(others),
                code=others[0].receipt_code,
                reason=others[0].reason,
                detail=others[0].detail,
            )


def log_applied(source: str, applied: Applied) -> None:
    """One event for each notice made or taken back; the rest as numbers."""
    for notice in applied.notices:
        log.info(
            "notice_created",
            message=notice.message_id,
            source=source,
            code=notice.receipt_code,
            kind=notice.kind.value,
            state=notice.state.value,
            reason=notice.reason,
            route=notice.route,
        )
    for message_id, kind, reason in applied.cancelled:
        log.info("notice_cancelled", message=message_id, source=source, kind=kind.value, reason=reason)
    if applied.conflicts:
        log.info("state_conflicts", source=source, rows=applied.conflicts)
    for (kind, reason), count in applied.skipped.items():
        log.debug("notices_not_made", source=source, kind=kind.value, reason=reason, rows=count)
