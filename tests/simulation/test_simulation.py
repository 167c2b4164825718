"""The simulation in the test suite: some seeds, the same run for the same seed, and a judge that convicts the guilty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from sim_checks import _Judge, play
from sim_world import World

#: More by hand: ``python tests/simulation/run.py --seeds 1000``.
SEEDS = range(8)
#: For worlds that are broken on purpose.
SHORT = 0


def _shorten(patch: pytest.MonkeyPatch) -> None:
    """Two scenes are enough to see a fault that is always there."""
    patch.setattr("sim_world.SCENES", ((0, "08:00:00", 45), (0, "17:29:45", 40)))
    patch.setattr("sim_world.SETTLE_S", 5.0)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Any:
    yield
    structlog.reset_defaults()


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_invariants_hold(seed: int) -> None:
    result = play(seed)
    assert not result.violations, result.report()
    assert result.counts["messages"] > 50, "a world in which nothing happens proves nothing"
    assert result.counts["submits"] > 30


class _Crime:
    """One world, judged again after its store was falsified."""

    def __init__(self) -> None:
        self.world = World(SHORT)
        self.world.run()

    def verdict(self, statement: str) -> list[str]:
        """What the judge says when this statement had been executed; the store is as before afterwards."""
        world, before = self.world, list(self.world.violations)
        with world.disk.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            kept = driver.serialize()
            driver.execute("PRAGMA foreign_keys = OFF")
            assert driver.execute(statement).rowcount > 0, f"nothing to falsify: {statement}"
        _Judge(world).judge()
        driver.deserialize(kept)
        found, world.violations = world.violations[len(before) :], before
        return found


@pytest.fixture(scope="module")
def crime() -> Iterator[_Crime]:
    with pytest.MonkeyPatch.context() as patch:
        _shorten(patch)
        patch.setattr("sim_world.SETTLE_S", 120.0)
        yield _Crime()


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
def test_the_watch_at_the_wire_convicts(
    invariant: str, break_it: Callable[[World], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    _shorten(monkeypatch)
    world = World(SHORT)
    break_it(world)
    world.run()
    assert any(violation.startswith(invariant) for violation in world.violations), world.violations


def test_a_seed_is_one_history(monkeypatch: pytest.MonkeyPatch) -> None:
    _shorten(monkeypatch)
    first, again, other = World(5), World(5), World(6)
    for world in (first, again, other):
        world.run()
    assert first.history.lines == again.history.lines
    assert first.history.digest() != other.history.digest()


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
