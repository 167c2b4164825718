"""What ships with the gateway as configuration: charging profiles and file formats, by name (``charging.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, cast

import yaml


@cache
def charging(section: str) -> Mapping[str, Mapping[str, Any]]:
    """A section of ``charging.yaml`` (profiles, formats), as it would stand in a configuration file."""
    text = resources.files(__package__).joinpath("charging.yaml").read_text(encoding="utf-8")
    return cast(Mapping[str, Mapping[str, Any]], yaml.safe_load(text)[section])


def laid_over(section: str, given: Any) -> Any:
    """What ships, with a configuration's own entries laid over it, setting by setting."""
    if not isinstance(given, Mapping):
        return given  # for the schema to refuse
    merged: dict[Any, Any] = dict(charging(section))
    for name, values in given.items():
        shipped = merged.get(name)
        laid = isinstance(shipped, Mapping) and isinstance(values, Mapping)
        merged[name] = {**dict(shipped or {}), **values} if laid else values
    return merged
