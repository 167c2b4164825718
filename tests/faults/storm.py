"""One run: a laboratory of real processes, the traffic and the strikes of a plan, calm, and the evidence for the judge."""

from __future__ import annotations

import heapq
import itertools
import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import sqlalchemy as sa
import yaml
from fault_plan import DOUBT_WAIT_S, LEASE_S, RESPONSE_TIMEOUT_S, Plan
from judge import FINAL, SETTLED_CHARGES, STORE_FAULTS, Evidence
from kept_daemon import KeptDaemon
from lab import Lab, wait_for
from store_places import Store, Templates
from strikes import ACCOUNT, Strikes, morning_after
from traffic import WITHOUT_BALANCE, Traffic

from gateway.clock import VIETNAM, set_file_clock
from simulator.control_client import ControlClient

#: A machine that stands still for so long may let answers come too late: it is counted among the strikes.
STALL_S = 0.7
#: A gateway in which nothing has moved for so long will not come to rest, in seconds: a busy machine must not fail a run.
SETTLE_S = 60.0
#: And one in which things move for ever does not, either.
SETTLE_MOST_S = 400.0
#: Nothing has moved for so long: what is still in hand is a claim whose commit was never answered.
STILL_S = 5.0
#: Waits of the last life: what no receipt will ever settle ends now.
SHORT_WAIT_S = 0.3

_TABLES = {
    "messages": "message",
    "parts": "message_part",
    "part_keys": "part_key",
    "waiting_receipts": "waiting_receipt",
    "mos": "mo",
    "mo_parts": "mo_part",
    "charges": "charge",
    "journal": "charge_journal",
}
_PROFILE = {
    "decision_tlv": {"tag": 0x1401, "type": "cstring"},
    "link_tlv": {"tag": 0x1402, "type": "cstring"},
    "outcome_statuses": {0x0405: "insufficient_balance"},
}


