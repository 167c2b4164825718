"""Results for people and as JSON. A failed step says what was expected, what was seen, and which line of the file it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from simulator.scenario.events import printable
from simulator.scenario.results import CaseResult, Failure, StepResult

_MARKS = {
    "passed": click.style("✓", fg="green"),
    "failed": click.style("✗", fg="red", bold=True),
    "left_out": click.style("-", fg="yellow"),
    "not_run": click.style("·", fg="yellow"),
}
_INDENT = " " * 12


def head_lines(result: CaseResult) -> Iterator[str]:
    """Before the first step: what is played, and where the ESME finds the simulator."""
    yield click.style(result.name, bold=True) + (f": {result.about}" if result.about else "")
    ports = ", ".join(f"{name} on port {port}" for name, port in result.ports.items())
    yield f"  {ports}; seed {result.seed}; {result.control}/page"


def step_lines(result: CaseResult, step: StepResult) -> Iterator[str]:
    """One step, when it is over."""
    number = f"{step.number:>2}" if step.number else " *"
    told = f"  {click.style(printable(step.told), dim=True)}" if step.told else ""
    note = {"left_out": "  (left out)", "not_run": "  (not run)"}.get(step.status, "")
    yield f"  {_MARKS[step.status]} {step.seconds:6.2f} s {number} {printable(step.title)}{told}{note}"
    if step.failure is not None:
        for line in failure_lines(step.failure, f"{result.file}:{step.line}"):
            yield _INDENT + printable(line)


def failure_lines(failure: Failure, where: str) -> Iterator[str]:
    """Why a step failed."""
    yield f"{where}: {failure.what}"
    if failure.expected:
        yield f"expected: {failure.expected}"
    for number, line in enumerate(failure.seen):
        yield ("seen:     " if number == 0 else "          ") + line
    if failure.pdus:
        yield "the last PDUs (without enquire_link), in seconds since the first step; < is from the ESME:"
        for line in failure.pdus:
            yield "  " + line


def end_line(result: CaseResult) -> str:
    """The outcome of one scenario."""
    parts = [f"{result.count('passed')} passed"]
    for status, word in (("failed", "failed"), ("left_out", "left out"), ("not_run", "not run")):
        count = result.count(status)  # type: ignore[arg-type]
        if count:
            parts.append(f"{count} {word}")
    word = click.style("passed", fg="green") if result.passed else click.style("FAILED", fg="red", bold=True)
    return f"  {word}: {', '.join(parts)}, {result.seconds:.2f} s"


def summary_line(results: Sequence[CaseResult]) -> str:
    """The outcome of several scenarios."""
    failed = [result.name for result in results if not result.passed]
    if not failed:
        return f"{len(results)} scenarios passed"
    return f"{len(failed)} of {len(results)} scenarios failed: {', '.join(failed)}"


def as_json(results: Sequence[CaseResult]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "passed": all(result.passed for result in results),
        "scenarios": [{"passed": result.passed, **asdict(result)} for result in results],
    }
