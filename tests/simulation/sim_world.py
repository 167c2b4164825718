"""One seed's world: agencies, citizens, operators, the gateway's processes, and the weather that strikes them.

Two times run. *System time* is the reactor's and moves evenly. *Business time* is the same with the dull hours left out: the
day is played in scenes, and between two scenes the business clock leaps ahead (as ``clock.business_file`` allows it to), so that
a day and a morning take some minutes of system time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import sim_past
import structlog
from sim_agency import Agency
from sim_history import History
from sim_node import Node, constants_changed
from sim_operator import Habits, Operator, Outgoing
from sim_plan import PORTS, Plan, Scene, draw
from sim_reactor import START_S, Network, VirtualReactor
from sim_store import Disk, Server
from sim_weather import Weather
from sim_wire import Wire

from gateway.settings import GatewaySettings, parse_settings

#: A Monday, eight in the morning in Vietnam.
FIRST = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
#: The end of a scene is quiet, so that what can leave has left before the leap.
QUIET_S = 10.0
#: After the sky has cleared: how long everything may take to come right, in seconds …
SETTLE_S = 150.0
#: … and how often it is looked whether it has.
LOOK_S = 4.0
#: What an official does is undone at the latest after this, if it is.
UNDO_S = 8.0
#: States in which nothing more happens to a row, see docs/states.md.
OPEN_WORK = """
    SELECT (SELECT count(*) FROM message WHERE state IN ('held', 'queued', 'sending', 'accepted', 'unknown'))
         + (SELECT count(*) FROM mo WHERE state NOT IN ('replied', 'ignored'))
         + (SELECT count(*) FROM charge WHERE state IN ('received', 'decided', 'sent'))
         + (SELECT count(*) FROM waiting_receipt WHERE status = 'waiting') AS n
"""


@dataclass(frozen=True, slots=True)
class Query:
    """A citizen's text, and what the operator has of it."""

    outgoing: tuple[Outgoing, ...]  # its parts
    operator: str
    number: str
    text: str
    at: float


