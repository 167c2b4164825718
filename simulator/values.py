"""Types of single values in the configuration: delays, statuses, probabilities."""

from __future__ import annotations

import random
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.smpp.constants import CommandStatus


class Settings(BaseModel):
    """Base of all sections: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Delay(Settings):
    """A time in seconds, drawn anew each time. In YAML a number, or one of the three forms, and spikes if wanted."""

    fixed: float | None = Field(None, ge=0, description="always this long")
    uniform: tuple[float, float] | None = Field(None, description="[least, most]")
    normal: tuple[float, float] | None = Field(None, description="[mean, standard deviation]; never below 0")
    spike: tuple[float, float] | None = Field(None, description="[probability, seconds]: added now and then")

    @model_validator(mode="after")
    def _one_form(self) -> Delay:
        if sum(form is not None for form in (self.fixed, self.uniform, self.normal)) != 1:
            raise ValueError("give a number of seconds, or exactly one of fixed, uniform, normal")
        if self.uniform is not None and not 0 <= self.uniform[0] <= self.uniform[1]:
            raise ValueError("uniform: needs [least, most] with 0 <= least <= most")
        if self.normal is not None and (self.normal[0] < 0 or self.normal[1] < 0):
            raise ValueError("normal: needs [mean, standard deviation], both at least 0")
        if self.spike is not None and not (0 <= self.spike[0] <= 1 and self.spike[1] >= 0):
            raise ValueError("spike: needs [probability 0..1, seconds]")
        return self

    @property
    def none(self) -> bool:
        """True when it is always zero."""
        return self.fixed == 0 and self.spike is None

    def draw(self, rng: random.Random) -> float:
        """One value in seconds, at least 0."""
        if self.fixed is not None:
            delay_s = self.fixed
        elif self.uniform is not None:
            delay_s = rng.uniform(*self.uniform)
        else:
            assert self.normal is not None
            delay_s = max(0.0, rng.gauss(*self.normal))
        if self.spike is not None and rng.random() < self.spike[0]:
            delay_s += self.spike[1]
        return delay_s


def _delay(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"fixed": value}
    return value


def _status(value: Any) -> Any:
    if isinstance(value, str):
        name = value.strip()
        if name in CommandStatus.__members__:
            return int(CommandStatus[name])
        try:
            return int(name, 0)
        except ValueError:
            raise ValueError(
                f"'{value}' is not a command_status: write a number (0x58) or its name (ESME_RTHROTTLED)"
            ) from None
    return value


def _pattern(value: Any) -> Any:
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
    return value


def parse_status(value: str | int) -> int:
    """A command_status as an engineer writes it: 88, "0x58", "ESME_RTHROTTLED". Raises ValueError."""
    number = _status(value)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 0xFFFFFFFF:
        raise ValueError(f"'{value}' is not a command_status: 0 to 0xFFFFFFFF")
    return number


DelayValue = Annotated[Delay, BeforeValidator(_delay)]
Status = Annotated[int, BeforeValidator(_status), Field(ge=0, le=0xFFFFFFFF)]
Probability = Annotated[float, Field(ge=0, le=1)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Port = Annotated[int, Field(ge=0, le=65535)]
NO_DELAY = Delay.model_validate({"fixed": 0.0})
