"""What the handsets received: kept as parts, put together when somebody looks.

Assembly waits for the look, because under load nobody looks at most messages. Parts are joined as a handset joins them, by
sender, reference and total; a repeated message shows up as a copy, so that what was sent twice can be seen.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gateway.smpp.pdu import DataSm, SubmitSm
from gateway.smpp.text import DefaultAlphabet, IncomingPart, join_text, parse_concatenation, user_data
from simulator.settings import InboxSettings


class ReceivedPart(NamedTuple):
    """One submit_sm that reached its handset."""

    at: float
    account: str
    message_id: str
    pdu: SubmitSm | DataSm
    default_alphabet: DefaultAlphabet


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One message as the handset shows it."""

    at: float  # of its last part
    number: str
    sender: str
    text: str
    parts: int
    missing: tuple[int, ...]  # numbers of parts that are not here (yet)
    copy: int  # 1; 2 and above: the same text from the same sender again
    account: str
    message_ids: tuple[str, ...]
    data_coding: int


class Inbox:
    """All handsets. The least recently used ones are forgotten beyond the limits."""

    def __init__(self, settings: InboxSettings) -> None:
        self._most_per_handset = settings.parts_per_handset
        self._most = settings.parts
        self._handsets: OrderedDict[str, deque[ReceivedPart]] = OrderedDict()
        self._parts = 0
        self.received = 0
        #: Told of every handset that received or sent something, or whose MO was answered; while somebody looks.
        self.watchers: list[Callable[[str], None]] = []

    def receive(self, number: str, part: ReceivedPart) -> None:
        """A part reached its handset."""
        handset = self._handsets.get(number)
        if handset is None:
            handset = self._handsets[number] = deque()
        else:
            self._handsets.move_to_end(number)
        handset.append(part)
        self.received += 1
        self._parts += 1
        if len(handset) > self._most_per_handset:
            handset.popleft()
            self._parts -= 1
        while self._parts > self._most:
            _, forgotten = self._handsets.popitem(last=False)
            self._parts -= len(forgotten)
        for watcher in self.watchers:
            watcher(number)

    def touch(self, number: str) -> None:
        """Something happened to this handset that is not in here: it sent, or its MO was answered."""
        for watcher in self.watchers:
            watcher(number)

    def newest(self, limit: int) -> list[tuple[str, float, int]]:
        """The handsets that received last, newest first: number, when, parts."""
        return [
            (number, parts[-1].at, len(parts))
            for (number, parts), _ in zip(reversed(self._handsets.items()), range(limit), strict=False)
        ]

    def __contains__(self, number: object) -> bool:
        return number in self._handsets

    def numbers(self) -> list[str]:
        """Handsets with at least one part."""
        return sorted(self._handsets)

    def messages(self, number: str) -> list[InboxMessage]:
        """What this handset shows, in the order of arrival."""
        copies: dict[tuple[str, str], int] = {}
        shown: list[InboxMessage] = []
        for parts, total in _grouped(self._handsets.get(number, ())):
            text = _text(parts, total)
            newest = parts[max(parts, key=lambda part: parts[part].at)]
            missing = tuple(part for part in range(1, total + 1) if part not in parts)
            key = (newest.pdu.source_addr, text)
            if not missing:
                copies[key] = copies.get(key, 0) + 1
            shown.append(
                InboxMessage(
                    at=newest.at,
                    number=number,
                    sender=newest.pdu.source_addr,
                    text=text,
                    parts=total,
                    missing=missing,
                    copy=copies.get(key, 1),
                    account=newest.account,
                    message_ids=tuple(parts[part].message_id for part in sorted(parts)),
                    data_coding=newest.pdu.data_coding,
                )
            )
        return shown


def _grouped(received: deque[ReceivedPart] | tuple[()]) -> Iterator[tuple[dict[int, ReceivedPart], int]]:
    """The messages among the parts: part number → part, and the total. A part that is there already begins a copy."""
    groups: list[tuple[dict[int, ReceivedPart], int]] = []
    open_groups: dict[tuple[str, int, int], int] = {}
    for part in received:
        concatenation = parse_concatenation(part.pdu)
        if concatenation is None:
            groups.append(({1: part}, 1))
            continue
        key = (part.pdu.source_addr, concatenation.reference, concatenation.total)
        index = open_groups.get(key)
        if index is None or concatenation.part in groups[index][0]:
            index = open_groups[key] = len(groups)
            groups.append(({}, concatenation.total))
        groups[index][0][concatenation.part] = part
    yield from groups


def _text(parts: dict[int, ReceivedPart], total: int) -> str:
    """The whole text; ``[…]`` for a missing part, octets in hex for what is no text."""
    runs: list[str] = []
    run: list[ReceivedPart] = []
    for number in range(1, total + 2):
        if number in parts:
            run.append(parts[number])
            continue
        if run:
            runs.append(_decoded(run))
            run = []
        if number <= total:
            runs.append("[…]")
    return "".join(runs)


def _decoded(run: list[ReceivedPart]) -> str:
    octets = [(user_data(part.pdu), part.pdu.data_coding) for part in run]
    text = join_text([IncomingPart(*pair) for pair in octets], default_alphabet=run[0].default_alphabet)
    return text if text is not None else "".join(data.hex() for data, _ in octets)
