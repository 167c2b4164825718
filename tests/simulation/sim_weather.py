"""What strikes: faults of networks, operators, databases, machines and clocks, at random.

Each strike is told in the history under its kind, with what it changes and for how long. :meth:`Weather.clear` takes all of
it back: from then on everything must come right.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sim_operator import Habits, Operator
from sim_plan import CLOCK_ERROR_S, PORTS
from sim_reactor import QUICK_S
from sim_store import QUICK_READ_S, QUICK_SOURCE_S, QUICK_WRITE_S

if TYPE_CHECKING:
    from sim_world import World


class Weather:
    """Strikes a world. All randomness is the world's."""

    def __init__(self, world: World) -> None:
        self._world, self._rng = world, world.rng
        strikes: tuple[tuple[Callable[[], None], int], ...] = (
            # networks
            (self._links_cut, 4), (self._links_half_open, 2), (self._operator_unreachable, 2), (self._network_slow, 1),
            # operators
            (self._answers_go_astray, 4), (self._answers_nobody_asked_for, 2), (self._operator_overloaded, 3),
            (self._operator_congested, 1), (self._operator_refuses, 1), (self._receipts_go_astray, 3),
            (self._orphan_receipts, 2), (self._binds_refused, 1), (self._operator_unbinds, 1),
            # machines
            (self._process_killed, 4), (self._all_killed, 1), (self._process_restarted, 2), (self._clock_jumps, 2),
            # databases
            (self._store_slow, 2), (self._store_down, 2), (self._store_full, 1), (self._node_cut_off, 2), (self._commits_without_answer, 2),
            (self._source_down, 2), (self._texts_while_source_down, 1), (self._source_slow, 2),
        )  # fmt: skip
        self._acts = [act for act, _ in strikes]
        self._weights = [weight for _, weight in strikes]

    def strike(self) -> None:
        """One of them."""
        self._rng.choices(self._acts, self._weights)[0]()

    def _for(
        self, what: str, seconds: float, begin: Callable[[], object], end: Callable[[], object], **about: Any
    ) -> None:
        world = self._world
        world.history.struck(what, seconds=round(seconds, 1), **about)
        begin()

        def over() -> None:
            world.history.add("weather", f"{what}_over", **about)
            end()

        world.reactor.callLater(seconds, over)

    # -- networks -----------------------------------------------------------------------------------------------

    def _some_operator(self) -> Operator:
        return self._world.operators[self._rng.choice(tuple(PORTS))]

    def _cut(self, operator: Operator) -> None:
        for link in self._world.network.of_port(PORTS[operator.name]):
            link.cut()

    def _links_cut(self) -> None:
        operator = self._some_operator()
        self._world.history.struck("links_cut", operator=operator.name)
        self._cut(operator)

    def _links_half_open(self) -> None:
        operator = self._some_operator()
        self._world.history.struck("links_half_open", operator=operator.name)
        for link in self._world.network.of_port(PORTS[operator.name]):
            link.silent = True

    def _operator_unreachable(self) -> None:
        operator, how, network = self._some_operator(), self._rng.choice(("refused", "silent")), self._world.network
        port = PORTS[operator.name]

        def begin() -> None:
            network.unreachable[port] = how
            self._cut(operator)

        self._for(
            f"operator_{how}", self._rng.uniform(2, 20), begin, lambda: network.unreachable.pop(port, None),
            operator=operator.name,
        )  # fmt: skip

    def _network_slow(self) -> None:
        network, most_s = self._world.network, self._rng.choice((0.3, 1.5))
        self._for(
            "network_slow", self._rng.uniform(2, 10), lambda: setattr(network, "latency_s", (most_s / 4, most_s)),
            lambda: setattr(network, "latency_s", QUICK_S), up_to_s=most_s,
        )  # fmt: skip

    # -- operators ----------------------------------------------------------------------------------------------

    def _habit(self, what: str, seconds: float, **habits: Any) -> None:
        operator = self._some_operator()
        usual = self._world.usual_habits()

        def begin() -> None:
            for name, value in habits.items():
                setattr(operator.habits, name, value)

        def end() -> None:
            for name in habits:
                setattr(operator.habits, name, getattr(usual, name))

        self._for(what, seconds, begin, end, operator=operator.name)

    def _answers_go_astray(self) -> None:
        rng = self._rng
        self._habit(
            "answers_go_astray", rng.uniform(3, 20), drop_answer=rng.choice((0.1, 0.5, 1.0)), late_answer=0.2,
            latency_s=(0.005, rng.choice((0.1, 2.0))),
        )  # fmt: skip

    def _answers_nobody_asked_for(self) -> None:
        self._habit("answers_nobody_asked_for", self._rng.uniform(3, 15), answer_twice=0.5, answer_astray=0.3)

    def _operator_overloaded(self) -> None:
        rng = self._rng
        self._habit(
            "operator_overloaded", rng.uniform(3, 15), throttle=rng.choice((0.2, 0.9)), full=rng.choice((0.0, 0.3)),
            busy=rng.choice((0.0, 0.3)),
        )  # fmt: skip

    def _operator_congested(self) -> None:
        self._habit("operator_congested", self._rng.uniform(3, 15), congested=0.5)

    def _operator_refuses(self) -> None:
        self._habit("operator_refuses", self._rng.uniform(2, 8), refuse=self._rng.choice((0.2, 1.0)))

    def _receipts_go_astray(self) -> None:
        rng = self._rng
        self._habit(
            "receipts_go_astray", rng.uniform(5, 25), receipt_lost=rng.choice((0.0, 0.3, 1.0)), receipt_twice=0.5,
            receipt_early=0.6, intermediate=0.3, undelivered=rng.choice((0.08, 0.6)),
            receipt_s=(0.0, rng.choice((1.0, 5.0, 25.0))),
        )  # fmt: skip

    def _orphan_receipts(self) -> None:
        operator, rng = self._some_operator(), self._rng
        self._world.history.struck("orphan_receipts", operator=operator.name)
        for _ in range(rng.randint(1, 4)):
            operator.orphan(f"8497{rng.randrange(10**7):07d}")  # no citizen of this world has such a number

    def _binds_refused(self) -> None:
        operator = self._some_operator()
        operator.habits.refuse_binds = self._rng.randint(1, 4)
        self._world.history.struck("binds_refused", operator=operator.name, times=operator.habits.refuse_binds)
        self._cut(operator)

    def _operator_unbinds(self) -> None:
        operator = self._some_operator()
        self._world.history.struck("operator_unbinds", operator=operator.name)
        operator.unbind_all()

    # -- machines -----------------------------------------------------------------------------------------------

    def _process_killed(self) -> None:
        self._world.history.seen["weather/process_killed"] += 1
        self._rng.choice(self._world.nodes).kill(self._rng.choice((0.2, 2.0, 12.0 * self._world.plan.nodes)))

    def _all_killed(self) -> None:
        self._world.history.struck("all_killed")
        for node in self._world.nodes:
            node.kill(self._rng.choice((0.2, 2.0, 8.0)))

    def _process_restarted(self) -> None:
        self._world.history.seen["weather/process_restarted"] += 1
        self._rng.choice(self._world.nodes).restart()

    def _clock_jumps(self) -> None:
        node = self._rng.choice(self._world.nodes)
        node.clock.error = timedelta(seconds=self._rng.uniform(-CLOCK_ERROR_S, CLOCK_ERROR_S))
        error_s = round(node.clock.error.total_seconds(), 1)
        self._world.history.struck("clock_jumps", node=node.name, error_s=error_s)

    def at_the_apology(self) -> None:
        """A process dies, or is started again, around 17:30:00."""
        node, killed = self._rng.choice(self._world.nodes), self._rng.random() < 0.7
        self._world.history.struck("struck_at_the_apology", node=node.name, killed=killed)
        if killed:
            node.kill(self._rng.choice((0.2, 2.0)))
        else:
            node.restart()

    # -- databases ----------------------------------------------------------------------------------------------

    def _store_slow(self) -> None:
        disk, slow = self._world.disk, self._rng.choice((0.3, 2.0))

        def begin() -> None:
            disk.write_s, disk.read_s = (slow / 4, slow), (slow / 8, slow / 2)

        def end() -> None:
            disk.write_s, disk.read_s = QUICK_WRITE_S, QUICK_READ_S

        self._for("store_slow", self._rng.uniform(2, 15), begin, end, up_to_s=slow)

    def _flag(self, what: str, seconds: float, value: object = True, usual: object = False, name: str = "") -> None:
        disk = self._world.disk
        self._for(what, seconds, lambda: setattr(disk, name, value), lambda: setattr(disk, name, usual))

    def _store_down(self) -> None:
        self._flag("store_down", self._rng.uniform(0.5, 15), name="down")

    def _store_full(self) -> None:
        self._flag("store_full", self._rng.uniform(0.5, 15), name="full")

    def _node_cut_off(self) -> None:
        """One machine loses its way to the store, longer than its lease perhaps; the others go on."""
        node, cut_off = self._rng.choice(self._world.nodes), self._world.disk.cut_off
        self._for(
            "node_cut_off", self._rng.uniform(2, 22), lambda: cut_off.add(node.name),
            lambda: cut_off.discard(node.name), node=node.name,
        )  # fmt: skip

    def _commits_without_answer(self) -> None:
        self._flag("commits_without_answer", self._rng.uniform(1, 8), 0.3, 0.0, name="torn")

    def _source_down(self) -> None:
        agency = self._rng.choice(self._world.agencies)
        self._for(
            "source_down", self._rng.uniform(2, 20), lambda: setattr(agency.server, "down", True),
            lambda: setattr(agency.server, "down", False), agency=agency.name,
        )  # fmt: skip

    def _texts_while_source_down(self) -> None:
        """Citizens ask of dossiers whose agency cannot be reached: the state that was seen last answers, or we apologise."""
        agency, rng = self._rng.choice(self._world.agencies), self._rng
        self._for(
            "texts_while_source_down", 6.0, lambda: setattr(agency.server, "down", True),
            lambda: setattr(agency.server, "down", False), agency=agency.name,
        )  # fmt: skip
        for _ in range(rng.randint(2, 4)):
            if agency.dossiers:
                code = rng.choice(list(agency.dossiers))
                self._world.reactor.callLater(rng.uniform(0.0, 5.0), self._world.ask, f"MCKH {code}")

    def _source_slow(self) -> None:
        server, slow = self._rng.choice(self._world.agencies).server, self._rng.choice(((1.0, 4.0), (31.0, 40.0)))
        self._for(
            "source_hangs" if slow[0] > 30 else "source_slow", self._rng.uniform(2, 15),
            lambda: setattr(server, "delay_s", slow), lambda: setattr(server, "delay_s", QUICK_SOURCE_S),
        )  # fmt: skip

    # -- the end ------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Every fault ends: from here on all must come right. Wrong clocks stay wrong."""
        world = self._world
        world.history.add("weather", "clear_sky")
        disk = world.disk
        disk.down, disk.full, disk.torn = False, False, 0.0
        disk.cut_off.clear()
        disk.write_s, disk.read_s = QUICK_WRITE_S, QUICK_READ_S
        world.network.unreachable.clear()
        world.network.latency_s = QUICK_S
        for operator in world.operators.values():
            operator.habits = Habits(undelivered=0.0)
        for agency in world.agencies:
            agency.server.down, agency.server.delay_s = False, QUICK_SOURCE_S
