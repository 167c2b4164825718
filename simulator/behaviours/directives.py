"""A message may say itself what becomes of it: in its text, or by its destination. Overrides the settings for this one.

    #sim status=0x58#                              in the text, anywhere in it
    #sim receipt=UNDELIV; error=042; delay=3#
    84999 2 00005                                  as a number, where ``directives.number_prefix`` is "84999"

A directive in one part of a long message rules the parts that come after it, so it stands best at the beginning.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast, get_args

from gateway.smpp.constants import TlvTag
from gateway.smpp.pdu import DataSm, SubmitSm, tlv
from gateway.smpp.receipt import STAT_WORDS
from gateway.smpp.text import DefaultAlphabet, decode_text
from simulator.behaviours.base import Submission
from simulator.settings import FinalState, Outcome
from simulator.values import parse_status

_ANY_MARK = b"#"
_MARK = b"#sim "
_WIDE_MARK = "#sim ".encode("utf-16-be")
_FORM = re.compile(r"#sim ([^#]*)#")
_PAYLOAD = int(TlvTag.MESSAGE_PAYLOAD)
_REMEMBERED = 4096  # long messages under way at a time
_MOST_S = 86_400.0
_STATES = frozenset(get_args(FinalState))
_OUTCOMES = get_args(Outcome)
_WAYS = {"early", "twice", "reordered", "after-reconnect", "intermediate"}


@dataclass(frozen=True, slots=True)
class Directive:
    """What one message asks for. None and False: as the settings say."""

    status: int | None = None  # of submit_sm_resp
    latency_s: float | None = None  # submit_sm to submit_sm_resp
    drop: str = ""  # "answer", "request", "receipt"
    cut: bool = False
    state: FinalState | None = None  # the final one
    error: str = ""  # err: of the receipt
    delay_s: float | None = None  # acceptance to final state
    ways: frozenset[str] = frozenset()  # of its receipt
    outcome: Outcome | None = None  # of its charge


def parse_directive(text: str) -> Directive | None:
    """The directive in a text; None: there is none. Raises ValueError that says what is wrong with it."""
    found = _FORM.search(text)
    if found is None:
        return None
    directive = Directive()
    # An ESME that sends ASCII where GSM 7-bit is agreed makes § of its underscores.
    for word in filter(None, (word.strip() for word in found[1].replace("§", "_").split(";"))):
        name, equals, value = (part.strip() for part in word.partition("="))
        reader = _FLAGS.get(name) if not equals else _READERS.get(name)
        if reader is None:
            known = ", ".join([*(f"{key}=…" for key in _READERS), *_FLAGS])
            raise ValueError(f"'{word}' is not known; known are {known}")
        directive = reader(directive, value)
    return directive


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_S:
        raise ValueError(f"'{value}' is not a number of seconds up to a day")
    return seconds


def _one_of(value: str, allowed: frozenset[str]) -> str:
    if value not in allowed:
        raise ValueError(f"'{value}' is not one of {', '.join(sorted(allowed))}")
    return value


def _outcome(value: str) -> Outcome:
    return cast(Outcome, _one_of(value, frozenset(_OUTCOMES)))


def _way(name: str) -> Callable[[Directive, str], Directive]:
    return lambda directive, _: replace(directive, ways=directive.ways | {name})


_DROPPED = frozenset({"answer", "request", "receipt"})
_READERS: dict[str, Callable[[Directive, str], Directive]] = {
    "status": lambda directive, value: replace(directive, status=parse_status(value)),
    "latency": lambda directive, value: replace(directive, latency_s=_seconds(value)),
    "drop": lambda directive, value: replace(directive, drop=_one_of(value, _DROPPED)),
    "receipt": lambda directive, value: replace(directive, state=cast(FinalState, _one_of(value, _STATES))),
    "error": lambda directive, value: replace(directive, error=value[:3]),
    "delay": lambda directive, value: replace(directive, delay_s=_seconds(value)),
    "charge": lambda directive, value: replace(directive, outcome=_outcome(value)),
}
_FLAGS: dict[str, Callable[[Directive, str], Directive]] = {
    "cut": lambda directive, _: replace(directive, cut=True),
    **{name: _way(name) for name in sorted(_WAYS)},
}

# A number is its prefix, one digit for the kind, the rest its value.
_NUMBER_STATES = {int(code): word for code, word in STAT_WORDS.items() if word in _STATES}
_NUMBER_WORDS = {
    1: "drop=answer",
    2: "drop=request",
    3: "drop=receipt",
    4: "cut",
    5: "early",
    6: "twice",
    7: "reordered",
    8: "after-reconnect",
    9: "intermediate",
}


def parse_number(digits: str) -> Directive:
    """The directive in a destination, without its prefix: "1" and a status, "2" and a state … Raises ValueError."""
    kind, value = digits[:1], int(digits[1:] or "0") if digits[1:].isdigit() or not digits[1:] else -1
    if kind == "1" and value >= 0:
        return Directive(status=value)
    if kind == "2" and value in _NUMBER_STATES:
        return Directive(state=cast(FinalState, _NUMBER_STATES[value]))
    if kind == "3" and 0 <= value <= _MOST_S:
        return Directive(delay_s=float(value))
    if kind == "4" and 0 <= value <= _MOST_S:
        return Directive(latency_s=float(value))
    if kind == "5" and value in _NUMBER_WORDS:
        return parse_directive(f"#sim {_NUMBER_WORDS[value]}#") or Directive()
    if kind == "6" and 0 <= value < len(_OUTCOMES):
        return Directive(outcome=_OUTCOMES[value])
    raise ValueError(f"'{digits}' after the prefix is no directive; docs/simulator.md has the table")


class Directives:
    """Finds a message's directive, and plays what it says of the answer. A disturbance, and the gate of its status."""

    name = "directive"
    refuses_at_once = False

    def __init__(self, in_text: bool, number_prefix: str | None, alphabet: DefaultAlphabet) -> None:
        self._in_text = in_text
        self._prefix = number_prefix
        self._alphabet: DefaultAlphabet = alphabet
        self._long: OrderedDict[tuple[str, str, int], Directive] = OrderedDict()

    def disturb(self, submission: Submission) -> None:
        if self._prefix is None and submission.concatenation is None:
            pdu = submission.pdu
            if not pdu.tlvs and (type(pdu) is not SubmitSm or _ANY_MARK not in pdu.short_message):
                return  # most messages
        try:
            directive = self._find(submission)
        except ValueError as error:
            submission.directive_fault = str(error)
            return
        if directive is None:
            return
        submission.directive = directive
        if directive.latency_s is not None:
            submission.delay_s = directive.latency_s
        submission.ignored = directive.drop == "request"
        submission.answered = directive.drop != "answer"
        submission.cut = directive.cut

    def judge(self, submission: Submission) -> int:
        directive = submission.directive
        return directive.status or 0 if directive is not None else 0

    def _find(self, submission: Submission) -> Directive | None:
        pdu = submission.pdu
        if self._prefix is not None and pdu.destination_addr.startswith(self._prefix):
            return parse_number(pdu.destination_addr[len(self._prefix) :])
        if not self._in_text:
            return None
        octets = b"" if isinstance(pdu, DataSm) else pdu.short_message
        if not octets and pdu.tlvs:
            octets = tlv(pdu, _PAYLOAD) or b""
        found: Directive | None = None
        if _MARK in octets or _WIDE_MARK in octets:
            found = self._read(submission, octets)
        part = submission.concatenation
        if part is None:
            return found
        key = (pdu.source_addr, pdu.destination_addr, part.reference)
        if found is not None:
            self._long[key] = found
            if len(self._long) > _REMEMBERED:
                self._long.popitem(last=False)
        elif part.part == 1:
            self._long.pop(key, None)  # the reference is used again, by a message that asks for nothing
        return found or self._long.get(key)

    def _read(self, submission: Submission, octets: bytes) -> Directive | None:
        if submission.concatenation is not None:
            octets = submission.concatenation.octets
        text = decode_text(octets, submission.pdu.data_coding, default_alphabet=self._alphabet)
        return None if text is None else parse_directive(text)