class Storm:
    """Plays a plan.

    Args:
        folder: for everything that the run leaves; made by the caller.
        echo: gets the history while it happens.
    """

    def __init__(self, plan: Plan, folder: Path, templates: Templates, echo: TextIO | None = None) -> None:
        self.plan = plan
        self.folder = folder
        self.store: Store = templates.place(folder, plan.store, plan.needs_small_disk)
        self.lab = Lab(folder, self.store.url)
        self.control = ControlClient(f"http://127.0.0.1:{self.lab.control_port}")
        self.daemon = KeptDaemon(self.lab, self._claimed, self.note)
        self.struck: list[dict[str, Any]] = []
        self._traffic = Traffic(plan.seed, self.lab, self.control, self._engine, self.note)
        self._strikes = Strikes(self)
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._began = self._looked = time.monotonic()
        self._echo = echo
        self._history = (folder / "history.txt").open("w", encoding="utf-8")
        self._unsettled: list[str] = []
        self._clock = folder / "business-clock.json"
        self._business: tuple[datetime, float] | None = None
        self._latest: datetime | None = None

    # -- what strikes need --------------------------------------------------------------------------------------

    def note(self, what: str, /, **about: Any) -> None:
        """A line of the run's history."""
        told = " ".join(f"{key}={value}" for key, value in about.items() if value not in ("", None))
        line = f"{time.monotonic() - self._began:8.3f}  {what:<16} {told}"
        self._history.write(line + "\n")
        self._history.flush()
        if self._echo is not None:
            print(line, file=self._echo, flush=True)

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something later in the storm, or when it ends."""
        heapq.heappush(self._calls, (time.monotonic() + seconds, next(self._order), act))

    def business_now(self) -> datetime:
        """The gateway's business time."""
        if self._business is None:
            return datetime.now(UTC)
        at, since = self._business
        return at + timedelta(seconds=time.time() - since)

    def leap_to(self, at: datetime) -> None:
        """Set the gateway's business time."""
        self._latest = max(at, self._latest or at, self.business_now())
        self._business = (at, time.time())
        set_file_clock(self._clock, at)
        self.note("business_time", at=at.astimezone(VIETNAM).strftime("%d %H:%M"))

    # -- the run ------------------------------------------------------------------------------------------------

    def run(self) -> Evidence:
        """Play the storm, let everything settle, collect the evidence. Every process has ended afterwards."""
        try:
            self._configure()
            self.lab.start_simulator()
            self.daemon.start()
            wait_for("the first bind", lambda: self.daemon.bound)
            self._storm()
            self._calm()
            self._settle()
            return self._evidence()
        finally:
            self.close()

    def close(self) -> None:
        """End all processes."""
        with suppress(OSError, IndexError):
            self.daemon.signal(signal.SIGCONT)  # a stopped process cannot end
        self.lab.stop()
        self.store.close()
        self._history.close()

    def _configure(self) -> None:
        plan = self.plan
        leaps = any(strike.kind == "clock_leap" for strike in plan.strikes)
        notices: dict[str, Any] = {"hold_s": 0, "night": None, "accents": plan.accents, "apology": {"enabled": False}}
        more: dict[str, Any] = {}
        if leaps:
            del notices["night"]
            more["clock"] = {"business_file": str(self._clock)}
            morning = datetime.now(VIETNAM).replace(hour=10, minute=0, second=0, microsecond=0)
            self.leap_to(morning.astimezone(UTC))
        self.lab.configure(
            account={
                "latency": plan.latency_s,
                "receipts": {
                    "delay": {"uniform": list(plan.receipt_delay_s)},
                    "early": plan.receipts_early,
                    "early_by_s": 0.1,
                    "doubled": plan.receipts_doubled,
                },
                "charging": {
                    "shortcodes": ["8083"],
                    "decision_tlv": {"tag": 0x1401},
                    "link_tlv": {"tag": 0x1402},
                    "rules": [{"destination": f"^{WITHOUT_BALANCE}", "outcome": "insufficient_balance"}],
                },
                "mo": {"retry": 0.3},
            },
            bind={
                "window": plan.window,
                "response_timeout_s": RESPONSE_TIMEOUT_S,
                "enquire_link_interval_s": 1.0,
                "session_init_timeout_s": 2.0,
                "retry_delay_s": 0.5,
                "long_message": plan.long_message,
                "send_user_message_reference": plan.references,
            },
            lease_s=LEASE_S,
            notices=notices,
            doubt={"wait_s": DOUBT_WAIT_S},
            log={"format": "json"},
            charging={"profiles": {"viettel": _PROFILE}},
            **more,
        )
        settings = yaml.safe_load(self.lab.gateway_config.read_text(encoding="utf-8"))
        operator = settings["operators"]["viettel"]
        operator["charging"] = "viettel"
        operator["binds"] = [{**operator["binds"][0], "name": f"viettel-{number + 1}"} for number in range(plan.binds)]
        self._write(settings)
        simulator = yaml.safe_load(self.lab.simulator_config.read_text(encoding="utf-8"))
        simulator["seed"] = plan.seed
        simulator["sessions"] = {"response_timeout_s": 2.0}
        self.lab.simulator_config.write_text(yaml.safe_dump(simulator, allow_unicode=True), encoding="utf-8")
        (self.folder / "plan.json").write_text(json.dumps(plan.as_dict(), indent=1), encoding="utf-8")

    def _write(self, settings: dict[str, Any]) -> None:
        self.lab.gateway_config.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

    def _storm(self) -> None:
        self.note("storm", seed=self.plan.seed, store=self.plan.store, window=self.plan.window)
        for act in self.plan.traffic:
            self.after(act.at_s, lambda act=act: self._traffic.act(act))
        for strike in self.plan.strikes:
            self.after(strike.at_s, lambda strike=strike: self._strikes.strike(strike))
        self._looked = time.monotonic()
        while self._calls:
            self._look()
            due, _, act = self._calls[0]
            if time.monotonic() >= due:
                heapq.heappop(self._calls)
                act()
            else:
                time.sleep(min(0.02, max(0.0, due - time.monotonic())))  # the plan decides when
        self._tell_stall()

    def _look(self) -> None:
        """Between two acts: the daemon is kept, and a machine that stands still is noticed."""
        self._tell_stall()
        self.daemon.keep()
        self._traffic.keep()
        self._looked = time.monotonic()

    def _tell_stall(self) -> None:
        stood = time.monotonic() - self._looked
        if stood > STALL_S:
            self.note("stall", seconds=round(stood, 2))
            self.struck.append({"kind": "stall", "seconds": stood})

    # -- calm ---------------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """Every fault ends."""
        self.note("calm")
        self.control.delete("fault", ACCOUNT)
        self.daemon.signal(signal.SIGCONT)
        self.store.calm()
        if self._latest is not None:
            self.leap_to(morning_after(self._latest))

    def _settle(self) -> None:
        """Wait until nothing moves any more; then let a last life end what no receipt will ever settle."""
        self._wait("all is sent and receipted", self._at_rest)
        if self.daemon.bound:
            self.daemon.end()
        settings = yaml.safe_load(self.lab.gateway_config.read_text(encoding="utf-8"))
        settings["doubt"] = {"wait_s": SHORT_WAIT_S}
        settings["retention"] = {"receipt_wait_s": SHORT_WAIT_S}
        self._write(settings)
        if self._open():
            self.daemon.start()
            self._wait("every message and every charge ends", lambda: not self._open())
            if self.daemon.alive:
                self.daemon.end()

    def _wait(self, what: str, rest: Callable[[], bool]) -> None:
        began = since = moved = time.monotonic()
        seen: dict[str, int] | None = None
        while not rest():
            now = time.monotonic()
            self.daemon.keep()
            self._traffic.keep()
            picture = self._picture()
            if picture != seen:
                seen, since, moved = picture, now, now
            elif now - since > STILL_S and picture.get("sending") and self.daemon.bound:
                # A claim that was committed though its connection was lost is given back after half a minute.
                self.note("lost_claims", sending=picture["sending"])
                self.daemon.end()
                since = now
            if now - moved > SETTLE_S or now - began > SETTLE_MOST_S:
                self._unsettled.append(f"{what}; last seen: {picture}; {self._smsc_waits()}")
                return
            time.sleep(0.2)  # between two looks
        self.note("settled", what=repr(what), **self._picture())

    def _smsc_waits(self) -> dict[str, int]:
        """What the SMSC has not done with: messages, receipts and queries; at last the queries by its record."""
        [account] = self.control.get("status")["accounts"]
        waits = {
            "messages": account["under_way"],
            "deliveries": account["waiting"] + sum(bind["delivers_open"] for bind in account["binds"]),
        }
        if not any(waits.values()):
            waits["queries"] = self._traffic.query_deliveries - len(self.lab.record("mo"))
        return {what: number for what, number in waits.items() if number}

    def _at_rest(self) -> bool:
        """Nothing is to be sent, the SMSC has nothing for us, every dossier and query was seen."""
        if not self._traffic.all_inserted or not self.daemon.bound or self._smsc_waits():
            return False
        with suppress(sa.exc.SQLAlchemyError):
            [left] = self._rows(
                "SELECT (SELECT count(*) FROM message WHERE state IN ('held', 'queued', 'sending')"
                " OR (state = 'unknown' AND mo_id IS NULL AND NOT possible_duplicate)) AS moving,"
                " (SELECT count(*) FROM mo WHERE state = 'received') AS queries,"
                " (SELECT count(*) FROM message WHERE kind = 'result_ready' AND source = 'nha-trang') AS announced"
            )
            return not left["moving"] and not left["queries"] and left["announced"] >= len(self._traffic.dossiers)
        return False

    def _open(self) -> list[dict[str, Any]]:
        messages = self._rows("SELECT id, state FROM message")
        charges = self._rows("SELECT mo_id AS id, state FROM charge")
        return [row for row in messages if row["state"] not in FINAL] + [
            row for row in charges if row["state"] not in SETTLED_CHARGES
        ]

    def _picture(self) -> dict[str, int]:
        try:
            rows = self._rows("SELECT state, count(*) AS n FROM message GROUP BY state")
        except sa.exc.SQLAlchemyError:
            return {}
        return {row["state"]: row["n"] for row in rows}

    # -- evidence -----------------------------------------------------------------------------------------------

    def _claimed(self) -> int | None:
        """Messages in hand of a daemon that was just killed; None after faults of the store, which leave claims that
        no daemon ever heard of."""
        if any(strike["kind"] in STORE_FAULTS for strike in self.struck):
            return None
        try:
            [row] = self._rows("SELECT count(*) AS n FROM message WHERE state = 'sending'")
        except sa.exc.SQLAlchemyError:
            return None
        claimed: int = row["n"]
        return claimed

    @cached_property
    def _engine(self) -> sa.Engine:
        """A connection for each look: the store may have been away meanwhile."""
        if self.plan.store == "sqlite":
            return sa.create_engine(self.store.url, poolclass=sa.NullPool, connect_args={"timeout": 0.3})
        options = "-c statement_timeout=1000 -c lock_timeout=500"
        arguments = {"connect_timeout": 2, "options": options}
        return sa.create_engine(self.store.url, poolclass=sa.NullPool, connect_args=arguments)

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(sa.text(query))]

    def _evidence(self) -> Evidence:
        self.control.post("record", "flush", body={})
        lines = self.lab.record_path.read_text(encoding="utf-8").splitlines()
        tables = {name: self._rows(f"SELECT * FROM {table}") for name, table in _TABLES.items()}
        for row in (*tables["mos"], *tables["mo_parts"]):
            del row["octets"]
        return Evidence(
            window=self.plan.window * self.plan.binds,
            response_timeout_s=RESPONSE_TIMEOUT_S,
            record=[json.loads(line) for line in lines],
            dossiers=self._traffic.dossiers,
            inserted=self._traffic.inserted,
            queries=self._traffic.queries,
            strikes=self.struck,
            lives=[life.testimony() for life in self.daemon.lives],
            unsettled=self._unsettled,
            references=self.plan.references,
            **tables,
        )
