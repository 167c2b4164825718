"""What a scenario's file may hold. Each step does one thing: an action, ``expect``, or ``never``."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from gateway.smpp.pdu import Tlv
from simulator.behaviours.faults import FaultKind
from simulator.control_requests import FaultBody
from simulator.replay import parse_tlv
from simulator.scenario.expectations import Expect, Never, NeverAtAll
from simulator.scenario.values import Duration, Flag, Octet, StatusValue, Text, TextCondition, Whole
from simulator.settings import SimulatorSettings
from simulator.values import Pattern, Settings

MOST_CASES = 1000


def _command(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot be split into words: {error}") from error
    return value


def _tlv(value: Any) -> Any:
    return parse_tlv(value) if isinstance(value, str) else value


def _hex(value: Any) -> Any:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"'{value}' is not hexadecimal") from None


def _numbers(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


Command = Annotated[tuple[Text, ...], BeforeValidator(_command)]
Octets = Annotated[bytes, BeforeValidator(_hex)]


class TlvValue(Settings):
    """A TLV as it is sent: text with a zero behind it, or octets."""

    tag: Whole = Field(ge=0, le=0xFFFF)
    value: Octets = Field(b"", max_length=65_535, description="in hexadecimal")

    def tlv(self) -> Tlv:
        return Tlv(self.tag, self.value)


TlvText = Annotated[TlvValue, BeforeValidator(_tlv)]


class MoAction(Settings):
    """A handset sends. The step does not wait for the ESME's answer: `expect: {mo_answer: …}` does."""

    phone: Text = Field(alias="from", description="the handset: 84905123456 or 0905123456")
    to: Text = Field(min_length=1, max_length=20, description="the shortcode")
    text: Text = Field("", max_length=40_000)
    account: Text | None = Field(None, description="default: by the handset's prefix")
    coding: Literal["auto", "gsm7", "ucs2", "ascii", "latin1"] = Field("auto", description="auto: by the text")
    form: Literal["udh8", "udh16", "sar", "payload"] | None = Field(
        None, description="of a long text; default: as the account says"
    )
    copies: Whole = Field(1, ge=1, le=100, description="the SMSC delivers the same MO so many times, under one id")
    order: Annotated[tuple[Whole, ...], BeforeValidator(_numbers)] = Field(
        (), max_length=1000, description='parts as they leave: [3, 1] or "3,1": 2 never comes; [1, 1, 2]: 1 twice'
    )
    tlvs: tuple[TlvText, ...] = Field((), description='["0x1402=text", "0x0204=hex:0001"], or {tag:, value:} in hex')
    flash: bool = Field(False, description="class 0")
    octets: Octets | None = Field(None, max_length=65_000, description="in place of the text, in hexadecimal")
    data_coding: Octet | None = Field(None, description="in place of what the coding says")
    esm_class: Octet | None = Field(None, description="0x40 when the octets begin with a user data header")


class FaultAction(Settings):
    """A fault is ordered; `motcua-simulator fault` tells which there are. `fault: cut` is short for `fault: {kind: cut}`."""

    kind: FaultKind
    account: Text = Field("all", description="`all`: every account")
    during: Duration | None = Field(None, alias="for", gt=0, description="default: until `clear`")
    count: Whole | None = Field(None, ge=1, description="so many submit_sm")
    status: StatusValue = Field(0, description="of the kind `status`")
    by: Duration = Field(1.0, gt=0, description="of delay-answers, hold-answers, slow-reader")

    @model_validator(mode="after")
    def _sense(self) -> FaultAction:
        self.body()
        return self

    def body(self) -> FaultBody:
        """As the control interface takes it. Raises ValueError where the parameters do not fit the kind."""
        return FaultBody(fault=self.kind, seconds=self.during, count=self.count, status=self.status, by_s=self.by)


class ClearAction(Settings):
    """Faults end. `clear: all` is short for every fault of every account."""

    kind: FaultKind | None = Field(None, description="default: every fault")
    account: Text = "all"


