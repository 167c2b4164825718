"""A scenario's text → the cases to play: parameters put in, everything validated, every fault with its line and its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simulator.config_file import load_settings
from simulator.errors import ConfigFaults, SimulatorError
from simulator.presets import overlay
from simulator.scenario import variables
from simulator.scenario.faults import told
from simulator.scenario.model import Head, Scenario, Step
from simulator.scenario.yaml_lines import Document, Path_
from simulator.settings import AccountSettings, SimulatorSettings

_IN_THE_RUN = ("steps", "always", "esme")  # the sections that may name what only the run knows
_GROUP = re.compile(r"\(\?P<(\w+)>")


@dataclass(frozen=True)
class Given:
    """What the command line says beside the file."""

    settings: Mapping[str, str]
    port: int | None = None
    esme: tuple[str, ...] | None = None  # a command, in place of the file's
    seed: int | None = None


@dataclass(frozen=True)
class Case:
    """One scenario with its parameters in it, ready to be played."""

    name: str
    document: Document
    scenario: Scenario  # what only the run knows is filled with samples in it
    variables: dict[str, str]
    filled: dict[str, Any]  # the file's values; what only the run knows stands as ${name}

    def step(self, index: int, values: Mapping[str, str]) -> Step:
        """A step with everything put in. Raises :class:`SimulatorError` where a value does not fit."""
        path: Path_ = ("steps", index)
        try:
            filled = variables.fill(self.filled["steps"][index], {**self.variables, **values})
            return Step.model_validate(filled)
        except ValidationError as error:
            raise told(self.document, Step, error, path)[0] from error
        except variables.UnknownVariable as error:
            remedy = "The step that saves it was left out: give both the same 'when'"
            raise SimulatorError(self.document.where(path), f"nobody has set ${{{error}}}", remedy) from error
        except ValueError as error:
            raise SimulatorError(self.document.where(path), str(error), "Correct the value") from error

    def filled_section(self, name: str, values: Mapping[str, str]) -> Any:
        """``esme`` or ``always`` with everything put in."""
        return variables.fill(self.filled.get(name), {**self.variables, **values})


def parameters(document: Document) -> set[str]:
    """The names that ``--set`` may give this scenario."""
    head = _head(document)
    return {*head.parameters, *head.axes}


def load(document: Document, name: str, given: Given) -> list[Case]:
    """The cases of a scenario: one, or one for each combination of its matrix.

    Raises:
        ConfigFaults: all that is wrong with it.
    """
    head = _head(document)
    chosen = {key: value for key, value in given.settings.items() if key in head.parameters or key in head.axes}
    fixed = _parameters(document, head, chosen)
    points: list[dict[str, str]] = []
    for combination in head.combinations:
        point = {key: chosen.get(key, value) for key, value in combination.items()}
        if point not in points:  # --set on an axis makes several the same
            points.append(point)
    cases = []
    for point in points:
        words = ", ".join(f"{key}={value}" for key, value in point.items())
        full_name = f"{name} [{words}]" if words else name
        folder = str(Path(document.name).resolve().parent) if Path(document.name).exists() else "."
        cases.append(_case(document, full_name, {**fixed, **point, "folder": folder}, given))
    return cases


def _head(document: Document) -> Head:
    values = {key: document.value[key] for key in ("parameters", "matrix") if key in document.value}
    try:
        head = Head.model_validate(values)
    except ValidationError as error:
        raise ConfigFaults(told(document, Head, error)) from error
    for section, names in (("parameters", set(head.parameters)), ("matrix", head.axes)):
        for one in names:
            if not variables.NAME.match(one) or one in variables.BUILT_IN or one == "folder":
                what = (
                    f"'{one}' cannot be a variable" if not variables.NAME.match(one) else f"'{one}' is told by the run"
                )
                raise _fault(document, (section, one), what, "Choose another name: letters, digits, _ and -")
    return head


def _parameters(document: Document, head: Head, chosen: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, parameter in head.parameters.items():
        if name in chosen:
            values[name] = chosen[name]
        elif parameter.default is None:
            about = f" ({parameter.about})" if parameter.about else ""
            raise _fault(document, ("parameters", name), f"has no default{about}", f"Give it with --set {name}=…")
        else:
            values[name] = variables.fill_known(parameter.default, values)
    return values


def _case(document: Document, name: str, known: dict[str, str], given: Given) -> Case:
    raw = {key: value for key, value in document.value.items() if key not in ("parameters", "matrix")}
    if given.esme is not None:
        esme = raw.get("esme")
        raw["esme"] = {**(esme if isinstance(esme, dict) else {}), "command": list(given.esme)}
    try:
        filled = variables.fill_known(raw, known)
        faults = list(_unknown(document, filled))
        sample = variables.fill_sample(filled)
    except ValueError as error:
        raise _fault(document, (), str(error), "Correct the value or the format") from error
    if faults:
        raise ConfigFaults(faults)
    sample["simulator"] = _simulator(document, sample, given)
    try:
        scenario = Scenario.model_validate(sample)
    except ValidationError as error:
        raise ConfigFaults(told(document, Scenario, error)) from error
    faults = list(_senseless(document, filled, scenario))
    if faults:
        raise ConfigFaults(faults)
    return Case(name, document, scenario, known, filled)


def _unknown(document: Document, filled: dict[str, Any]) -> Iterator[SimulatorError]:
    """Variables that are never set, or not yet where they are used."""
    saved: set[str] = set()
    for key, value in filled.items():
        if key == "steps" and isinstance(value, list):
            for index, step in enumerate(value):
                yield from _unset(document, step, ("steps", index), saved)
                saved |= _saves(step)
        else:
            yield from _unset(document, value, (key,), set(), in_the_run=key in _IN_THE_RUN)


def _unset(
    document: Document, value: Any, below: Path_, saved: set[str], in_the_run: bool = True
) -> Iterator[SimulatorError]:
    for path, name in variables.references(value, below):
        told_by_run = name in variables.BUILT_IN or name.startswith("port.")
        if told_by_run and not in_the_run:
            remedy = f"Only {', '.join(_IN_THE_RUN)} can use it"
            yield SimulatorError(document.where(path), f"${{{name}}} is known only in the run", remedy)
        elif not told_by_run and name not in saved:
            remedy = "Write it under 'parameters', or let an earlier step save it"
            yield SimulatorError(document.where(path), f"nobody sets ${{{name}}}", remedy)


def _saves(step: Any) -> set[str]:
    """The variables that a step sets: those of ``save``, and the named groups of its regular expressions."""
    if not isinstance(step, dict):
        return set()
    names = set(step["save"]) if isinstance(step.get("save"), dict) else set()
    expected = step.get("expect")
    for values in expected.values() if isinstance(expected, dict) else ():
        if isinstance(values, dict) and isinstance(values.get("matches"), str):
            names |= set(_GROUP.findall(values["matches"]))
    return names


def _simulator(document: Document, sample: dict[str, Any], given: Given) -> Any:
    """The section ``simulator``, with a configuration file or a preset beneath it and the command line above it."""
    above = sample.get("simulator") or {}
    if not isinstance(above, dict):
        return above
    below: dict[str, Any] = {}
    if sample.get("config") is not None:
        base = Path(document.name).parent if Path(document.name).exists() else Path()
        settings = load_settings(base / str(sample["config"]))
        below = settings.model_dump(mode="json", exclude_unset=True, by_alias=True)
    elif sample.get("preset") is not None:
        below = {"accounts": {"smsc": {"preset": sample["preset"]}}}
    joined = overlay(SimulatorSettings, below, above)
    if below.get("accounts") and isinstance(above.get("accounts"), dict):
        joined["accounts"] = {**below["accounts"]}
        for name, account in above["accounts"].items():
            under = below["accounts"].get(name)
            both = isinstance(account, dict) and under is not None
            joined["accounts"][name] = overlay(AccountSettings, under, account) if both else account
    joined.setdefault("accounts", {"smsc": {}})
    _settle_ports(document, joined, given, has_esme=sample.get("esme") is not None)
    control = joined.get("control")
    joined["control"] = {"port": 0, **(control if isinstance(control, dict) else {})}
    if joined["control"].get("pdu_entries") == 0:
        del joined["control"]["pdu_entries"]  # a scenario looks at the PDUs
    seed = given.seed if given.seed is not None else sample.get("seed")
    return {**joined, "seed": seed} if seed is not None else joined


def _settle_ports(document: Document, simulator: dict[str, Any], given: Given, has_esme: bool) -> None:
    """The port of the command line; a free one where the scenario starts the ESME itself and the file names none."""
    accounts = simulator["accounts"]
    if not isinstance(accounts, dict):
        return
    if given.port is not None and len(accounts) > 1:
        what = f"--port is for one account; the scenario has {len(accounts)}"
        raise _fault(document, ("simulator", "accounts"), what, "Set their ports in the file")
    for name, account in accounts.items():
        if isinstance(account, dict | None):
            port = given.port if given.port is not None else 0 if has_esme else None
            if port is not None and (given.port is not None or "port" not in (account or {})):
                accounts[name] = {**(account or {}), "port": port}


def _senseless(document: Document, filled: dict[str, Any], scenario: Scenario) -> Iterator[SimulatorError]:
    """What each value allows, but all together do not."""
    names: set[str] = set()
    for index, step in enumerate(scenario.steps):
        path: Path_ = ("steps", index)
        section = filled["steps"][index][step.verb]
        since = section.get("since") if isinstance(section, dict) else None
        if since is not None and since not in ("start", "now") and since not in names:
            remedy = f"It is 'start', 'now', or one of: {', '.join(sorted(names)) or 'none so far'}"
            yield SimulatorError(
                document.where((*path, step.verb, "since")), f"no earlier step is named '{since}'", remedy
            )
        reads_output = (step.expect is not None and step.expect.output is not None) or (
            step.never is not None and step.never.output is not None
        )
        if (step.esme is not None or reads_output) and scenario.esme is None:
            remedy = "Say how it is started: esme: {command: …}, or --esme COMMAND"
            yield SimulatorError(document.where(path), "the scenario does not start the ESME", remedy)
        account = section.get("account") if isinstance(section, dict) and step.expect is None else None
        if isinstance(account, str) and "${" not in account and account not in {"all", *scenario.simulator.accounts}:
            remedy = f"It is one of: {', '.join(scenario.simulator.accounts)}"
            yield SimulatorError(
                document.where((*path, step.verb, "account")), f"there is no account '{account}'", remedy
            )
        if step.name is not None:
            names.add(str(filled["steps"][index].get("name")))


def _fault(document: Document, path: Path_, what: str, remedy: str) -> ConfigFaults:
    return ConfigFaults([SimulatorError(document.where(path), what, remedy)])
