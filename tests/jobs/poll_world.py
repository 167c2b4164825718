"""An agency's database, a poller and a store on one virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from inline_db import InlineDatabase
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gateway.dossiers.phone import judge_phone
from gateway.errors import RoutingError
from gateway.jobs.notices import Composer
from gateway.jobs.poller import Poller, PollResult
from gateway.jobs.rules import RuleBook
from gateway.settings import AgencySettings, NoticeSettings
from gateway.store.schema import bad_row, dossier, message, source_cursor, state_conflict

#: Ten in the morning in Vietnam, a working day.
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)


class TestClock:
    """System and business time on a virtual clock; ``shift`` sets business time apart."""

    __test__ = False

    def __init__(self, reactor: Clock, start: datetime = NOW) -> None:
        self.reactor, self.start, self.shift = reactor, start, timedelta(0)

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.reactor.seconds())

    def business_now(self) -> datetime:
        return self.now() + self.shift

    def set_business(self, at: datetime) -> None:
        self.shift = at - self.now()


@dataclass(frozen=True)
class Text:
    text: str
    coding: str = "gsm7"
    parts: int = 1
    version: str = "rollout_2017"


class Texts:
    """A registry that says what it was asked for."""

    def version_for(self, template_id: str, version: str, day: date) -> str:
        return version

    def render(
        self,
        template_id: str,
        version: str,
        values: Mapping[str, str],
        accents: Literal["fold", "keep"] = "fold",
        max_parts: int = 3,
    ) -> Text:
        return Text(
            f"{template_id}/{version}: {values['Mã số biên nhận']}, {values['Tên cơ quan']}, {values['Ngày hẹn trả']}"
        )


def route(carrier: str, ported_to: str | None) -> str:
    if carrier == "Gmobile":
        raise RoutingError("no operator takes it")
    return ported_to or carrier.lower() or "default"


def a_book(agencies: Mapping[str, AgencySettings] | None = None, **notices: Any) -> RuleBook:
    return RuleBook(NoticeSettings(**notices), agencies or {})


def a_composer(book: RuleBook) -> Composer:
    return Composer(book.notices, book.agencies, Texts(), judge_phone, route)


class World:
    """Pollers of one store."""

    def __init__(self, store: InlineDatabase) -> None:
        self.reactor = Clock()
        self.clock = TestClock(self.reactor)
        self.store = store
        self.wakes = 0

    def poller(self, source: Any, book: RuleBook | None = None, node: str = "node-1", lease_s: float = 20.0) -> Poller:
        book = book or a_book()

        def wake() -> None:
            self.wakes += 1

        return Poller(
            self.reactor, self.clock, self.store, source, book, a_composer(book), node=node, lease_s=lease_s, wake=wake
        )

    def rows(self, table: sa.Table) -> list[Any]:
        return self.store.do(lambda conn: list(conn.execute(sa.select(table).order_by(*table.primary_key.columns))))

    @property
    def messages(self) -> list[tuple[str, str, str, str]]:
        """(code, kind, occasion, state)"""
        return [(row.receipt_code, row.kind, row.occasion, row.state) for row in self.rows(message)]

    @property
    def conflicts(self) -> list[tuple[str, str]]:
        return [(row.receipt_code, row.what) for row in self.rows(state_conflict)]

    @property
    def bad(self) -> dict[str, str]:
        return {row.receipt_code: row.reason for row in self.rows(bad_row)}

    @property
    def dossiers(self) -> dict[str, str]:
        return {row.receipt_code: row.state for row in self.rows(dossier)}

    @property
    def cursor(self) -> Any:
        [row] = self.rows(source_cursor)
        return row


def now_of(waiting: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired."""
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "not fired"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def poll(poller: Poller) -> PollResult:
    result: PollResult = now_of(poller.poll_now())
    return result


def stamp(moment: datetime) -> str:
    """As an agency's software writes it, Vietnamese time."""
    return (moment + timedelta(hours=7)).strftime("%Y-%m-%d %H:%M:%S")
