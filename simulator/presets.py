"""Habits of known SMSCs, for ``preset: NAME`` in an account. The habits themselves are data: ``presets.yaml``."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class Preset:
    """One SMSC's habits."""

    name: str
    about: str
    account: dict[str, Any]  # settings of an account, as in a configuration file


@cache
def presets() -> dict[str, Preset]:
    """All of them, in the order of the file."""
    text = files("simulator").joinpath("presets.yaml").read_text(encoding="utf-8")
    return {
        name: Preset(name, " ".join(entry["about"].split()), entry["account"])
        for name, entry in yaml.safe_load(text).items()
    }


def with_preset(model: type[BaseModel], values: dict[str, Any], name: str) -> dict[str, Any]:
    """An account's settings with a preset's beneath them. Raises ValueError when there is no such preset."""
    preset = presets().get(name)
    if preset is None:
        raise ValueError(f"there is no preset '{name}'; it is one of: {', '.join(presets())}")
    return overlay(model, preset.account, values)


def overlay(model: type[BaseModel], below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Join two mappings of settings. Sections are joined key by key; weights, tables, lists, times are replaced whole."""
    joined = dict(below)
    for key, value in above.items():
        field = model.model_fields.get(key)
        inner = _section(field.annotation) if field is not None else None
        if inner is not None and isinstance(value, dict) and isinstance(joined.get(key), dict):
            joined[key] = overlay(inner, joined[key], value)
        else:
            joined[key] = value
    return joined


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a key holds: a model, or a model or None; not a list or a table of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        # A time is a model too, but its forms exclude each other.
        return None if annotation.__name__ == "Delay" else annotation
    if typing.get_origin(annotation) in (dict, tuple, list):
        return None
    found = (_section(argument) for argument in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)
