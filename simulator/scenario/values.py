"""Types of single values in a scenario: durations, texts, conditions on a field."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from simulator.values import Pattern, Settings, parse_status

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|)\s*$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


def parse_duration(value: Any) -> Any:
    """Seconds from ``5s``, ``500ms``, ``2m`` or a number of seconds. Raises ValueError."""
    if isinstance(value, str):
        found = _DURATION.match(value)
        if found is None:
            raise ValueError(f"'{value}' is no duration: write 500ms, 5s, 2m or a number of seconds")
        return float(found[1]) * _UNIT_S[found[2]]
    return value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _flag(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else _text(value)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return int(value.strip(), 0)
        except ValueError:
            raise ValueError(f"'{value}' is no whole number: write 64 or 0x40") from None
    return value


def _status(value: Any) -> Any:
    return parse_status(value) if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=86_400)]
Text = Annotated[str, BeforeValidator(_text)]
Flag = Annotated[str, BeforeValidator(_flag)]  # YAML makes true and false of yes and no
Whole = Annotated[int, BeforeValidator(_number)]
Octet = Annotated[int, BeforeValidator(_number), Field(ge=0, le=255)]
StatusValue = Annotated[int, BeforeValidator(_status), Field(ge=0, le=0xFFFFFFFF)]


class TextIs(Settings):
    """Several conditions on one text; all must hold."""

    equals: Text | None = None
    contains: Text | None = None
    matches: Pattern | None = Field(None, description="regular expression, searched")

    @model_validator(mode="after")
    def _something(self) -> TextIs:
        if self.equals is None and self.contains is None and self.matches is None:
            raise ValueError("say equals, contains or matches")
        return self

    def fault(self, seen: str) -> str | None:
        """What is wrong with a text; None: nothing."""
        if self.equals is not None and seen != self.equals:
            return f"is {seen!r}, expected {self.equals!r}"
        if self.contains is not None and self.contains not in seen:
            return f"is {seen!r}, expected to contain {self.contains!r}"
        if self.matches is not None and re.search(self.matches, seen, re.DOTALL) is None:
            return f"is {seen!r}, expected to match /{self.matches}/"
        return None

    def groups(self, seen: str) -> dict[str, str]:
        """What the named groups of ``matches`` found."""
        found = re.search(self.matches, seen, re.DOTALL) if self.matches is not None else None
        return {} if found is None else {name: text or "" for name, text in found.groupdict().items()}


class NumberIs(Settings):
    """A condition on one number."""

    equals: Whole | None = None
    any_of: tuple[Whole, ...] = ()
    at_least: Whole | None = None
    at_most: Whole | None = None
    mask: Whole | None = Field(None, description="only these bits count: {mask: 0x01, equals: 0x01}")

    @model_validator(mode="after")
    def _something(self) -> NumberIs:
        if self.equals is None and not self.any_of and self.at_least is None and self.at_most is None:
            raise ValueError("say equals, any_of, at_least or at_most")
        return self

    def fault(self, seen: int, shown: str) -> str | None:
        """What is wrong with a number; None: nothing. ``shown``: the number as it is told."""
        number = seen if self.mask is None else seen & self.mask
        masked = "" if self.mask is None else f" under the mask {self.mask:#x}"
        if self.equals is not None and number != self.equals:
            return f"is {shown}, expected {self.equals}{masked}"
        if self.any_of and number not in self.any_of:
            return f"is {shown}, expected one of {', '.join(map(str, self.any_of))}{masked}"
        if self.at_least is not None and number < self.at_least:
            return f"is {shown}, expected at least {self.at_least}{masked}"
        if self.at_most is not None and number > self.at_most:
            return f"is {shown}, expected at most {self.at_most}{masked}"
        return None


def _as_text_is(value: Any) -> Any:
    return {"equals": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


def _as_number_is(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {"any_of": value}
    return {"equals": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


def _as_status_is(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return {"any_of": [_status(one) for one in value]}
    return {"equals": _status(value)} if isinstance(value, str | int) and not isinstance(value, bool) else value


TextCondition = Annotated[TextIs, BeforeValidator(_as_text_is)]
NumberCondition = Annotated[NumberIs, BeforeValidator(_as_number_is)]
StatusCondition = Annotated[NumberIs, BeforeValidator(_as_status_is)]
