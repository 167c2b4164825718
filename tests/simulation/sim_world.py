"""One seed's world: agencies, citizens, operators, the gateway's processes, and the weather that strikes them.

Two times run. *System time* is the reactor's and moves evenly. *Business time* is the same with the dull hours left out: the
day is played in scenes, and between two scenes the business clock leaps ahead (as ``clock.business_file`` allows it to), so that
a day and a morning take some minutes of system time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import structlog
from sim_agency import Agency
from sim_history import History
from sim_operator import Habits, Operator, Outgoing
from sim_reactor import START_S, Life, Network, VirtualReactor
from sim_store import Disk, Server, SimDatabase, SimSourceDatabase
from sim_wire import Wire
from twisted.internet.defer import Deferred

from gateway.app.gateway import Gateway
from gateway.dossiers.source import Source
from gateway.settings import GatewaySettings, parse_settings

#: A Monday, eight in the morning in Vietnam.
FIRST = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
#: The scenes: day, begin in Vietnam, seconds.
SCENES = (
    (0, "08:00:00", 45),
    (0, "11:00:00", 35),
    (0, "17:29:45", 50),
    (0, "20:59:30", 165),
    (1, "06:59:30", 50),
    (1, "09:00:00", 35),
)
#: The end of a scene is quiet, so that what can leave has left before the leap.
QUIET_S = 12.0
SETTLE_S = 150.0
#: Paces of housekeeping that differ from the daemon's: what ends messages comes sooner, what idles comes less often.
PACE = {
    "promote_held": 2.0,
    "rematch_receipts": 4.0,
    "close_doubtful": 15.0,
    "close_unreceipted": 15.0,
    "orphan_receipts": 15.0,
}
PORTS = {"viettel": 2775, "vina": 2776}
#: By how much a node's clock may be wrong at most, in seconds: alone, and beside others. Nodes judge each other's leases by
#: their own clocks, so those must agree to a part of the lease (here 8 s).
CLOCK_ERROR_S = 40.0
CLOCK_SKEW_S = 1.0


class SimGateway(Gateway):
    """The gateway, with agencies' databases on virtual time. Nothing else differs from the daemon."""

    def __init__(self, world: World, life: Life, clock: NodeClock, settings: GatewaySettings) -> None:
        self._world, self._life = world, life
        rng = random.Random(f"{world.seed}/{life.name}/{world.lives}")
        super().__init__(life, settings, clock, rng, db=SimDatabase(life, world.disk))
        for lane in self.mt.lanes.values():
            lane._poll_interval_s = 2.0  # 0.2 s would be most of the simulation's work
        self.housekeeping.steps = tuple(
            replace(step, every_s=PACE.get(step.name, step.every_s)) for step in self.housekeeping.steps
        )

    def _make_sources(self) -> list[Source]:
        servers = {agency.name: agency.server for agency in self._world.agencies}
        return [
            Source(self._life, name, source, lambda *_, name=name: SimSourceDatabase(self._life, servers[name]))
            for name, source in self._settings.sources.items()
        ]


