"""A receiver on a bench: virtual time, a store, an agency that answers when told to, and one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from inline_db import InlineDatabase
from sqlalchemy.engine import Connection, Row
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock as Reactor

from gateway.dossiers.federation import LookupAnswer, LookupResult
from gateway.errors import TemplateError
from gateway.mo.charging.profiles import Charging
from gateway.mo.receiver import Receiver
from gateway.mo.replies import Replies
from gateway.model import Dossier, DossierState
from gateway.settings import BindSettings, GatewaySettings, parse_settings
from gateway.smpp.pdu import DataSm, DeliverSm, Tlv
from gateway.store.schema import charge, message, mo
from gateway.templates.registry import Registry, Rendered

START = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)  # 10:00 in Vietnam
CITIZEN = "84905123456"
CODE = "0101701234"


class BenchClock:
    """Both clocks, driven by the virtual reactor."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.business_offset = timedelta(0)

    def now(self) -> datetime:
        return START + timedelta(seconds=self._reactor.seconds())

    def business_now(self) -> datetime:
        return self.now() + self.business_offset


@cache
def registry() -> Registry:
    """The shipped templates."""
    return Registry.load()


class FaultyRegistry(Registry):
    """The shipped templates, of which one cannot be made."""

    def __init__(self, faulty: str) -> None:
        super().__init__(registry()._files)
        self._faulty = faulty

    def render(self, template_id: str, *args: Any, **kwargs: Any) -> Rendered:
        if template_id == self._faulty:
            raise TemplateError(f"{template_id} does not fit")
        return super().render(template_id, *args, **kwargs)


def dossier(**values: Any) -> Dossier:
    given = {
        "source": "khanh-son",
        "receipt_code": CODE,
        "agency_code": "KS",
        "agency_name": "UBND huyện Khánh Sơn",
        "state": DossierState.PROCESSING,
        "status_raw": "Đang xử lý",
        "step_name": "Thẩm định",
        "at_one_stop_shop": False,
        "clock_stopped": False,
        "updated_at": None,
        "due_at": START + timedelta(days=2),
    }
    return Dossier(**{**given, **values})


def found(**values: Any) -> LookupAnswer:
    return LookupAnswer(LookupResult.FOUND, dossier(**values), "khanh-son")


NOT_FOUND = LookupAnswer(LookupResult.NOT_FOUND)
FAILED = LookupAnswer(LookupResult.FAILED, failed=("khanh-son",))


@dataclass
class Bench:
    """Settings are merged over one operator 'viettel' with one bind."""

    db: InlineDatabase
    queries: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)
    bind: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reactor = Reactor()
        self.clock = BenchClock(self.reactor)
        self.registry = registry()
        self.answers: list[int] = []
        self.woken: list[str] = []
        self.asked: list[tuple[str, float]] = []
        self.lookup_result: LookupAnswer | Deferred[LookupAnswer] | Exception = found()
        self.settings: GatewaySettings = parse_settings(
            {
                "operators": {
                    "viettel": {
                        "charging": "p",
                        "binds": [{"name": "viettel-1", "host": "127.0.0.1", "system_id": "motcua", **self.bind}],
                    }
                },
                "queries": self.queries,
                "charging": {"profiles": {"p": self.profile}},
            }
        )
        self.restart()

    def restart(self) -> None:
        """A new daemon on the same store: what only stood in memory is gone."""
        self.charging = Charging(self.settings.charging, self.settings.operators)
        self.receiver = Receiver(
            self.reactor,
            self.db,
            self.clock,
            self.settings,
            self.charging,
            self._lookup,
            Replies(self.registry, self.settings),
            self.woken.append,
        )

    @property
    def bind_settings(self) -> BindSettings:
        return self.settings.operators["viettel"].binds[0]

    def _lookup(self, code: str, deadline_s: float) -> Deferred[LookupAnswer]:
        self.asked.append((code, deadline_s))
        if isinstance(self.lookup_result, Exception):
            raise self.lookup_result
        return self.lookup_result if isinstance(self.lookup_result, Deferred) else succeed(self.lookup_result)

    def deliver(self, text: str | bytes = f"MCKH {CODE}", **fields: Any) -> None:
        """The SMSC sends a query; its response, once there is one, is in ``answers``."""
        octets = text.encode("ascii") if isinstance(text, str) else text
        pdu = DeliverSm(source_addr_ton=1, source_addr=CITIZEN, destination_addr="8083", short_message=octets)._replace(
            **fields
        )
        self.deliver_pdu(pdu)

    def deliver_pdu(self, pdu: DeliverSm | DataSm) -> None:
        self.receiver.on_deliver("viettel", self.bind_settings, pdu, self.answers.append)

    def parts(self, texts: Sequence[bytes], reference: int = 7, **fields: Any) -> list[DeliverSm]:
        """A long MO with 8-bit concatenation headers (3GPP TS 23.040 9.2.3.24.1)."""
        total = len(texts)
        return [
            DeliverSm(
                source_addr_ton=1,
                source_addr=CITIZEN,
                destination_addr="8083",
                esm_class=0x40,
                short_message=bytes([5, 0, 3, reference, total, number]) + text,
            )._replace(**fields)
            for number, text in enumerate(texts, 1)
        ]

    def pass_time(self, seconds: float) -> None:
        """Second by second, as timers want."""
        for _ in range(int(seconds)):
            self.reactor.advance(1)
        self.reactor.advance(seconds - int(seconds))

    def rows(self, table: sa.Table) -> list[Row[Any]]:
        def read(conn: Connection) -> list[Row[Any]]:
            return list(conn.execute(sa.select(table).order_by(*table.primary_key.columns)).all())

        return self.db.do(read)

    @property
    def mos(self) -> list[Row[Any]]:
        return self.rows(mo)

    @property
    def replies(self) -> list[Row[Any]]:
        return self.rows(message)

    @property
    def charges(self) -> list[Row[Any]]:
        return self.rows(charge)


def sar(reference: int, total: int, part: int) -> tuple[Tlv, ...]:
    """sar_* TLVs (SMPP 3.4 5.3.2.22-24)."""
    return (
        Tlv(0x020C, reference.to_bytes(2, "big")),
        Tlv(0x020E, bytes([total])),
        Tlv(0x020F, bytes([part])),
    )
