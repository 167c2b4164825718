"""Play seeds by hand: ``python tests/simulation/run.py --seed 17 --verbose`` or ``--seeds 1000``. See docs/simulation.md."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and os.environ.get("PYTHONHASHSEED") != "0":
    # The order of sets of texts depends on it, and a replay must be the same run.
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.argv])

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sim_checks import play


def main() -> int:
    """Returns the exit status: 1 when a seed failed."""
    parser = argparse.ArgumentParser(description="Deterministic simulation of the whole gateway")
    parser.add_argument("--seed", type=int, help="play this one seed")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print its history while it runs")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    options = parser.parse_args()
    if options.seed is not None:
        result = play(options.seed, echo=sys.stdout if options.verbose else None)
        print(result.report())
        return int(bool(result.violations))
    return _many(options)


def _many(options: argparse.Namespace) -> int:
    began, failed, done = time.monotonic(), 0, 0
    seeds = range(options.first, options.first + options.seeds)
    pool = ProcessPoolExecutor(options.jobs) if options.jobs > 1 else None
    results = pool.map(play, seeds, chunksize=4) if pool else map(play, seeds)
    totals: dict[str, int] = {}
    for result in results:
        done += 1
        for name, number in result.counts.items():
            totals[name] = totals.get(name, 0) + number
        if result.violations:
            failed += 1
            print(f"\n{result.report()}")
            if not options.keep_going:
                break
        if done % 10 == 0:
            _progress(done, options.seeds, failed, began)
    _progress(done, options.seeds, failed, began)
    print("\n" + "  ".join(f"{name} {number}" for name, number in sorted(totals.items())))
    if pool:
        pool.shutdown(cancel_futures=True)
    return int(failed > 0)


def _progress(done: int, of: int, failed: int, began: float) -> None:
    pace = done / max(time.monotonic() - began, 1e-9)
    print(f"\r{done}/{of} seeds, {failed} failed, {pace:.2f} a second", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