class BalanceAction(Settings):
    """A handset's balance is set (accounts with `charging`)."""

    phone: Text
    vnd: Whole
    account: Text | None = Field(None, description="default: by the handset's prefix")


class OutageAction(Settings):
    """The SMSC is away: its sessions end, its ports refuse connections; then it listens again, with its books."""

    during: Duration = Field(alias="for", gt=0)
    ending: Literal["unbind", "cut"] = Field("unbind", description="how its sessions end")
    account: Text = Field("all", description="`all`; accounts that share its port go with it")


class RunAction(Settings):
    """A command is run to its end. `run: ./send.sh` is short for `run: {command: ./send.sh}`. Saves `output` and `exit`."""

    command: Command
    exit: Whole = Field(0, description="the exit code that is expected")
    output: TextCondition | None = Field(None, description="what it must write, on either stream")
    within: Duration = 30.0
    env: dict[str, Text] = Field(default_factory=dict, description="added to the environment")


def _named(key: str) -> Any:
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str | list) else value)


def _cleared(value: Any) -> Any:
    return {} if value in ("all", True) else {"kind": value} if isinstance(value, str) else value


ACTIONS = ("mo", "fault", "clear", "balance", "outage", "run", "esme", "wait")


class Step(Settings):
    """One step. Steps follow each other; an `expect` is waited for, the others are done at once."""

    name: Text | None = Field(None, max_length=200, description="told in the output; other steps may refer to it")
    at: Duration | None = Field(None, description="not before this time since the first step began")
    when: Flag | None = Field(None, description="left out when this text is empty, `false`, `no` or `0`")
    unless: Flag | None = Field(None, description="the contrary")
    times: Whole = Field(1, ge=1, le=100_000, description="of an action: so many times; `${i}` counts from 1")
    every: Duration | None = Field(None, description="between two of these times; default: at once")
    background: bool = Field(False, description="of expect and never: the next steps go on meanwhile")
    save: dict[str, Text] = Field(
        default_factory=dict, description="{variable: field}: of the event that was met, or what an action tells"
    )
    mo: MoAction | None = None
    fault: Annotated[FaultAction | None, _named("kind")] = None
    clear: Annotated[ClearAction | None, BeforeValidator(_cleared)] = None
    balance: BalanceAction | None = None
    outage: OutageAction | None = None
    run: Annotated[RunAction | None, _named("command")] = None
    esme: Literal["start", "stop", "kill", "restart"] | None = Field(
        None, description="the ESME under test: `stop` is SIGTERM, `kill` SIGKILL"
    )
    wait: Duration | None = Field(None, description="time passes; an `expect` is mostly the better way to wait")
    expect: Expect | None = None
    never: Never | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Step:
        names = (*ACTIONS, "expect", "never")
        found = [name for name in names if getattr(self, name) is not None]
        if len(found) != 1:
            raise ValueError(f"does exactly one of {', '.join(names)}; there are {len(found)}")
        waits = self.expect is not None or self.never is not None
        if self.background and not waits:
            raise ValueError("only expect and never can be in the background")
        if waits and self.times > 1:
            raise ValueError("expect says how many with exactly and at_least; times is for actions")
        return self

    @property
    def verb(self) -> str:
        """What it does."""
        return next(name for name in (*ACTIONS, "expect", "never") if getattr(self, name) is not None)


class Rate(Settings):
    """The ESME's submit_sm in any window of time."""

    at_most: Whole = Field(ge=1)
    per: Duration = Field(1.0, gt=0)
    account: Text | None = None


class Window(Settings):
    """The ESME's submit_sm without an answer, on one connection."""

    at_most: Whole = Field(ge=1)
    account: Text | None = None


class Always(Settings):
    """What holds as long as the scenario runs. Exactly one key beside `name`."""

    name: Text | None = None
    rate: Rate | None = None
    window: Window | None = None
    never: NeverAtAll | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Always:
        if sum(one is not None for one in (self.rate, self.window, self.never)) != 1:
            raise ValueError("needs exactly one of rate, window, never")
        return self


