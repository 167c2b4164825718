"""One question to all agencies' databases: where is this dossier now?

A code whose form names a source (``sources.NAME.codes``) is asked there first; any other is asked everywhere at once. The
first answer that holds the dossier wins; nobody waits for a source that is slow, hangs or is down.

What the poller last saw serves twice: it tells that a code is kept by two agencies, without waiting for both; and it answers
for a source that does not (``seen_at`` says for which time).

Safe answers:

* **ambiguous**: two agencies hold different dossiers of this code, and nothing tells which one the citizen means. The
  caller answers as on a temporary failure: a wrong dossier is worse than none.
* a row that is there but cannot be read (an unmapped status word) is **failed**: its last good state is no longer true.
* **not found** only when every source has said so. A silent source may hold the dossier: **failed**.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.dossiers.breaker import Breaker
from gateway.dossiers.reading import UnreadableDossier
from gateway.errors import SourceError
from gateway.model import Dossier
from gateway.store.seen import SeenDossier

log = structlog.get_logger()

#: The source that a code names is asked alone for this share of the deadline, then all are.
FIRST_SHARE = 0.3
#: The last part of the deadline: what is answered later would reach nobody in time, so what is known by then counts.
MARGIN_S = 0.05


class LookupResult(StrEnum):
    FOUND = "found"
    NOT_FOUND = "not_found"  # every source said so
    AMBIGUOUS = "ambiguous"
    FAILED = "failed"  # not found where it could be asked, and some source could not


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """What is known of a receipt code within the deadline."""

    result: LookupResult
    dossier: Dossier | None = None  # with FOUND
    source: str = ""  # with FOUND
    seen_at: datetime | None = None  # with FOUND: None = the database says so now; else as polled, true at this time
    failed: tuple[str, ...] = ()  # sources that did not answer

    @property
    def found_in(self) -> str:
        """The source that answered, "(seen)" added when its last polled state did; "" when none is to be named."""
        return f"{self.source} (seen)" if self.seen_at is not None else self.source

    @property
    def complete(self) -> bool:
        """Every source that could hold the code was heard: only then is a code that was not found unknown."""
        return self.result in (LookupResult.FOUND, LookupResult.NOT_FOUND)


class LookupSource(Protocol):
    """What the federation needs of a :class:`gateway.dossiers.source.Source`."""

    @property
    def name(self) -> str: ...

    def names(self, code: str) -> bool: ...

    def lookup(self, code: str) -> Deferred[list[Dossier]]: ...


class LookupReactor(Protocol):
    def seconds(self) -> float: ...

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any: ...


#: receipt code → the dossiers of this code as last polled, of every source (:class:`gateway.dossiers.polled.Polled`).
Seen = Callable[[str], Deferred[list[SeenDossier]]]


class Federation:
    """All sources, asked as one."""

    def __init__(self, reactor: LookupReactor, sources: Sequence[LookupSource], seen: Seen) -> None:
        self._reactor = reactor
        self._sources = tuple(sources)
        self._seen = seen
        self._breakers: dict[str, Breaker] = {source.name: Breaker() for source in sources}

    @property
    def closed_to(self) -> tuple[str, ...]:
        """Sources that are not asked for the moment."""
        return tuple(name for name, breaker in self._breakers.items() if breaker.is_open)

    def lookup(self, code: str, deadline_s: float) -> Deferred[LookupAnswer]:
        """Ask for a dossier. Fires within ``deadline_s`` and never fails."""
        return _Lookup(self._reactor, self._sources, self._breakers, code, deadline_s).start(self._seen(code))


@dataclass(slots=True)
class _State:
    waiting: set[str] = field(default_factory=set)
    found: dict[str, list[Dossier]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)  # it holds the dossier, but its row cannot be read
    seen: Mapping[str, SeenDossier] | None = None  # None: the store has not answered


class _Lookup:
    """One question."""

    def __init__(
        self,
        reactor: LookupReactor,
        sources: Sequence[LookupSource],
        breakers: Mapping[str, Breaker],
        code: str,
        deadline_s: float,
    ) -> None:
        self._reactor, self._breakers, self._code = reactor, breakers, code
        named = [source for source in sources if source.names(code)]
        self._named = frozenset(source.name for source in named)
        self._first = named or list(sources)
        self._rest = [source for source in sources if source not in self._first]
        self._deadline_s = deadline_s
        self._started = reactor.seconds()
        self._state = _State()
        self._answer: Deferred[LookupAnswer] = Deferred()
        self._timers: list[Any] = []
        self._done = False

    def start(self, seen: Deferred[list[SeenDossier]]) -> Deferred[LookupAnswer]:
        limit_s = max(self._deadline_s - MARGIN_S, 0.0)
        self._timers.append(self._reactor.callLater(limit_s, self._finish))
        if self._rest:
            self._timers.append(self._reactor.callLater(self._deadline_s * FIRST_SHARE, self._ask_rest))
        self._ask(self._first)
        seen.addCallbacks(self._on_seen, self._on_store_failure)
        self._judge()
        return self._answer

    def _ask(self, sources: Sequence[LookupSource]) -> None:
        allowed = []
        for source in sources:
            if self._breakers[source.name].allows(self._reactor.seconds()):
                self._state.waiting.add(source.name)
                allowed.append(source)
            else:
                self._state.failed.add(source.name)
        for source in allowed:
            source.lookup(self._code).addCallbacks(
                self._on_answer, self._on_failure, callbackArgs=(source.name,), errbackArgs=(source.name,)
            )

    def _ask_rest(self) -> None:
        if not self._done and self._rest:
            rest, self._rest = self._rest, []
            self._ask(rest)
            self._judge()

    def _on_answer(self, dossiers: list[Dossier], name: str) -> None:
        if self._breakers[name].is_open:
            log.info("lookup_source_opened", source=name)
        self._breakers[name].succeeded()
        self._state.waiting.discard(name)
        if dossiers:
            self._state.found[name] = dossiers
        self._judge()

    def _on_failure(self, failure: Failure, name: str) -> None:
        breaker, error = self._breakers[name], failure.value
        self._state.waiting.discard(name)
        if failure.check(UnreadableDossier):  # the row is at fault, not the database
            breaker.succeeded()
            self._state.unreadable.add(name)
            log.warning("lookup_unreadable", source=name, code=self._code, error=str(error))
            self._judge()
            return
        was_open = breaker.is_open
        breaker.failed(self._reactor.seconds())
        self._state.failed.add(name)
        if not failure.check(SourceError):
            log.error("lookup_crashed", source=name, code=self._code, traceback=failure.getTraceback())
        elif breaker.is_open and not was_open:
            log.error("lookup_source_closed", source=name, error=str(error), failures=breaker.failures)
        else:
            log.info("lookup_failed", source=name, code=self._code, error=str(error))
        self._judge()

    def _on_seen(self, seen: list[SeenDossier]) -> None:
        self._state.seen = {item.dossier.source: item for item in seen}
        self._judge()

    def _on_store_failure(self, failure: Failure) -> None:
        log.warning("lookup_without_polled_state", code=self._code, error=str(failure.value))
        self._state.seen = {}
        self._judge()

    # -- judging ------------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        """Answer as soon as what is still out cannot change the answer for the better."""
        state = self._state
        if self._done:
            return
        if not state.found and not state.waiting and self._rest:
            self._ask_rest()
        elif state.seen is not None and (state.found or not state.waiting):
            self._finish()

    def _finish(self) -> None:
        if self._done:
            return
        self._done = True
        for timer in self._timers:
            if timer.active():
                timer.cancel()
        self._answer.callback(self._conclude())

    def _conclude(self) -> LookupAnswer:
        state = self._state
        failed = tuple(sorted(state.failed | state.unreadable))
        if state.found:
            return self._found(failed)
        silent = state.failed | state.waiting | {source.name for source in self._rest}
        remembered = [item for name, item in (state.seen or {}).items() if name in silent]
        failed = tuple(sorted(silent | state.unreadable))
        if len(remembered) == 1 and not state.unreadable:
            item = remembered[0]
            return LookupAnswer(LookupResult.FOUND, item.dossier, item.dossier.source, item.seen_at, failed)
        if remembered:
            return LookupAnswer(LookupResult.AMBIGUOUS, failed=failed)
        return LookupAnswer(LookupResult.FAILED if failed else LookupResult.NOT_FOUND, failed=failed)

    def _found(self, failed: tuple[str, ...]) -> LookupAnswer:
        """One dossier, or several of which the code's form may name the right one."""
        state = self._state
        holders = set(state.found)
        if named := holders & self._named:
            holders = named
        else:
            # A source that has not answered and held the code when it was polled may hold it still.
            silent = state.failed | state.waiting | {source.name for source in self._rest}
            holders |= state.unreadable | (silent & set(state.seen or {}))
        if len(holders) == 1:
            name = next(iter(holders))
            dossiers = state.found[name]
            if len(dossiers) == 1:
                return LookupAnswer(LookupResult.FOUND, dossiers[0], name, None, failed)
        log.warning("lookup_ambiguous", code=self._code, sources=sorted(holders))
        return LookupAnswer(LookupResult.AMBIGUOUS, failed=failed)