class NodeClock:
    """The clock of one machine, which may be wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error = timedelta(0)

    def now(self) -> datetime:
        return self._world.system() + self.error

    def business_now(self) -> datetime:
        return self._world.business() + self.error


class Node:
    """One machine: the process on it is started again whenever it ends."""

    def __init__(self, world: World, name: str, settings: GatewaySettings) -> None:
        self.world, self.name, self.settings = world, name, settings
        self.clock = NodeClock(world)
        self.life: Life | None = None
        self.gateway: SimGateway | None = None
        self.stopping = False

    def start(self) -> None:
        world = self.world
        world.lives += 1
        life = self.life = Life(world.reactor, world.network, self.name, world.set_actor)
        world.history.add("weather", "process_starts", node=self.name)
        world.set_actor(self.name)
        gateway = self.gateway = SimGateway(world, life, self.clock, self.settings)
        world.graveyard.append(gateway)  # freed at the end: a finaliser at a random moment would not be repeatable
        started = Deferred.fromCoroutine(gateway.start(lambda reason: self._ended(life, "gave_up")))
        started.addErrback(lambda failure: self._ended(life, f"not_started: {failure.getErrorMessage()}"))

    def _ended(self, life: Life, why: str) -> None:
        if life is self.life and not life.dead:
            self.world.history.add("weather", "process_ends", node=self.name, why=why)
            self._bury(life, 3.0)

    def kill(self, back_s: float) -> None:
        """SIGKILL, and the service manager brings it back."""
        if self.life is not None and not self.life.dead:
            self.world.crashes += 1
            self.world.wire.in_doubt(self)
            self.world.history.add("weather", "process_killed", node=self.name, back_in_s=round(back_s, 1))
            self._bury(self.life, back_s)

    def restart(self) -> None:
        """An orderly stop and start."""
        life, gateway = self.life, self.gateway
        if life is None or life.dead or gateway is None or self.stopping:
            return
        self.stopping = True
        self.world.restarts += 1
        self.world.history.add("weather", "process_stopped", node=self.name)

        def stopped(result: Any) -> None:
            self.stopping = False
            if hasattr(result, "getTraceback"):
                self.world.history.faults_logged.append(f"stop failed: {result.getTraceback()}")
            if life is self.life and not life.dead:
                self._bury(life, 1.0)

        Deferred.fromCoroutine(gateway.stop()).addBoth(stopped)

    def _bury(self, life: Life, back_s: float) -> None:
        life.kill()
        self.stopping = False
        self.world.reactor.callLater(back_s, self.start)


@dataclass(frozen=True, slots=True)
class Query:
    """A citizen's text, and what the operator has of it."""

    outgoing: Outgoing
    operator: str
    number: str
    text: str
    at: float


