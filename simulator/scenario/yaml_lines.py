"""YAML that knows on which line everything stands, so that a fault can name it.

Two habits of YAML 1.1 are switched off, because they spoil telephone numbers and times: numbers with a leading zero (octal) and
with colons (base 60) stay texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from simulator.errors import ConfigFaults, SimulatorError

Path_ = tuple[str | int, ...]  # of a value in the file: ("steps", 2, "mo", "from")
_INTEGER = re.compile(r"^[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)$")


class _Loader(yaml.SafeLoader):
    """As its base, but for numbers."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:int"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))


@dataclass(frozen=True)
class Document:
    """A file as read: its values, and the line of each."""

    name: str  # as faults call it: the file's path, or the name of a shipped scenario
    text: str
    value: dict[str, Any]
    lines: dict[Path_, int]

    def line(self, path: Path_) -> int:
        """The line of a value, or of the nearest thing around it, from 1."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def where(self, path: Path_) -> str:
        """``hello.yaml:12 steps[3].mo``, as faults name it."""
        return f"{self.name}:{self.line(path)} {dotted(path)}".rstrip()


def dotted(path: Path_) -> str:
    """``steps[3].mo.from``; steps are counted from 1, as in the output."""
    text = ""
    for one in path:
        text += f"[{one + 1}]" if isinstance(one, int) else f".{one}"
    return text.lstrip(".")


def read(path: Path) -> Document:
    """Read a file. Raises :class:`ConfigFaults`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "Name an existing file, or a shipped scenario: 'motcua-simulator scenario --list'"
        raise _fault(str(path), f"cannot be read ({error.strerror})", remedy) from error
    except UnicodeDecodeError as error:
        raise _fault(str(path), "is not UTF-8 text", "Save it as UTF-8") from error
    return parse(str(path), text)


def parse(name: str, text: str) -> Document:
    """A scenario's text. Raises :class:`ConfigFaults`."""
    lines: dict[Path_, int] = {}
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        value = None if node is None else _build(loader, node, (), lines, name, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        what = str(getattr(error, "problem", None) or "is not YAML")
        raise _fault(where, what, "Correct the line; indentation is two spaces, no tabs") from error
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise _fault(name, "is empty or not a mapping", "Start from 'motcua-simulator scenario --show hello'")
    return Document(name, text, value, lines)


def _build(
    loader: _Loader, node: yaml.Node, path: Path_, lines: dict[Path_, int], name: str, around: tuple[yaml.Node, ...]
) -> Any:
    if node in around:
        raise _fault(f"{name}:{node.start_mark.line + 1}", "an alias stands inside its own anchor", "Write it out")
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(loader, one, (*path, index), lines, name, (*around, node)) for index, one in enumerate(node.value)
        ]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True)
    own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    for key in own:
        if own.count(key) > 1:
            raise _fault(f"{name}:{node.start_mark.line + 1}", f"the key '{key}' stands twice", "Remove one of them")
    loader.flatten_mapping(node)
    values: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise _fault(f"{name}:{key_node.start_mark.line + 1}", f"'{key}' cannot be a key", "Write a word")
        inner = (*path, key if isinstance(key, str | int) else str(key))
        lines[inner] = key_node.start_mark.line + 1
        values[key] = _build(loader, value_node, inner, lines, name, (*around, node))
    return values


def _fault(where: str, what: str, remedy: str) -> ConfigFaults:
    return ConfigFaults([SimulatorError(where, what, remedy)])
