"""``${name}`` in a scenario's texts, and ``${name:format}``: what was given, what the simulator tells, what a step saved.

``$${`` is a literal ``${``. A format is Python's for a number: ``84905${i:06d}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simulator.errors import SimulatorError
from simulator.scenario.yaml_lines import Path_

_REFERENCE = re.compile(r"\$(?:(\$)\{|\{\s*([A-Za-z_][\w.-]*)\s*(?::([^}]*))?\})")
NAME = re.compile(r"^[A-Za-z_][\w-]*$")
#: Told by the run: the SMPP port of the first account (``port.NAME``: of that one), the host, the control interface, the seed.
BUILT_IN = frozenset({"port", "host", "control", "page", "seed", "i"})


class UnknownVariable(Exception):
    """A variable that nobody has set."""


def references(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Every variable that is named in a value, keys of mappings left out, with its path."""
    if isinstance(value, str):
        for found in _REFERENCE.finditer(value):
            if found[2]:
                yield path, found[2]
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from references(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from references(inner, (*path, index))


def fill(value: Any, variables: Mapping[str, str]) -> Any:
    """Put the variables in. Raises :class:`UnknownVariable`, or ValueError where a format does not fit."""

    def lookup(name: str, form: str | None) -> str | None:
        if name not in variables:
            raise UnknownVariable(name)
        return _formatted(name, variables[name], form)

    return _filled(value, lookup, last=True)


def fill_known(value: Any, variables: Mapping[str, str]) -> Any:
    """Put those in that are known; the others stay as they are, for :func:`fill`."""

    def lookup(name: str, form: str | None) -> str | None:
        return _formatted(name, variables[name], form) if name in variables else None

    return _filled(value, lookup, last=False)


def fill_sample(value: Any) -> Any:
    """Put something in that fits texts and numbers alike: to validate what will be known only in the run."""
    return _filled(value, lambda _, __: "1", last=True)


def _formatted(name: str, text: str, form: str | None) -> str:
    if not form:
        return text
    try:
        return format(int(text), form)
    except ValueError:
        raise ValueError(
            f"${{{name}:{form}}} cannot be written: '{text}' is no number, or the format is none"
        ) from None


def _filled(value: Any, lookup: Callable[[str, str | None], str | None], last: bool) -> Any:
    def replaced(found: re.Match[str]) -> str:
        if found[1]:
            return "${" if last else found[0]
        text = lookup(found[2], found[3])
        return found[0] if text is None else text

    if isinstance(value, str):
        return _REFERENCE.sub(replaced, value)
    if isinstance(value, dict):
        return {key: _filled(inner, lookup, last) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, lookup, last) for inner in value]
    return value


def parse_setting(text: str) -> tuple[str, str]:
    """``key=value`` of the command line. Raises :class:`SimulatorError`."""
    name, equals, value = text.partition("=")
    if not equals or not NAME.match(name.strip()):
        raise SimulatorError(f"--set {text}", "is not KEY=VALUE", "Write --set handset=84905123456")
    return name.strip(), value


def as_text(value: Any) -> str:
    """A parameter's value as the text that is put in."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
