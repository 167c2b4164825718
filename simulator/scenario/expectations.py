"""What may be expected: which events, how many there must be, and by when; and what all of them together must be.

An event meets one expectation only: what an earlier step has seen is not counted again (``again: true`` counts it all the same).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from simulator.scenario.conditions import (
    KINDS,
    BindIs,
    BindRefusedIs,
    ChargeIs,
    Conditions,
    MoAnswerIs,
    OutputIs,
    PduIs,
    ReceiptIs,
    SubmitIs,
    TextAt,
    UnboundIs,
)
from simulator.scenario.events import Event, Submitted
from simulator.scenario.values import Duration, Text, Whole
from simulator.settings import Mode
from simulator.values import Pattern, Settings


class Links(Settings):
    """How many sessions are bound at this time."""

    exactly: Whole | None = Field(None, ge=0)
    at_least: Whole | None = Field(None, ge=0)
    at_most: Whole | None = Field(None, ge=0)
    mode: Mode | None = None
    account: Text | None = None

    @model_validator(mode="after")
    def _some(self) -> Links:
        if self.exactly is None and self.at_least is None and self.at_most is None:
            raise ValueError("say exactly, at_least or at_most")
        return self

    def fault(self, count: int) -> str | None:
        """What is wrong with a number of links."""
        fits = (
            (self.exactly is None or count == self.exactly)
            and (self.at_least is None or count >= self.at_least)
            and (self.at_most is None or count <= self.at_most)
        )
        return None if fits else f"{count} session(s) are bound"


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Fields = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
Books = Literal["submit_sm", "text"]


class InBooks(Settings):
    """Base of what is told by all messages together. Of submit_sm only accepted ones count."""

    of: Books = Field("text", description="`text`: what handsets received; `submit_sm`: what the simulator accepted")
    by: Fields = Field(
        (),
        description="fields that tell one message from another; default: destination and text; `match` goes before it",
    )
    match: Pattern | None = Field(None, description="regular expression with one group, searched in the text")
    submit_sm: SubmitIs | None = Field(None, description="only submits like these")
    text: TextAt | None = Field(None, description="only texts like these")

    @model_validator(mode="after")
    def _fit(self) -> InBooks:
        known = {
            "submit_sm": {"source_addr", "destination_addr", "text", "part", "message_id"},
            "text": {"to", "from", "text", "message_id"},
        }
        unknown = [name for name in self.by if name not in known[self.of]]
        if unknown:
            raise ValueError(f"'{unknown[0]}' is no field of {self.of}: {', '.join(sorted(known[self.of]))}")
        if self.match is not None and re.compile(self.match).groups < 1:
            raise ValueError("match needs a group: 'so ([0-9]+)'")
        if (self.of == "text" and self.submit_sm is not None) or (self.of == "submit_sm" and self.text is not None):
            raise ValueError(f"of is '{self.of}': the filter must be of the same kind")
        return self

    def key(self, event: Event) -> str | None:
        """What tells this message from others; None: it is not among those that count."""
        filtered = self.submit_sm if self.of == "submit_sm" else self.text
        if filtered is not None and filtered.fault(event) is not None:
            return None
        if isinstance(event, Submitted) and not event.accepted:
            return None
        if self.match is not None:
            found = re.search(self.match, getattr(event, "text"), re.DOTALL)  # noqa: B009
            return None if found is None else found[1]
        default = ("destination_addr", "text", "part") if self.of == "submit_sm" else ("to", "text")
        names = ("sender" if name == "from" else name for name in self.by or default)
        return " ".join(str(getattr(event, name)) for name in names)


class Once(InBooks):
    """Nothing lost, nothing doubled: so many different messages, each of them once."""

    count: Whole = Field(ge=1, description="different messages")
    excuse: Literal["none", "unanswered"] = Field(
        "none",
        description="unanswered: sent again because no answer had left for the first one (link cut, answer dropped)",
    )


class Order(InBooks):
    """In ascending order of a number (or text), as far as they came. Judged at once, over what came so far."""

    at_least: Whole = Field(2, ge=2, description="so many must be there")


class Seen(Settings):
    """One kind of event, with its conditions: exactly one key."""

    bind: BindIs | None = None
    bind_refused: BindRefusedIs | None = None
    unbound: UnboundIs | None = None
    submit_sm: SubmitIs | None = None
    text: TextAt | None = None
    mo_answer: MoAnswerIs | None = None
    receipt: ReceiptIs | None = None
    charge: ChargeIs | None = None
    pdu: PduIs | None = None
    output: OutputIs | None = None

    @property
    def conditions(self) -> Conditions | None:
        """The one that is set, where it is an event's."""
        return next((one for name in KINDS if (one := getattr(self, name)) is not None), None)

    def _chosen(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if getattr(self, name) is not None]


_STATES = ("links", "once", "order")


class Expect(Seen):
    """Something must happen; the scenario waits for it. Exactly one of the kinds, and when and how often."""

    links: Links | None = None
    once: Once | None = None
    order: Order | None = None
    within: Duration | None = Field(None, description="at the latest; default: the scenario's `within`")
    exactly: Whole | None = Field(None, ge=1, description="so many, and none more for `quiet`")
    at_least: Whole | None = Field(None, ge=1, description="default: 1")
    at_most: Whole | None = Field(None, ge=1, description="with at_least, or with `for`")
    quiet: Duration = Field(1.0, description="of exactly, at_most and once: so long no further one may come")
    during: Duration | None = Field(None, alias="for", description="of at_most and links: it holds for so long")
    since: Text | None = Field(
        None, description="`start` (default: all that no earlier step has counted), `now`, or the name of a step"
    )
    again: bool = Field(False, description="count what earlier steps have counted, too")

    @model_validator(mode="after")
    def _sense(self) -> Expect:
        names = self._chosen((*KINDS, *_STATES))
        if len(names) != 1:
            raise ValueError(f"expects exactly one of {', '.join((*KINDS, *_STATES))}; there are {len(names)}")
        counted = self.exactly is not None or self.at_least is not None or self.at_most is not None
        if counted and names[0] in _STATES:
            raise ValueError(f"'{names[0]}' says itself how many: write the number into it")
        if self.exactly is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError("exactly stands without at_least and at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        only_most = self.at_most is not None and self.at_least is None
        if (self.during is None) == only_most and names[0] != "links":
            raise ValueError("`for` goes with at_most alone: 'at_most: 2' and 'for: 5s'. For none at all use 'never'")
        return self

    @property
    def least(self) -> int:
        """So many must come."""
        if self.exactly is not None:
            return self.exactly
        if self.at_least is not None:
            return self.at_least
        return 0 if self.at_most is not None else 1

    @property
    def most(self) -> int | None:
        """So many may come; None: any number."""
        return self.exactly if self.exactly is not None else self.at_most

    @property
    def quiet_s(self) -> float:
        """How long it must stay so."""
        return self.during if self.during is not None else self.quiet


class Never(Seen):
    """Something must not happen for so long. Exactly one of the kinds."""

    during: Duration = Field(alias="for")
    since: Text | None = Field(None, description="`now` (default), `start`, or the name of a step")

    @model_validator(mode="after")
    def _sense(self) -> Never:
        names = self._chosen(tuple(KINDS))
        if len(names) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; there are {len(names)}")
        return self


class NeverAtAll(Seen):
    """Something must not happen as long as the scenario runs. Exactly one of the kinds."""

    @model_validator(mode="after")
    def _sense(self) -> NeverAtAll:
        names = self._chosen(tuple(KINDS))
        if len(names) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; there are {len(names)}")
        return self