class World:
    """Everything of one seed. ``run`` plays it to its end."""

    def __init__(self, seed: int, echo: TextIO | None = None, plan: Plan | None = None) -> None:
        self.plan = plan = draw(seed) if plan is None else plan
        self.rng = random.Random(f"{seed}/world")
        self.reactor = VirtualReactor()
        self._leap = timedelta(0)
        self._leaps: list[tuple[datetime, timedelta]] = []
        self.history = History(lambda: self.reactor.seconds() - START_S, self.business, echo)
        self.lives = self.crashes = self.restarts = 0
        self.graveyard: list[Any] = []
        self.violations: list[str] = []
        self.licence = {name: operator.licence for name, operator in plan.operators.items()}
        self.network = Network(self.reactor, random.Random(f"{seed}/network"))
        self.disk = Disk(random.Random(f"{seed}/disk"))
        if plan.past:
            sim_past.fill(self.disk, FIRST)
        self.disk.on_fault = self.history.faults_logged.append
        self.operators = {name: self._operator(name, port) for name, port in PORTS.items()}
        self.agencies = [self._agency(number) for number in (1, 2)]
        self.queries: list[Query] = []
        names = [f"node-{number}" for number in range(1, 1 + plan.nodes)]
        self.nodes = [Node(self, name, self._settings(name)) for name in names]
        self.wire = Wire(self)
        self.weather = Weather(self)
        self.calm_at = 0.0
        self._scene_end = 0.0
        self._serial = 0

    # -- times --------------------------------------------------------------------------------------------------

    def system(self) -> datetime:
        return FIRST + timedelta(seconds=self.reactor.seconds() - START_S)

    def business(self) -> datetime:
        return self.system() + self._leap

    def business_of(self, moment: datetime) -> datetime:
        """The business time of an earlier moment of system time."""
        return moment + next((leap for since, leap in reversed(self._leaps) if since <= moment), timedelta(0))

    def seconds_of(self, stored: str) -> float:
        """A moment as the store keeps it, in the reactor's seconds."""
        return (datetime.fromisoformat(stored).replace(tzinfo=UTC) - FIRST).total_seconds() + START_S

    def set_actor(self, name: str) -> None:
        self.history.actor = name

    def violated(self, invariant: str, what: str) -> None:
        """Something happened that must not."""
        text = f"{invariant}: {what}"
        self.violations.append(text)
        self.history.add("JUDGE", f"VIOLATION {text}")

    # -- building -----------------------------------------------------------------------------------------------

    def _operator(self, name: str, port: int) -> Operator:
        plan = self.plan.operators[name]
        operator = Operator(
            self.reactor, name, random.Random(f"{self.plan.seed}/{name}"), self.business, self.system, self.history,
            window=plan.smsc_window, ids=plan.ids, home=self.home,
        )  # fmt: skip
        operator.habits = self.usual_habits()
        self.network.listen(port, operator.factory)
        return operator

    def usual_habits(self) -> Habits:
        """How operators behave when the weather leaves them alone."""
        return Habits() if self.plan.stormy else Habits(undelivered=0.02)

    def home(self, number: str) -> str:
        """The operator that serves a number: by its prefix, or where it was ported to."""
        by_prefix = "vina" if number[2:4] == "91" else "viettel"
        # Those who ask are not ported: a reply goes back where its query came from.
        if int(number[-3:]) >= 1000 * self.plan.ported or number[4] == "0":
            return by_prefix
        return "viettel" if by_prefix == "vina" else "vina"

    def _agency(self, number: int) -> Agency:
        rng = random.Random(f"{self.plan.seed}/agency-{number}")
        return Agency(
            f"agency-{number}", number, rng, Server(rng), self.business, self.reactor.seconds, self.history,
            late_rows=self.plan.late_rows,
        )  # fmt: skip

    def _settings(self, node: str) -> GatewaySettings:
        return parse_settings(
            {
                "node": node,
                "lease_s": self.plan.lease_s,
                "drain_timeout_s": 6.0,
                "operators": {name: self._operator_settings(name) for name in PORTS},
                "sources": {
                    agency.name: {
                        "url": "sqlite://",
                        "poll_interval_s": 4.0,
                        "poll_overlap_s": 20.0,
                        "codes": [f"^{number:02d}"],
                        "announce_from": "2020-01-01T00:00:00+07:00",
                    }
                    for number, agency in enumerate(self.agencies, 1)
                },
                "notices": {"hold_s": self.plan.hold_s, "reannounce_after_s": 3600, "accents": self.plan.accents},
                "queries": {"per_sender_per_day": 100, "errors_per_sender_per_hour": 50},
                "doubt": {"wait_s": 14.0},
                "retention": {"receipt_wait_s": 32.0, "waiting_receipt_s": 28.0, "rows": 5},
                "trace_socket": None,
            }
        )

    def _operator_settings(self, name: str) -> dict[str, Any]:
        plan = self.plan.operators[name]
        bind = {
            "host": "10.0.0.1",
            "port": PORTS[name],
            "system_id": "motcua",
            "window": plan.window,
            "mode": plan.mode,
            "enquire_link_interval_s": 20.0,
            "response_timeout_s": 5.0,
            "session_init_timeout_s": 5.0,
            "reconnect_max_s": 8.0,
            "retry_delay_s": 3.0,
            "send_user_message_reference": self.plan.references,
            "long_message": plan.long_message,
            "status_actions": {0x0B: "ported"} if self.plan.ported else {},
        }
        return {
            "default": name == "viettel",
            "carriers": ["Viettel"] if name == "viettel" else ["VinaPhone"],
            "licence_parts_per_s": plan.licence,
            "charging": "service_type",
            "binds": [{**bind, "name": f"{name}-{number}"} for number in range(1, 1 + plan.binds)],
        }

    # -- the play -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Play all scenes, let everything settle."""
        structlog.reset_defaults()
        structlog.configure(
            processors=[structlog.stdlib.add_log_level, self.history.logged],
            wrapper_class=structlog.make_filtering_bound_logger(20),
            logger_factory=structlog.ReturnLoggerFactory(),
            cache_logger_on_first_use=False,
        )
        self.history.add("world", "plan", **self.plan.about())
        try:
            with constants_changed(self):
                for node in self.nodes:
                    node.start()
                for scene in self.plan.scenes:
                    self._leap_to(scene)
                    self._scene(scene)
                self.calm_at = self.reactor.seconds()
                self.weather.clear()
                self._settle()
        finally:
            structlog.reset_defaults()

    def close(self) -> None:
        """Give back what other worlds can use."""
        self.disk.close()
        for agency in self.agencies:
            agency.server.close()

    def _leap_to(self, scene: Scene) -> None:
        hour, minute, second = map(int, scene.begin.split(":"))
        target = FIRST + timedelta(days=scene.day, hours=hour - 8, minutes=minute, seconds=second)
        self._leap += max(target - self.business(), timedelta(0))
        self._leaps.append((self.system(), self._leap))
        self.history.add("world", "scene", name=scene.name)

    def _scene(self, scene: Scene) -> None:
        self._scene_end = self.reactor.seconds() + scene.seconds - QUIET_S
        for agency in self.agencies:
            if not agency.dossiers:
                for _ in range(self.rng.randint(2, 8)):
                    agency.receive()
            self._again(agency.receive, 6.0)
            self._again(lambda agency=agency: self._official(agency), 2.0)
        self._again(self._citizen, 4.0)
        if self.rng.random() < 0.4:
            self.reactor.callLater(self.rng.uniform(1, 15), self._rush)
        if self.plan.stormy:
            self._again(self.weather.strike, 8.0 / self.plan.stormy)
            if scene.name == "apology" and self.rng.random() < 0.5:
                self.reactor.callLater(self.rng.uniform(14.0, 18.0), self.weather.at_the_apology)
        self.reactor.run_until(self._scene_end + QUIET_S)

    def _settle(self) -> None:
        """Let everything end, and then some time more in which nothing may happen."""
        end = self.reactor.seconds() + SETTLE_S
        polls = [agency.server.polls for agency in self.agencies]
        while self.reactor.seconds() < end:
            self.reactor.run_until(self.reactor.seconds() + LOOK_S)
            read = all(agency.server.polls >= before + 3 for agency, before in zip(self.agencies, polls, strict=True))
            if read and all(node.up for node in self.nodes) and not self._open_work():
                break
        self.history.add("world", "settled", after_s=round(self.reactor.seconds() - self.calm_at, 1))
        self.reactor.run_until(self.reactor.seconds() + LOOK_S)

    def _open_work(self) -> bool:
        return any(operator.outgoing for operator in self.operators.values()) or self.disk.rows(OPEN_WORK)[0].n > 0

    def _again(self, act: Callable[[], object], mean_s: float) -> None:
        def turn(first: bool) -> None:
            if not first:
                act()
            delay_s = self.rng.expovariate(1 / mean_s)
            if self.reactor.seconds() + delay_s < self._scene_end:
                self.reactor.callLater(delay_s, turn, False)

        turn(True)

    def _official(self, agency: Agency) -> None:
        agency.work()
        if self.rng.random() < 0.15 and agency.dossiers:
            dossier = self.rng.choice(list(agency.dossiers.values()))
            self.reactor.callLater(self.rng.uniform(0.5, UNDO_S), agency.undo, dossier)

    def _rush(self) -> None:
        """Many results at once."""
        self.history.add("world", "rush")
        for _ in range(self.rng.randint(10, 30)):
            self.rng.choice(self.agencies).work()

    def _citizen(self) -> None:
        rng = self.rng
        codes = [code for agency in self.agencies for code in agency.dossiers]
        draw = rng.random()
        if draw < 0.7 and codes:
            self.ask(f"MCKH {rng.choice(codes)}")
        elif draw < 0.85:
            self.ask(f"MCKH 99{rng.randrange(10**8):08d}")
        else:
            self.ask(rng.choice(("MCKH", "mckh so nha toi", "xin chao", "MCKH 123")))

    def ask(self, text: str) -> None:
        """A citizen texts 8083."""
        rng = self.rng
        name, in_parts = rng.choice(tuple(PORTS)), rng.random() < 0.1
        number = f"84{'98' if name == 'viettel' else '91'}0{rng.randrange(10**6):06d}"
        self._serial += 1
        self.history.add("citizen", "texts", number=number, text=text, mo=self._serial, parts=1 + in_parts)
        outgoing = self.operators[name].text(number, text, self._serial, in_parts=in_parts)
        self.queries.append(Query(tuple(outgoing), name, number, text, self.reactor.seconds()))
