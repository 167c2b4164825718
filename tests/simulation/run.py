"""Play seeds by hand: ``python tests/simulation/run.py --seed 17 --verbose`` or ``--seeds 1000``. See docs/simulation.md."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and os.environ.get("PYTHONHASHSEED") != "0":
    # The order of sets of texts depends on it, and a replay must be the same run.
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.argv])

import argparse
import gc
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # the gateway of this checkout, whatever is installed

from sim_checks import Result, play  # noqa: E402
from sim_mutants import MUTANTS, mutated  # noqa: E402


def main() -> int:
    """Returns the exit status: 1 when a seed failed."""
    parser = argparse.ArgumentParser(description="Deterministic simulation of the whole gateway")
    parser.add_argument("--seed", type=int, help="play this one seed")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print its history while it runs")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--list", default="", metavar="N,N,…", help="these seeds instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one for each CPU)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--seen", action="store_true", help="print how often each kind of thing happened")
    parser.add_argument("--digest", action="store_true", help="with --json: a digest of each history")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each seed, and nothing else")
    parser.add_argument(
        "--mutants", action="store_true", help="play each broken gateway until one of the seeds convicts it"
    )
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="break the gateway on purpose: its seeds must fail")
    options = parser.parse_args()
    if options.seed is not None:
        with mutated(options.mutant):
            result = play(options.seed, echo=sys.stdout if options.verbose else None, with_digest=True)
        print(result.report())
        return int(bool(result.violations))
    return _convict_all(options) if options.mutants else _many(options)


def _many(options: argparse.Namespace) -> int:
    began = time.monotonic()
    seeds: Sequence[int] = range(options.first, options.first + options.seeds)
    if options.list:
        seeds = [int(seed) for seed in options.list.split(",")]
    failed, done = 0, 0
    counts: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    play_one = partial(_play, options.mutant, options.digest)
    with _results(play_one, seeds, min(options.jobs, len(seeds))) as results:
        for result in results:
            done += 1
            failed += bool(result.violations)
            counts.update(result.counts)
            seen.update(result.seen)
            if options.json:
                print(json.dumps(asdict(result)), flush=True)
                continue
            if result.violations:
                print(f"\n{result.report()}", flush=True)
            if sys.stdout.isatty() or done % 500 == 0:
                _progress(done, len(seeds), failed, began)
            if (result.violations and not options.keep_going) or time.monotonic() - began > options.minutes * 60:
                break
    if not options.json:
        _progress(done, len(seeds), failed, began)
        print(f"\nplayed  {_row(counts)}\nstruck  {_row(_of(seen, 'weather/'))}")
        if options.seen:
            print("\n".join(f"{number:8d}  {name}" for name, number in sorted(seen.items())))
        if failed == 0:
            print("all invariants hold")
    return int(failed > 0)


def _convict_all(options: argparse.Namespace) -> int:
    seeds = range(options.first, options.first + options.seeds)
    missed = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for name, seed, violation in pool.map(partial(_convict, seeds), MUTANTS):
            missed += seed is None
            if options.json:
                print(json.dumps({"mutant": name, "seed": seed, "violation": violation}), flush=True)
            else:
                print(f"{name:36} {'NOT FOUND' if seed is None else f'seed {seed:3}  {violation[:100]}'}", flush=True)
    return int(missed > 0)


def _convict(seeds: Sequence[int], name: str) -> tuple[str, int | None, str]:
    """The mutant, the first seed that convicts it, and of what."""
    with mutated(name):
        for seed in seeds:
            violations = play(seed).violations
            if violations:
                return name, seed, violations[0].splitlines()[0]
    return name, None, ""


@contextmanager
def _results(play_one: Callable[[int], Result], seeds: Sequence[int], jobs: int) -> Iterator[Iterator[Result]]:
    if jobs <= 1:
        yield map(play_one, seeds)
        return
    pool = ProcessPoolExecutor(jobs)
    try:
        yield pool.map(play_one, seeds, chunksize=1)
    finally:
        pool.shutdown(cancel_futures=True)


def _play(mutant: str | None, with_digest: bool, seed: int) -> Result:
    with mutated(mutant):
        result = play(seed, with_digest=with_digest)
    if seed % 10 == 0:
        gc.collect()
    return result


def _progress(done: int, of: int, failed: int, began: float) -> None:
    pace = done / max(time.monotonic() - began, 1e-9)
    begin, end = ("\r", "") if sys.stdout.isatty() else ("", "\n")
    print(f"{begin}{done}/{of} seeds, {failed} failed, {pace:.1f} a second", end=end, flush=True)


def _of(seen: Counter[str], prefix: str) -> Counter[str]:
    return Counter({name.removeprefix(prefix): number for name, number in seen.items() if name.startswith(prefix)})


def _row(numbers: Counter[str]) -> str:
    return "  ".join(f"{name} {number}" for name, number in sorted(numbers.items()))


if __name__ == "__main__":
    sys.exit(main())
