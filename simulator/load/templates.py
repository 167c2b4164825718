"""Texts and numbers with placeholders, filled anew for each message."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from string import Formatter

_RANDOM_DIGITS = 6
_MOST_DIGITS = 18
_WIDTH = re.compile(r"0?(\d{1,2})d?")
Piece = Callable[[int, str], str]  # number of the message from 1, number of the handset


class TextTemplate:
    """``Ho so {number} so {sequence:06d} ma {random:8}``.

    Args:
        template: with {sequence} (1, 2, 3 …), {number} (the handset's), {random} (digits), and {code} where there are codes.
        rng: of {random}.
        codes: taken in turn by {code}.

    Raises:
        ValueError: says what is wrong with the template.
    """

    def __init__(self, template: str, rng: random.Random, codes: Sequence[str] = ()) -> None:
        self._rng = rng
        self._codes = codes
        self._pieces = [piece for parts in Formatter().parse(template) for piece in self._read(*parts)]
        #: Every message has the same text.
        self.constant = all(isinstance(piece, str) for piece in self._pieces)

    def text(self, sequence: int, number: str) -> str:
        """The text of one message."""
        return "".join(
            [piece if isinstance(piece, str) else piece(sequence, number) for piece in self._pieces],
        )

    def _read(self, literal: str, name: str | None, spec: str | None, conversion: str | None) -> list[str | Piece]:
        found: list[str | Piece] = [literal] if literal else []
        if name is None:
            return found
        width = _WIDTH.fullmatch(spec or "")
        if conversion or (spec and (width is None or not 1 <= int(width[1]) <= _MOST_DIGITS)):
            raise ValueError(f"'{{{name}:{spec}}}' is not understood; write {{sequence:06d}} or {{random:8}}")
        digits = int(width[1]) if width else 0
        if name == "sequence":
            found.append(lambda sequence, _: f"{sequence:0{digits}d}" if digits else str(sequence))
        elif name == "number":
            found.append(lambda _, number: number)
        elif name == "random":
            wanted = digits or _RANDOM_DIGITS
            found.append(lambda _sequence, _number: f"{self._rng.randrange(10**wanted):0{wanted}d}")
        elif name == "code" and self._codes:
            found.append(lambda sequence, _: self._codes[(sequence - 1) % len(self._codes)])
        else:
            known = ["{sequence}", "{number}", "{random}", *(["{code}"] if self._codes else [])]
            raise ValueError(f"'{{{name}}}' is not known; known are {', '.join(known)}; write {{{{ for a brace")
        return found


class NumberPattern:
    """``849########``: the ``#`` count up, so that numbers differ as long as they can; ``?`` is a random digit.

    Raises:
        ValueError: says what is wrong with the pattern.
    """

    def __init__(self, pattern: str, rng: random.Random) -> None:
        if not re.fullmatch(r"\+?[0-9#?]{3,20}", pattern) or "#" in pattern.strip("0123456789+?").replace("#", ""):
            raise ValueError(f"'{pattern}' is no number; write 84905123456, 849######## or 8490???????")
        runs = re.findall("#+", pattern)
        if len(runs) > 1:
            raise ValueError(f"'{pattern}' has several runs of #; one counts up, ? stands for random digits")
        self._before, self._run, self._after = pattern.partition(runs[0]) if runs else (pattern, "", "")
        self._rng = rng
        self.constant = not runs and "?" not in pattern

    def number(self, sequence: int) -> str:
        """The number of message ``sequence``, from 1."""
        run = f"{(sequence - 1) % 10 ** len(self._run):0{len(self._run)}d}" if self._run else ""
        number = self._before + run + self._after
        if "?" in number:
            number = re.sub(r"\?", lambda _: str(self._rng.randrange(10)), number)
        return number
