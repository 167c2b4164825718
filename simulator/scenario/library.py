"""The shipped scenarios, by name; and how a word of the command line is found: a file, or one of these."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.scenario.yaml_lines import Document, parse, read


@cache
def shipped() -> dict[str, Document]:
    """Every shipped scenario by its name, in alphabetical order."""
    folder = files("simulator").joinpath("scenarios")
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".yaml")), key=lambda one: one.name)
    return {
        one.name.removesuffix(".yaml"): parse(f"simulator/scenarios/{one.name}", one.read_text(encoding="utf-8"))
        for one in found
    }


def find(word: str) -> tuple[str, Document]:
    """A scenario and its name. Raises :class:`SimulatorError`."""
    path = Path(word)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path.stem, read(path)
    if word in shipped():
        return word, shipped()[word]
    raise SimulatorError(
        word, "is neither a file nor a shipped scenario", f"Shipped are: {', '.join(shipped())}; files end in .yaml"
    )
