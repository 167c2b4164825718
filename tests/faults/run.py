"""Storms by hand: ``python tests/faults/run.py --seeds 200 --jobs 2`` or ``--seed 17 --verbose``. See docs/faults.md."""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from fault_plan import draw_plan
from judge import judge, save
from store_places import Templates
from storm import Storm


@dataclass(frozen=True)
class Result:
    """What became of one seed."""

    seed: int
    store: str
    violations: tuple[str, ...]
    seconds: float
    strikes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    folder: str = ""  # where its logs are; "" when they were removed

    def report(self) -> str:
        """For people: the verdict, and how to see it again."""
        head = f"seed {self.seed} on {self.store} ({', '.join(self.strikes)}; {self.seconds:.1f} s)"
        if not self.violations:
            return f"{head}: holds"
        shown = "\n".join(f"  {violation}" for violation in self.violations[:12])
        more = f"\n  … and {len(self.violations) - 12} more" if len(self.violations) > 12 else ""
        return (
            f"{head}: {len(self.violations)} violations\n{shown}{more}\n"
            f"  replay: python tests/faults/run.py --seed {self.seed} --store {self.store} --verbose\n"
            f"  logs:   {self.folder}"
        )


def play(
    seed: int,
    folder: Path,
    templates: Templates,
    store: str | None = None,
    *,
    must: tuple[str, ...] = (),
    keep: bool = False,
    echo: TextIO | None = None,
) -> Result:
    """Run one seed and judge it; the logs of one that holds are removed unless they are to be kept."""
    plan = draw_plan(seed, store, must)
    place = folder / f"seed-{seed}-{plan.store}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    began = time.monotonic()
    counts: dict[str, int] = {}
    try:
        evidence = Storm(plan, place, templates, echo).run()
        save(evidence, place / "evidence.json")
        verdict = judge(evidence)
        violations, counts = verdict.violations, verdict.counts
    except Exception:  # noqa: BLE001 - the edge of the runner: the other seeds go on, and this one is told
        violations = (f"the run itself failed:\n{traceback.format_exc()}",)
    kinds = tuple(strike.kind for strike in plan.strikes)
    kept = bool(violations) or keep
    if not kept:
        shutil.rmtree(place, ignore_errors=True)
    seconds = time.monotonic() - began
    result = Result(seed, plan.store, violations, seconds, kinds, counts, str(place) if kept else "")
    if kept:
        (place / "verdict.txt").write_text(result.report() + f"\n{counts}\n", encoding="utf-8")
    return result


def main() -> int:
    """Returns the exit status: 1 when a seed failed."""
    parser = argparse.ArgumentParser(description="The gateway's processes under random faults")
    parser.add_argument("--seed", type=int, help="play this one seed")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print its history while it runs")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), help="default: the seed decides")
    parser.add_argument("--minutes", type=float, help="begin no further seed after this")
    parser.add_argument("--logs", type=Path, help="folder; default: a new one below the system's for temporary files")
    parser.add_argument("--keep", action="store_true", help="keep the logs of every seed")
    options = parser.parse_args()
    folder = options.logs or Path(tempfile.mkdtemp(prefix="motcua-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the database server runs as a user of its own
    templates = Templates(folder / "templates")
    if options.seed is not None:
        echo = sys.stdout if options.verbose else None
        result = play(options.seed, folder, templates, options.store, keep=True, echo=echo)
        print(result.report(), f"\n  {result.counts}\n  logs:   {result.folder}")
        return int(bool(result.violations))
    return _many(options, folder, templates)


def _many(options: argparse.Namespace, folder: Path, templates: Templates) -> int:
    templates.sqlite()
    if options.store != "sqlite":
        templates.postgresql()  # once, before processes share it
    began, failed, done = time.monotonic(), 0, 0
    totals: dict[str, int] = {}
    seeds = iter(range(options.first, options.first + options.seeds))
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = set()
        while True:
            over = options.minutes is not None and time.monotonic() - began > options.minutes * 60
            while not over and len(running) < options.jobs and (seed := next(seeds, None)) is not None:
                running.add(pool.submit(play, seed, folder, templates, options.store, keep=options.keep))
            if not running:
                break
            future = next(as_completed(running))
            running.discard(future)
            result = future.result()
            done, failed = done + 1, failed + bool(result.violations)
            for name, number in {**result.counts, f"on {result.store}": 1}.items():
                totals[name] = totals.get(name, 0) + number
            print(result.report(), flush=True)
    spent = time.monotonic() - began
    print(f"\n{done} seeds from {options.first}, {failed} failed, {spent:.0f} s; logs of failed ones: {folder}")
    print("  ".join(f"{name} {number}" for name, number in totals.items()))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
