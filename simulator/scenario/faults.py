"""What pydantic says of a scenario, told with file, line, path and remedy."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from simulator.errors import SimulatorError
from simulator.scenario.yaml_lines import Document, Path_

_GUIDE = "docs/simulator.md, section Scenarios, describes it"


def told(document: Document, model: type[BaseModel], error: ValidationError, below: Path_ = ()) -> list[SimulatorError]:
    """One fault for each thing that is wrong. ``below``: where in the file the model begins."""
    details = error.errors()
    places = [detail["loc"] for detail in details]
    return [
        _fault(document, model, detail, below)
        for detail in details
        # A list whose entries are all wrong is not "too short" beside that.
        if detail["type"] != "too_short" or not any(_within(place, detail["loc"]) for place in places)
    ]


def _within(place: tuple[int | str, ...], around: tuple[int | str, ...]) -> bool:
    return len(place) > len(around) and place[: len(around)] == around


def _fault(document: Document, model: type[BaseModel], detail: Mapping[str, Any], below: Path_) -> SimulatorError:
    path: Path_ = (*below, *(one for one in detail["loc"] if one != "[key]"))
    kind = str(detail["type"])
    where = document.where(path)
    if kind == "extra_forbidden":
        names = _names(model, tuple(detail["loc"])[:-1])
        near = difflib.get_close_matches(str(detail["loc"][-1]), names, 1)
        remedy = f"Did you mean '{near[0]}'?" if near else f"Here may stand: {', '.join(names)}"
        return SimulatorError(where, "unknown key", remedy)
    if kind == "missing":
        return SimulatorError(where, "is required and missing", _GUIDE)
    what = str(detail["msg"]).removeprefix("Value error, ").rstrip(".")
    return SimulatorError(where, what, _GUIDE)


def _names(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that may stand at a place."""
    current: type[BaseModel] | None = model
    for step in path:
        if current is None:
            return []
        field = next((one for name, one in current.model_fields.items() if step in (name, one.alias)), None)
        if field is not None:
            current = _model_in(field.annotation)
        # else: an index, or the name of an entry: the model is that of the list's or the table's entries already
    if current is None:
        return []
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in typing.get_args(annotation))
    return next((model for model in found if model is not None), None)
