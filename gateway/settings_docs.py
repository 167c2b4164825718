"""Writes docs/settings.md from the models in ``settings.py``: ``python -m gateway.settings_docs > docs/settings.md``.

A test holds the file to what this prints.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Iterator
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.settings import GatewaySettings

_INTRODUCTION = """\
# Settings

The configuration file is YAML: [config/gateway.yaml](../config/gateway.yaml) is a sample for a province, commented.
`motcua-gateway check --config FILE` names each fault with its path as written here. Unknown keys are refused.
Names of a person's choosing stand in angle brackets (`operators.<name>`), lists as `[]`. Units are in the names (`_s` seconds).
A **secret** is written `{env: NAME}` (environment variable), `{file: PATH}` (first line of a file), or as the value itself.

This page is generated from `gateway/settings.py` by `python -m gateway.settings_docs`.
"""

_PLAIN = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true, false",
    Path: "path",
    date: "date",
    time: "time",
    datetime: "date and time with offset",
}


def main() -> None:
    """Print the page."""
    sys.stdout.write(render())


def render() -> str:
    """The whole page as Markdown."""
    lines = [_INTRODUCTION]
    for path, model in _sections(GatewaySettings, ""):
        lines.append(f"## {path or 'Top level'}\n")
        if summary := _summary(model):
            lines.append(f"{summary}\n")
        lines.append("| setting | values | default | meaning |\n| --- | --- | --- | --- |")
        lines += [_row(name, field) for name, field in model.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


def _summary(model: type[BaseModel]) -> str:
    doc = vars(model).get("__doc__") or ""  # not the base's
    return _cell(str(doc).strip().split("\n\n")[0])


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        if below := _nested(field.annotation):
            yield from _sections(below, f"{path}.{_step(name, field)}" if path else _step(name, field))


def _step(name: str, field: FieldInfo) -> str:
    kind = _container(field.annotation)
    return f"{field.alias or name}{ {'dict': '.<name>', 'list': '[]', '': ''}[kind] }"


def _container(annotation: Any) -> str:
    origin = get_origin(annotation)
    return "dict" if origin is dict else "list" if origin in (tuple, list) else ""


def _nested(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation: itself, or the value of an optional, a tuple or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _nested(inner))), None)


def _row(name: str, field: FieldInfo) -> str:
    meaning = _cell(field.description or "")
    if (below := _nested(field.annotation)) is not None:
        optional = field.default_factory is None and field.default is None
        default = "**required**" if field.is_required() else "—" if optional else "see there"
        return f"| `{_step(name, field)}` | section below | {default} | {meaning or _summary(below)} |"
    limits = _limits(field)
    values = _values(field.annotation) + (f" ({limits})" if limits else "")
    if field.repr is False:
        values = f"secret {values}"
    return f"| `{field.alias or name}` | {_cell(values)} | {_cell(_default(field))} | {meaning} |"


def _values(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{member}`" for member in annotation)
    if origin is Literal:
        return ", ".join(_literal(value) for value in arguments)
    if origin in (types.UnionType, Union):
        return ", ".join([*(_values(inner) for inner in arguments if inner is not type(None)), "null"])
    if origin is typing.Annotated:
        return _values(arguments[0])
    if origin is dict:
        return f"mapping of {_values(arguments[0])} to {_values(arguments[1])}"
    if origin in (tuple, list):
        return f"list of {_values(arguments[0])}"
    raise TypeError(f"settings_docs does not know how to write {annotation!r}: add it to _values")


def _limits(field: FieldInfo) -> str:
    words = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "max_length": "at most {} characters"}
    found = [
        text.format(getattr(limit, key))
        for limit in field.metadata
        for key, text in words.items()
        if getattr(limit, key, None) is not None
    ]
    return ", ".join(found)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None:
        return "—"
    if isinstance(value, int) and "0x" in (field.description or ""):
        return f"`0x{value:02x}`"
    return _literal(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        return "none" if not value else ", ".join(f"`{key}: {item}`" for key, item in value.items())
    if isinstance(value, tuple | list):
        return "none" if not value else ", ".join(_literal(item) for item in value)
    if value == "":
        return "empty"
    if isinstance(value, time):
        return f"`{value:%H:%M}`"
    if isinstance(value, str):
        value = value.replace("\r", r"\r").replace("\n", r"\n").replace("\t", r"\t")  # as YAML's "…" writes them
    return f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
