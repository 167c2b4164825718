"""``motcua-simulator scenario``: plays scenarios, one after the other, each on a simulator of its own.

With ``run`` it is the second place that has the real reactor.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from simulator.cli_common import EXIT_REFUSED, FILE
from simulator.errors import ConfigFaults, SimulatorError

_EXIT_INTERRUPTED = 130


@click.command()
@click.argument("scenarios", nargs=-1, metavar="FILE|NAME…")
@click.option("--list", "listed", is_flag=True, help="the shipped scenarios, and their parameters")
@click.option("--show", metavar="NAME", help="print a shipped scenario: the start of one of your own")
@click.option("--schema", is_flag=True, help="print the JSON schema of such files, for editors")
@click.option("--check", is_flag=True, help="only say whether the files are right")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="a parameter of the scenario; may stand often"
)
@click.option("--port", type=click.IntRange(0, 65535), help="SMPP port, where there is one account; 0 takes a free one")
@click.option("--esme", metavar="COMMAND", help="the ESME under test, started and ended here: 'node esme.js ${port}'")
@click.option("--seed", type=int, help="of the simulator's randomness")
@click.option(
    "--patience", type=click.FloatRange(min=0.1), default=1.0, help="times every time limit: 3 on a slow machine"
)
@click.option("--junit", type=FILE, help="write a JUnit XML report")
@click.option("--json", "as_json", is_flag=True, help="print the results as one JSON object")
@click.option("-v", "--verbose", is_flag=True, help="log binds, MO and faults on standard error, too")
def scenario(
    scenarios: tuple[str, ...],
    listed: bool,
    show: str | None,
    schema: bool,
    check: bool,
    settings: tuple[str, ...],
    port: int | None,
    esme: str | None,
    seed: int | None,
    patience: float,
    junit: Path | None,
    as_json: bool,
    verbose: bool,
) -> None:
    """Play scenarios against an ESME: handsets send, links break, and the ESME must do what the file expects.

    Exit code 0: every scenario passed; 1: one failed; 2: a file is wrong.
    """
    from simulator.scenario import library
    from simulator.scenario.load import Given
    from simulator.scenario.variables import parse_setting

    if listed:
        _print_list()
        return
    if show is not None:
        click.echo(library.find(show)[1].text, nl=False)
        return
    if schema:
        from simulator.scenario.schema import schema as made

        click.echo(json.dumps(made(), indent=2, ensure_ascii=False))
        return
    if not scenarios:
        raise click.UsageError("name a file or a shipped scenario; --list tells these")
    try:
        given = Given(
            dict(map(parse_setting, settings)), port, None if esme is None else tuple(shlex.split(esme)), seed
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--esme") from error
    except SimulatorError as error:
        raise ConfigFaults([error]) from error
    cases = _load(scenarios, given, junit)
    if check:
        for case in cases:
            click.echo(f"{case.name}: {len(case.scenario.steps)} steps, right")
        return
    _run(cases, patience, junit, as_json, verbose)


def _load(words: Sequence[str], given: Any, junit: Path | None) -> list[Any]:
    """The cases of all files. Raises :class:`ConfigFaults` with what is wrong in any of them; the report says it, too."""
    from simulator.scenario import library
    from simulator.scenario.junit import write
    from simulator.scenario.load import load, parameters

    cases: list[Any] = []
    wrong: list[tuple[str, list[SimulatorError]]] = []
    known: set[str] = set()
    for word in words:
        try:
            name, document = library.find(word)
            cases += load(document, name, given)
            known |= parameters(document)
        except ConfigFaults as faults:
            wrong.append((word, faults.faults))
        except SimulatorError as error:
            wrong.append((word, [error]))
    for name in given.settings:
        if name not in known and not wrong:
            remedy = f"There is: {', '.join(sorted(known)) or 'none'}"
            wrong.append((f"--set {name}", [SimulatorError(f"--set {name}", "no such parameter", remedy)]))
    if wrong:
        if junit is not None:
            write(junit, [], wrong)
        raise ConfigFaults([fault for _, faults in wrong for fault in faults])
    return cases


def _run(cases: Sequence[Any], patience: float, junit: Path | None, as_json: bool, verbose: bool) -> None:
    from twisted.internet import reactor as installed  # only a command that runs installs one
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from simulator import log
    from simulator.scenario import report
    from simulator.scenario.junit import write
    from simulator.scenario.play import Play
    from simulator.scenario.results import CaseResult
    from simulator.settings import LogSettings

    log.configure(LogSettings(level="info" if verbose else "error"))
    reactor: Any = installed
    results: list[CaseResult] = []
    current: list[Play] = []
    interrupted: list[bool] = []
    broken: list[Failure] = []

    def say(lines: Any) -> None:
        if not as_json:
            for line in lines:
                click.echo(line)
            sys.stdout.flush()

    async def play_all() -> None:
        for case in cases:
            if interrupted:
                return
            play = Play(
                reactor,
                case,
                patience=patience,
                on_ready=lambda result: say(report.head_lines(result)),
                on_step=lambda step: say(report.step_lines(current[0].result, step)),
            )
            current[:] = [play]
            result = await play.run()
            results.append(result)
            say([report.end_line(result)])

    ended: Deferred[None] = Deferred()

    def over(outcome: Any) -> None:
        if isinstance(outcome, Failure):
            broken.append(outcome)
        current.clear()
        ended.callback(None)
        if reactor.running and not interrupted:
            reactor.stop()

    def shut_down() -> Deferred[None] | None:
        """Ctrl-C, SIGTERM: what was started is ended first."""
        if ended.called:
            return None
        interrupted.append(True)
        if current:
            current[0].interrupt()
        return ended

    reactor.addSystemEventTrigger("before", "shutdown", shut_down)
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(play_all()).addBoth(over))
    reactor.run()

    error = broken[0].value if broken else None
    if junit is not None:
        wrong = [(cases[len(results)].name, [error])] if isinstance(error, SimulatorError) else []
        write(junit, results, wrong)
    if as_json:
        click.echo(json.dumps(report.as_json(results), ensure_ascii=False))
    elif len(results) > 1:
        click.echo(report.summary_line(results))
    if isinstance(error, SimulatorError) and not isinstance(error, ConfigFaults):
        raise ConfigFaults([error]) from error
    if broken:
        broken[0].raiseException()
    if interrupted:
        sys.exit(_EXIT_INTERRUPTED)
    if not all(result.passed for result in results):
        sys.exit(EXIT_REFUSED)


def _print_list() -> None:
    from simulator.scenario import library

    for name, document in library.shipped().items():
        about = " ".join(str(document.value.get("about", "")).split())
        click.echo(f"{click.style(name, bold=True)}: {about}")
        given = document.value.get("parameters") or {}
        words = [
            f"{key}={value.get('default', '') if isinstance(value, dict) else value}" for key, value in given.items()
        ]
        if words:
            click.echo(f"    --set {'; '.join(words)}")
