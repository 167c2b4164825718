"""Steps and expectations in a line, for those that have no name."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from gateway.smpp.constants import status_name
from simulator.scenario.expectations import Expect, Never, Seen
from simulator.scenario.model import Always, Step

_MOST = 140


def step_title(step: Step) -> str:
    """A step's name, or what it does."""
    if step.name is not None:
        return step.name
    return _short(_deed(step))


def _deed(step: Step) -> str:
    if step.expect is not None:
        return "expect " + expected(step.expect)
    if step.never is not None:
        return f"never {_seen(step.never)} for {step.never.during:g} s"
    if step.mo is not None:
        text = step.mo.text if step.mo.octets is None else f"{len(step.mo.octets)} octets"
        return f"MO {step.mo.phone} → {step.mo.to} “{text}”" + (f", {step.times} times" if step.times > 1 else "")
    if step.wait is not None:
        return f"wait {step.wait:g} s"
    if step.run is not None:
        return "run " + " ".join(step.run.command)
    if step.esme is not None:
        return f"esme {step.esme}"
    value = getattr(step, step.verb)
    return f"{step.verb} {_flow(value)}"


def expected(expect: Expect) -> str:
    """What an expectation wants, in its own words."""
    for name in ("links", "once", "order"):
        value = getattr(expect, name)
        if value is not None:
            return f"{name} {_flow(value)}"
    count = (
        f"exactly {expect.exactly} "
        if expect.exactly is not None
        else "".join(
            f"{word} {number} "
            for word, number in (("at least", expect.at_least), ("at most", expect.at_most))
            if number is not None
        )
    )
    return f"{count}{_seen(expect)}"


def always_title(always: Always) -> str:
    """A line of ``always``."""
    if always.name is not None:
        return always.name
    if always.never is not None:
        return _short(f"always: never {_seen(always.never)}")
    what = always.rate if always.rate is not None else always.window
    return f"always: {'rate' if always.rate is not None else 'window'} {_flow(what)}"


def _seen(seen: Seen | Never) -> str:
    conditions = seen.conditions
    return "" if conditions is None else f"{conditions.kind} {_flow(conditions)}".rstrip()


def _flow(model: BaseModel | None) -> str:
    if model is None:
        return ""
    values = _plain(model.model_dump(mode="json", exclude_unset=True, by_alias=True))
    if not values:
        return ""
    text: str = yaml.safe_dump(values, default_flow_style=True, width=10_000, allow_unicode=True, sort_keys=False)
    return text.strip().removesuffix("...").strip()


def _plain(value: Any) -> Any:
    """Conditions that are only ``equals`` as the plain values that stand in the file."""
    if isinstance(value, dict):
        if set(value) == {"equals"}:
            return value["equals"]
        plain = {key: _plain(inner) for key, inner in value.items()}
        if isinstance(plain.get("status"), int):
            plain["status"] = status_name(plain["status"])
        return plain
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST else line[: _MOST - 1] + "…"
