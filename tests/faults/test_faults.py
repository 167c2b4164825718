"""Storms in the test suite: few, but every kind of fault on both stores. Many more by hand: ``tests/faults/run.py``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import postgres_server
import pytest
from fault_plan import KINDS, POSTGRESQL, SQLITE, draw_plan
from run import Result, play
from store_places import Templates

#: Processes wait most of the time; with more at once they wait for each other.
AT_ONCE = 3
PATIENCE_S = 300.0

#: The seed decides moments, traffic and settings; the faults are named, so that none is left out.
STORMS: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "sqlite_kill": (1, SQLITE, ("kill", "cut", "lost_answers", "store_locked")),
    "sqlite_full": (2, SQLITE, ("disk_full", "garbage", "lost_requests", "pause")),
    "sqlite_start": (3, SQLITE, ("kill_starting", "disk_limit", "held_receipts")),
    "sqlite_clock": (4, SQLITE, ("clock_leap", "half_open", "congestion", "lost_receipts")),
    "postgresql_kill": (5, POSTGRESQL, ("kill", "store_crashed", "late_answers", "unbind")),
    "postgresql_stop": (6, POSTGRESQL, ("store_stopped", "backend_ended", "refused_binds", "clock_leap")),
    "postgresql_full": (7, POSTGRESQL, ("disk_full", "backend_killed", "queue_full", "pause")),
    "postgresql_slow": (8, POSTGRESQL, ("store_frozen", "store_locked", "held_answers", "disk_limit")),
}


@dataclass
class Runs:
    """The storms that were begun, by name."""

    folder: Path
    begun: dict[str, Future[Result]]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    wanted = [item.callspec.params["storm"] for item in request.session.items if hasattr(item, "callspec")
              and "storm" in item.callspec.params]  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="motcua-faults-"))
    folder.chmod(0o755)  # the database server runs as a user of its own
    templates = Templates(folder / "templates")
    templates.sqlite()
    if any(STORMS[name][1] == POSTGRESQL for name in wanted):
        try:
            templates.postgresql()
        except postgres_server.NoServer as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        begun = {}
        for name in wanted:
            seed, store, must = STORMS[name]
            begun[name] = pool.submit(play, seed, folder, templates, store, must=must)
        yield Runs(folder, begun)
    if all(not run.result().violations for run in begun.values()):
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("storm", STORMS)
def test_nothing_is_lost_and_nothing_doubled_but_what_is_marked(runs: Runs, storm: str) -> None:
    result = runs.begun[storm].result(PATIENCE_S)
    assert not result.violations, result.report()
    assert sorted(result.strikes) == sorted(STORMS[storm][2])
    assert result.counts["messages"] > 20, "a storm over nothing proves nothing"
    assert result.counts["lost"] == 0


def test_every_kind_of_fault_is_among_the_storms() -> None:
    struck = {store: {kind for _, on, kinds in STORMS.values() if on == store for kind in kinds} for store in KINDS}
    assert struck[SQLITE] | struck[POSTGRESQL] == set(KINDS[SQLITE]) | set(KINDS[POSTGRESQL])
    assert set(KINDS[SQLITE]) - set(KINDS[POSTGRESQL]) <= struck[SQLITE]
    assert set(KINDS[POSTGRESQL]) - set(KINDS[SQLITE]) <= struck[POSTGRESQL]


def test_a_seed_is_always_the_same_plan() -> None:
    assert draw_plan(17) == draw_plan(17)
    assert len({draw_plan(seed).strikes for seed in range(50)}) == 50
    struck = {strike.kind for seed in range(200) for strike in draw_plan(seed).strikes}
    assert struck == set(KINDS[SQLITE]) | set(KINDS[POSTGRESQL])
