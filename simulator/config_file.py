"""YAML → :class:`SimulatorSettings`. Unknown keys are refused; every fault names its YAML path and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from simulator.errors import ConfigFaults, SimulatorError
from simulator.settings import SimulatorSettings


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping: the second would silently win."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def load_settings(path: Path | None) -> SimulatorSettings:
    """Read a configuration file; without one, the defaults. Raises :class:`ConfigFaults`."""
    if path is None:
        return SimulatorSettings()
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise _fault(str(path), f"cannot be read ({error.strerror})", "Name an existing file with --config") from error
    except UnicodeDecodeError as error:
        raise _fault(str(path), "is not UTF-8 text", "Save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = str(getattr(error, "problem", None) or "not YAML")
        raise _fault(where, what, "Correct the line; indentation is two spaces, no tabs") from error
    if not isinstance(values, dict):
        raise _fault(str(path), "is empty or not a mapping", "Start from config/simulator.yaml")
    return parse_settings(values)


def parse_settings(values: dict[str, Any]) -> SimulatorSettings:
    """Validate a mapping as read from YAML. Raises :class:`ConfigFaults`."""
    try:
        return SimulatorSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigFaults([_from_pydantic(detail) for detail in error.errors()]) from error


def _fault(where: str, what: str, remedy: str) -> ConfigFaults:
    return ConfigFaults([SimulatorError(where, what, remedy)])


def _from_pydantic(detail: Any) -> SimulatorError:
    path = ".".join(str(part) for part in detail["loc"]) or "(whole file)"
    kind = str(detail["type"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    what = {"extra_forbidden": "unknown key", "missing": "is required and missing"}.get(kind, message)
    if kind == "extra_forbidden":
        return SimulatorError(path, what, "Remove it or correct its spelling; docs/simulator.md lists the keys")
    return SimulatorError(path, what, "Correct the value; docs/simulator.md describes it")
