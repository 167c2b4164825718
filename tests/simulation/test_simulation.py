"""The simulation in the test suite: many seeds, the same run for the same seed, and a judge that convicts the guilty.

The seeds run in processes of their own: with a fixed hash seed, and without the measurement of coverage, which would double
their time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from sim_checks import _Judge
from sim_expected import EXPECTED
from sim_mutants import MUTANTS
from sim_plan import DAY, Plan, Scene, draw
from sim_world import World

RUN = Path(__file__).with_name("run.py")
#: More by hand: ``python tests/simulation/run.py --seeds 10000``.
SEEDS = range(200)
#: For worlds that are broken on purpose.
SHORT = 4


def _play(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    """Results of run.py, one for each seed, and what it said besides."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, str(RUN), "--json", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


def _short(seed: int) -> Plan:
    """Two scenes are enough to see a fault that is always there."""
    scenes = (Scene("morning", 0, "08:00:00", 45.0), replace(DAY[2], seconds=40.0))
    return replace(draw(seed), scenes=scenes, stormy=0.6, nodes=1, ported=0.0, hold_s=0)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Any:
    yield
    structlog.reset_defaults()


# -- the seeds ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> dict[int, dict[str, Any]]:
    """What became of the seeds that this run of pytest asks for."""
    wanted = {
        seed
        for item in request.session.items
        if (seed := getattr(item, "callspec", None) and item.callspec.params.get("seed")) is not None
    }
    if any("every_kind_of_thing" in item.name for item in request.session.items):
        wanted = set(SEEDS)
    found, errors = _play("--keep-going", "--list", ",".join(map(str, sorted(wanted))))
    assert len(found) == len(wanted), errors
    return {result["seed"]: result for result in found}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_invariants_hold(results: dict[int, dict[str, Any]], seed: int) -> None:
    result = results[seed]
    replay = f"replay: python tests/simulation/run.py --seed {seed} --verbose"
    assert not result["violations"], "\n".join([*result["violations"], replay])
    assert result["counts"]["messages"] > 3, "a world in which nothing happens proves nothing"


@pytest.mark.slow
def test_every_kind_of_thing_happened(results: dict[int, dict[str, Any]]) -> None:
    """All faults, all states of all kinds of messages, queries and charges: nobody makes the simulation toothless."""
    seen: Counter[str] = Counter()
    for result in results.values():
        seen.update(result["seen"])
    assert not [name for name in EXPECTED if not seen[name]]


@pytest.mark.slow
def test_broken_gateways_are_convicted() -> None:
    """Each of them, and within the seeds of the test suite."""
    found, errors = _play("--mutants", "--seeds", str(len(SEEDS)))
    assert {result["mutant"] for result in found} == set(MUTANTS), errors
    assert not [result["mutant"] for result in found if result["seed"] is None]


# -- the judge ---------------------------------------------------------------------------------------------------------


class _Crime:
    """One world, judged again after its store was falsified."""

    def __init__(self) -> None:
        self.world = World(SHORT, plan=_short(SHORT))
        self.world.run()

    def verdict(self, statement: str) -> list[str]:
        """What the judge says when this statement had been executed; the store is as before afterwards."""
        world, before = self.world, list(self.world.violations)
        with world.disk.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            kept = sqlite3.connect(":memory:")
            driver.backup(kept)
            driver.execute("PRAGMA foreign_keys = OFF")
            assert driver.execute(statement).rowcount > 0, f"nothing to falsify: {statement}"
        _Judge(world).judge()
        kept.backup(driver)
        kept.close()
        found, world.violations = world.violations[len(before) :], before
        return found


@pytest.fixture(scope="module")
def crime() -> _Crime:
    return _Crime()


ONE_DELIVERED = "(SELECT min(id) FROM message WHERE state = 'delivered' AND kind = '{kind}')"