class World:
    """Everything of one seed. ``run`` plays it to its end."""

    def __init__(self, seed: int, echo: TextIO | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(f"{seed}/world")
        self.reactor = VirtualReactor()
        self._leap = timedelta(0)
        self.history = History(lambda: self.reactor.seconds() - START_S, self.business, echo)
        self.lives = self.crashes = self.restarts = 0
        self.graveyard: list[Any] = []
        self.violations: list[str] = []
        rng = self.rng
        self.stormy = rng.choice((0.0, 0.3, 0.6, 1.0))  # how bad the weather is in this seed
        self.licence = {name: rng.choice((4, 7, 12, 30)) for name in PORTS}
        self.window = {name: rng.choice((1, 3, 10, 20)) for name in PORTS}
        self.hold_s = rng.choice((0, 15, 30))
        self.references = rng.random() < 0.8
        self.network = Network(self.reactor, random.Random(f"{seed}/network"))
        self.disk = Disk(random.Random(f"{seed}/disk"))
        self.disk.on_fault = self.history.faults_logged.append
        self.operators = {name: self._operator(name, port) for name, port in PORTS.items()}
        self.agencies = [self._agency(number) for number in (1, 2)]
        self.queries: list[Query] = []
        self.nodes = [
            Node(self, f"node-{number}", self._settings(f"node-{number}"))
            for number in range(1, 1 + rng.choice((1, 1, 2)))
        ]
        self.wire = Wire(self)
        self._scene_end = 0.0
        self._serial = 0
        self.leaps: list[tuple[float, datetime, datetime]] = []

    # -- times --------------------------------------------------------------------------------------------------

    def system(self) -> datetime:
        return FIRST + timedelta(seconds=self.reactor.seconds() - START_S)

    def business(self) -> datetime:
        return self.system() + self._leap

    def set_actor(self, name: str) -> None:
        self.history.actor = name

    def violated(self, invariant: str, what: str) -> None:
        """Something happened that must not."""
        text = f"{invariant}: {what}"
        self.violations.append(text)
        self.history.add("JUDGE", f"VIOLATION {text}")

    # -- building -----------------------------------------------------------------------------------------------

    def _operator(self, name: str, port: int) -> Operator:
        rng = random.Random(f"{self.seed}/{name}")
        operator = Operator(
            self.reactor, name, rng, self.business, self.system, self.history, window=rng.choice((1, 5, 50))
        )
        self.network.listen(port, operator.factory)
        return operator

    def _agency(self, number: int) -> Agency:
        rng = random.Random(f"{self.seed}/agency-{number}")
        server = Server(rng)
        return Agency(f"agency-{number}", number, rng, server, self.business, self.reactor.seconds, self.history)

    def _settings(self, node: str) -> GatewaySettings:
        return parse_settings(
            {
                "node": node,
                "lease_s": 8.0,
                "drain_timeout_s": 6.0,
                "operators": {name: self._operator_settings(name) for name in PORTS},
                "sources": {
                    agency.name: {
                        "url": "sqlite://",
                        "poll_interval_s": 4.0,
                        "poll_overlap_s": 30.0,
                        "codes": [f"^{number:02d}"],
                        "announce_from": "2020-01-01T00:00:00+07:00",
                    }
                    for number, agency in enumerate(self.agencies, 1)
                },
                "notices": {"hold_s": self.hold_s, "reannounce_after_s": 3600},
                "queries": {"per_sender_per_day": 100, "errors_per_sender_per_hour": 50},
                "doubt": {"wait_s": 20.0},
                "retention": {"receipt_wait_s": 70.0, "waiting_receipt_s": 70.0},
                "trace_socket": None,
            }
        )

    def _operator_settings(self, name: str) -> dict[str, Any]:
        rng = self.rng
        bind = {
            "host": "10.0.0.1",
            "port": PORTS[name],
            "system_id": "motcua",
            "window": self.window[name],
            "mode": rng.choice(("transceiver", "transceiver", "pair")),
            "enquire_link_interval_s": 20.0,
            "response_timeout_s": 5.0,
            "session_init_timeout_s": 5.0,
            "reconnect_max_s": 8.0,
            "retry_delay_s": 3.0,
            "send_user_message_reference": self.references,
            "long_message": rng.choice(("udh8", "udh16", "sar")),
        }
        binds = [{**bind, "name": f"{name}-{number}"} for number in range(1, 1 + rng.choice((1, 2)))]
        return {
            "default": name == "viettel",
            "carriers": ["Viettel"] if name == "viettel" else ["VinaPhone"],
            "licence_parts_per_s": self.licence[name],
            "charging": "service_type",
            "binds": binds,
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
        self.history.add(
            "world", "seed", seed=self.seed, nodes=len(self.nodes), stormy=self.stormy, licence=self.licence,
            window=self.window, hold_s=self.hold_s, references=self.references,
        )  # fmt: skip
        try:
            for node in self.nodes:
                node.start()
            for day, begin, seconds in SCENES:
                self._leap_to(day, begin)
                self._scene(float(seconds))
            self._clear_sky()
            self.reactor.run_until(self.reactor.seconds() + SETTLE_S)
        finally:
            structlog.reset_defaults()

    def _leap_to(self, day: int, begin: str) -> None:
        hour, minute, second = map(int, begin.split(":"))
        target = FIRST + timedelta(days=day, hours=hour - 8, minutes=minute, seconds=second)
        before = self.business()
        if target > before:
            self._leap += target - before
            self.leaps.append((self.reactor.seconds(), before, target))
            self.history.add("world", "scene", begins=f"day {day} {begin}")

    def _scene(self, seconds: float) -> None:
        self._scene_end = self.reactor.seconds() + seconds - QUIET_S
        for agency in self.agencies:
            self._again(agency.receive, 6.0)
            self._again(lambda agency=agency: self._official(agency), 2.5)
        self._again(self._citizen, 5.0)
        if self.rng.random() < 0.4:
            self.reactor.callLater(self.rng.uniform(1, 20), self._rush)
        if self.stormy:
            self._again(self._weather, 10.0 / self.stormy)
        self.reactor.run_until(self._scene_end + QUIET_S)

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
            self.reactor.callLater(self.rng.uniform(0.5, 10.0), agency.undo, dossier)

    def _rush(self) -> None:
        """Many results at once."""
        self.history.add("world", "rush")
        for _ in range(self.rng.randint(15, 40)):
            self.rng.choice(self.agencies).work()

    def _citizen(self) -> None:
        rng = self.rng
        codes = [code for agency in self.agencies for code in agency.dossiers]
        draw = rng.random()
        if draw < 0.7 and codes:
            text = f"MCKH {rng.choice(codes)}"
        elif draw < 0.85:
            text = f"MCKH 99{rng.randrange(10**8):08d}"
        else:
            text = rng.choice(("MCKH", "mckh so nha toi", "xin chao", "MCKH 123"))
        name = rng.choice(tuple(PORTS))
        number = f"84{'98' if name == 'viettel' else '91'}{rng.randrange(10**7):07d}"
        self._serial += 1
        self.history.add("citizen", "texts", number=number, text=text, mo=self._serial)
        outgoing = self.operators[name].text(number, text, self._serial)
        self.queries.append(Query(outgoing, name, number, text, self.reactor.seconds()))

    # -- the weather --------------------------------------------------------------------------------------------

    def _weather(self) -> None:
        strikes = (
            (self._cut, 4), (self._half_open, 1), (self._unreachable, 1), (self._bad_answers, 3), (self._crash, 3),
            (self._slow_store, 2), (self._no_store, 2), (self._torn_store, 2), (self._no_source, 2), (self._slow_source, 1),
            (self._clock, 1), (self._restart, 1), (self._congestion, 2), (self._bad_receipts, 2), (self._refused_binds, 1),
        )  # fmt: skip
        self.rng.choices([act for act, _ in strikes], [weight for _, weight in strikes])[0]()

    def _for(
        self, what: str, seconds: float, begin: Callable[[], object], end: Callable[[], object], **about: Any
    ) -> None:
        self.history.add("weather", what, seconds=round(seconds, 1), **about)
        begin()

        def over() -> None:
            self.history.add("weather", f"{what}_over", **about)
            end()

        self.reactor.callLater(seconds, over)

    def _some_operator(self) -> Operator:
        return self.operators[self.rng.choice(tuple(PORTS))]

    def _cut(self) -> None:
        operator = self._some_operator()
        self.history.add("weather", "links_cut", operator=operator.name)
        for link in self.network.of_port(PORTS[operator.name]):
            link.cut()

    def _half_open(self) -> None:
        operator = self._some_operator()
        self.history.add("weather", "links_half_open", operator=operator.name)
        for link in self.network.of_port(PORTS[operator.name]):
            link.silent = True

    def _unreachable(self) -> None:
        operator, how = self._some_operator(), self.rng.choice(("refused", "silent"))
        port = PORTS[operator.name]

        def begin() -> None:
            self.network.unreachable[port] = how
            for link in self.network.of_port(port):
                link.cut()

        self._for(
            "operator_unreachable", self.rng.uniform(2, 25), begin, lambda: self.network.unreachable.pop(port, None),
            operator=operator.name, how=how,
        )  # fmt: skip

    def _habit(self, what: str, seconds: float, **habits: Any) -> None:
        operator = self._some_operator()
        usual = Habits()

        def begin() -> None:
            for name, value in habits.items():
                setattr(operator.habits, name, value)

        def end() -> None:
            for name in habits:
                setattr(operator.habits, name, getattr(usual, name))

        self._for(what, seconds, begin, end, operator=operator.name)

    def _bad_answers(self) -> None:
        rng = self.rng
        self._habit(
            "answers_go_astray", rng.uniform(3, 25), drop_answer=rng.choice((0.1, 0.5, 1.0)), late_answer=0.2,
            latency_s=(0.005, rng.choice((0.1, 2.0))),
        )  # fmt: skip

    def _congestion(self) -> None:
        rng = self.rng
        self._habit(
            "operator_overloaded", rng.uniform(3, 20), throttle=rng.choice((0.2, 0.9)), busy=rng.choice((0.0, 0.3)),
            refuse=rng.choice((0.0, 0.2)),
        )  # fmt: skip

    def _bad_receipts(self) -> None:
        rng = self.rng
        self._habit(
            "receipts_go_astray", rng.uniform(5, 40), receipt_lost=rng.choice((0.0, 0.3, 1.0)), receipt_twice=0.5,
            receipt_early=0.6, receipt_s=(0.0, rng.choice((5.0, 40.0))),
        )  # fmt: skip

    def _refused_binds(self) -> None:
        operator = self._some_operator()
        operator.habits.refuse_binds = self.rng.randint(1, 4)
        self._cut()

    def _crash(self) -> None:
        self.rng.choice(self.nodes).kill(self.rng.choice((0.2, 2.0, 15.0)))

    def _restart(self) -> None:
        self.rng.choice(self.nodes).restart()

    def _slow_store(self) -> None:
        disk, slow = self.disk, self.rng.choice((0.3, 2.0))

        def begin() -> None:
            disk.write_s, disk.read_s = (slow / 4, slow), (slow / 8, slow / 2)

        def end() -> None:
            disk.write_s, disk.read_s = (0.001, 0.006), (0.001, 0.004)

        self._for("store_slow", self.rng.uniform(2, 20), begin, end, up_to_s=slow)

    def _no_store(self) -> None:
        self._for(
            "store_down", self.rng.uniform(0.5, 20), lambda: setattr(self.disk, "down", True),
            lambda: setattr(self.disk, "down", False),
        )  # fmt: skip

    def _torn_store(self) -> None:
        self._for(
            "commits_without_answer", self.rng.uniform(1, 10), lambda: setattr(self.disk, "torn", 0.3),
            lambda: setattr(self.disk, "torn", 0.0),
        )  # fmt: skip

    def _no_source(self) -> None:
        server = self.rng.choice(self.agencies).server
        self._for(
            "source_down", self.rng.uniform(2, 30), lambda: setattr(server, "down", True),
            lambda: setattr(server, "down", False),
        )  # fmt: skip

    def _slow_source(self) -> None:
        server, usual = self.rng.choice(self.agencies).server, (0.002, 0.03)
        slow = self.rng.choice(((1.0, 4.0), (31.0, 40.0)))
        self._for(
            "source_slow", self.rng.uniform(2, 20), lambda: setattr(server, "delay_s", slow),
            lambda: setattr(server, "delay_s", usual),
        )  # fmt: skip

    def _clock(self) -> None:
        node = self.rng.choice(self.nodes)
        most_s = CLOCK_ERROR_S if len(self.nodes) == 1 else CLOCK_SKEW_S
        node.clock.error = timedelta(seconds=self.rng.uniform(-most_s, most_s))
        self.history.add("weather", "clock_jumps", node=node.name, error_s=round(node.clock.error.total_seconds(), 1))

    def _clear_sky(self) -> None:
        """Every fault ends: from here on all must come right."""
        self.history.add("weather", "clear_sky")
        self.disk.down, self.disk.torn = False, 0.0
        self.disk.write_s, self.disk.read_s = (0.001, 0.006), (0.001, 0.004)
        self.network.unreachable.clear()
        for operator in self.operators.values():
            operator.habits = Habits(undelivered=0.0)
        for agency in self.agencies:
            agency.server.down, agency.server.delay_s = False, (0.002, 0.03)
