"""The JSON schema of scenarios' files, for editors: ``motcua-simulator scenario --schema``."""

from __future__ import annotations

from typing import Any

from simulator.scenario.model import Scenario

_REFERENCE = {"type": "string", "pattern": r"\$\{[^}]+\}"}
_SINGLE = frozenset({"integer", "number", "boolean"})
_SHORT: dict[str, list[dict[str, Any]]] = {
    "TextIs": [{"type": "string"}, {"type": "integer"}],
    "NumberIs": [{"type": "integer"}, {"type": "string"}, {"type": "array"}],
    "FaultAction": [{"type": "string"}],
    "ClearAction": [{"type": "string"}, {"const": True}],
    "RunAction": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    "TlvValue": [{"type": "string"}],
    "Parameter": [{"type": ["string", "number", "boolean", "null"]}],
    "Delay": [{"type": "number"}],
}


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12. Where a number may stand, ``${variable}`` may, too; short forms are among it."""
    made = Scenario.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = made.pop("$defs", {})
    for name, forms in _SHORT.items():
        if name in definitions:
            definitions[name] = {"anyOf": [definitions[name], *forms]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_opened(made),
        "title": "Scenario of motcua-simulator",
        "$defs": _opened(definitions),
    }


def _opened(node: Any) -> Any:
    """Numbers also as texts: durations (``5s``), statuses by name, variables."""
    if isinstance(node, list):
        return [_opened(one) for one in node]
    if not isinstance(node, dict):
        return node
    opened = {
        key: {name: _opened(inner) for name, inner in value.items()}
        if key == "properties"
        else value
        if key in ("enum", "const", "default")
        else _opened(value)
        for key, value in node.items()
    }
    kind = opened.get("type")
    if "enum" in opened:
        about = {key: opened.pop(key) for key in ("description", "default", "title") if key in opened}
        return {**about, "anyOf": [opened, _REFERENCE]}
    if isinstance(kind, str) and kind in _SINGLE and "anyOf" not in opened:
        about = {key: opened.pop(key) for key in ("description", "default", "title") if key in opened}
        text = _REFERENCE if kind == "boolean" else {"type": "string"}
        return {**about, "anyOf": [opened, text]}
    if (
        opened.get("type") == "string"
        and "minLength" not in opened
        and "pattern" not in opened
        and "enum" not in opened
    ):
        return {**opened, "type": ["string", "integer"]}
    if opened.get("type") == "array" and "prefixItems" not in opened:
        about = {key: opened.pop(key) for key in ("description", "default", "title") if key in opened}
        return {**about, "anyOf": [opened, {"type": "string"}]}
    return opened