class Ready(Settings):
    """When the ESME is ready for the first step."""

    output: Pattern | None = Field(None, description="a line that it writes matches this regular expression")
    binds: Whole | None = Field(None, ge=1, description="so many sessions are bound")
    within: Duration = 30.0

    @model_validator(mode="after")
    def _something(self) -> Ready:
        if self.output is None and self.binds is None:
            raise ValueError("say output or binds")
        return self


class EsmeUnderTest(Settings):
    """The ESME, when the scenario starts it. It runs where the command was given; `${port}` is the simulator's port."""

    command: Command = Field(description="[node, esme.js, --port, '${port}'], or one text with spaces")
    env: dict[str, Text] = Field(default_factory=dict, description="added to the environment")
    ready: Ready | None = Field(None, description="default: the first step begins at once")
    may_end: bool = Field(True, description="false: an ESME that ends by itself with 0 is a failure, too")
    stop_within: Duration = Field(5.0, description="after SIGTERM at the end; then SIGKILL")


class Parameter(Settings):
    """A value that `--set` can change."""

    default: Text | None = Field(None, description="none: it must be set")
    about: Text = ""


def _parameter(value: Any) -> Any:
    if isinstance(value, list):
        raise ValueError("a parameter is one value; several to go through belong into 'matrix'")
    return value if isinstance(value, dict) else {"default": "" if value is None else _plain(value)}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Head(Settings):
    """What must be known before the rest can be read."""

    parameters: dict[str, Annotated[Parameter, BeforeValidator(_parameter)]] = Field(
        default_factory=dict, description="{name: default} or {name: {default:, about:}}; used as `${name}`"
    )
    matrix: dict[str, tuple[Text, ...]] | tuple[dict[str, Text], ...] = Field(
        default_factory=dict,
        description="{name: [values]}: the scenario is run once for each combination; or a list of combinations: [{name: value}]",
    )

    @property
    def combinations(self) -> list[dict[str, str]]:
        """One for each run; without a matrix a single empty one."""
        if not isinstance(self.matrix, dict):
            return list(self.matrix) or [{}]
        points = itertools.islice(itertools.product(*self.matrix.values()), MOST_CASES + 1)
        return [dict(zip(self.matrix, point, strict=True)) for point in points]

    @property
    def axes(self) -> set[str]:
        """The variables of the matrix."""
        return set(self.matrix) if isinstance(self.matrix, dict) else {name for point in self.matrix for name in point}

    @model_validator(mode="after")
    def _even(self) -> Head:
        if not isinstance(self.matrix, dict) and any(set(point) != self.axes for point in self.matrix):
            raise ValueError(f"matrix: every combination needs the same names: {', '.join(sorted(self.axes))}")
        if len(self.combinations) > MOST_CASES:
            raise ValueError(f"matrix: more than {MOST_CASES} combinations")
        return self


class Scenario(Head):
    """A scenario's file."""

    about: Text = Field("", description="what it shows, in a line or two")
    seed: Whole | None = Field(None, description="of the simulator's randomness; default: drawn, and told")
    config: Path | None = Field(None, description="the simulator's configuration file, seen from this file")
    preset: Text | None = Field(None, description="one account with the habits of a known SMSC")
    simulator: SimulatorSettings = Field(
        default_factory=SimulatorSettings,
        description="as in a configuration file; laid over `config` and `preset`. Without accounts: any system_id",
    )
    esme: EsmeUnderTest | None = Field(None, description="default: started by somebody else")
    within: Duration = Field(10.0, gt=0, description="of every expectation that says nothing else")
    limit: Duration = Field(120.0, gt=0, description="of the whole scenario")
    always: tuple[Always, ...] = ()
    steps: tuple[Step, ...] = Field(min_length=1)