@pytest.mark.parametrize(
    ("invariant", "statement"),
    [
        ("every message ends", "UPDATE message SET state = 'sending' WHERE id = " + ONE_DELIVERED),
        ("with a reason", "UPDATE message SET state = 'rejected', reason = '' WHERE id = " + ONE_DELIVERED),
        (
            "cancelled ones never leave",
            "UPDATE message SET state = 'cancelled', reason = 'x' WHERE id = " + ONE_DELIVERED,
        ),
        ("nothing lost", "UPDATE message SET parts = parts + 1 WHERE id = " + ONE_DELIVERED),
        ("nothing that is not in the store", "UPDATE message SET text = 'x' WHERE id = " + ONE_DELIVERED),
        ("one record per MO", "DELETE FROM mo WHERE id = (SELECT min(id) FROM mo)"),
        ("one reply per MO", "DELETE FROM message WHERE id = (SELECT min(id) FROM message WHERE mo_id IS NOT NULL)"),
        ("one charge per MO", "DELETE FROM charge WHERE mo_id = (SELECT min(mo_id) FROM charge)"),
        ("every charge ends", "UPDATE charge SET state = 'sent' WHERE mo_id = (SELECT min(mo_id) FROM charge)"),
        ("the ledger knows", "UPDATE charge SET state = 'not_charged' WHERE state = 'charged'"),
        ("charged only as told", "UPDATE charge SET state = 'charged' WHERE state = 'not_charged'"),
    ],
)
def test_the_judge_convicts(crime: _Crime, invariant: str, statement: str) -> None:
    found = crime.verdict(statement.format(kind="result_ready"))
    assert any(violation.startswith(invariant) for violation in found), found


def _send_without_claim(world: World) -> None:
    with world.disk.engine.begin() as connection:
        connection.execute(sa.text("CREATE TRIGGER lost AFTER UPDATE OF state ON message WHEN new.state = 'sending' BEGIN "
                                   "UPDATE message SET node = 'nobody/0' WHERE id = new.id; END"))  # fmt: skip


def _no_licence(world: World) -> None:
    world.licence = dict.fromkeys(world.licence, 1)


def _forget_queries(world: World) -> None:
    with world.disk.engine.begin() as connection:
        connection.execute(sa.text("CREATE TRIGGER forget AFTER INSERT ON mo BEGIN "
                                   "UPDATE mo SET smsc_message_id = 'other' WHERE id = new.id; END"))  # fmt: skip


@pytest.mark.parametrize(
    ("invariant", "break_it"),
    [
        ("claim before send", _send_without_claim),
        ("licence", _no_licence),
        ("persist before acknowledge", _forget_queries),
    ],
)
def test_the_watch_at_the_wire_convicts(invariant: str, break_it: Callable[[World], None]) -> None:
    world = World(SHORT, plan=_short(SHORT))
    break_it(world)
    world.run()
    assert any(violation.startswith(invariant) for violation in world.violations), world.violations


def test_a_seed_is_one_history() -> None:
    first, again, other = World(5), World(5), World(6)
    for world in (first, again, other):
        world.run()
    assert first.history.lines == again.history.lines
    assert first.history.digest() != other.history.digest()


def test_a_seed_is_one_history_in_every_process() -> None:
    """Whatever a process played before, and whatever its hash seed was."""
    runs = []
    for before, hash_seed in (("3", "0"), ("8", "1")):
        found = subprocess.run(
            [sys.executable, str(RUN), "--list", f"{before},5", "--jobs", "1", "--json", "--digest"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        runs.append(json.loads(found.stdout.splitlines()[-1]))
    assert runs[0]["seed"] == 5
    assert runs[0]["digest"]
    assert runs[0] == runs[1]


def test_the_judge_convicts_notices_that_were_not_due(crime: _Crime) -> None:
    world, before = crime.world, list(crime.world.violations)
    kept = {id(dossier): dossier.history for agency in world.agencies for dossier in agency.dossiers.values()}
    dossiers = [dossier for agency in world.agencies for dossier in agency.dossiers.values()]
    for dossier in dossiers:  # as if no official had ever done anything
        dossier.history = [replace(dossier.history[0], due_at=dossier.history[0].due_at + timedelta(days=30))]
    _Judge(world).judge()
    found, world.violations = world.violations[len(before) :], before
    for dossier in dossiers:
        dossier.history = kept[id(dossier)]
    for invariant in ("no notice that is not due", "nothing announced twice", "apology only for those due tomorrow"):
        assert any(violation.startswith(invariant) for violation in found), (invariant, found[:5])


def test_the_judge_convicts_apologies_at_noon(crime: _Crime) -> None:
    world, before = crime.world, list(crime.world.violations)
    kept = {name: operator.submits for name, operator in world.operators.items()}
    for operator in world.operators.values():
        operator.submits = [
            replace(submit, business=submit.business - timedelta(hours=5)) for submit in operator.submits
        ]
    _Judge(world).judge()
    found, world.violations = world.violations[len(before) :], before
    for name, operator in world.operators.items():
        operator.submits = kept[name]
    assert any(violation.startswith("the apology's hours") for violation in found), found[:5]
