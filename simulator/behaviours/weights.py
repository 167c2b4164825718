"""A choice by weights, drawn fast."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Mapping
from itertools import accumulate
from typing import Generic, TypeVar

T = TypeVar("T")


class WeightedChoice(Generic[T]):
    """Draws a key as often as its weight says. Weights are in any unit and at least one is above 0."""

    def __init__(self, weights: Mapping[T, float], rng: random.Random) -> None:
        kept = {value: weight for value, weight in weights.items() if weight > 0}
        self._values = list(kept)
        self._borders = list(accumulate(kept.values()))
        self._rng = rng

    @property
    def certain(self) -> T | None:
        """The only one that can come; None where there are several."""
        return self._values[0] if len(self._values) == 1 else None

    def draw(self) -> T:
        if len(self._values) == 1:
            return self._values[0]
        point = self._rng.random() * self._borders[-1]
        return self._values[min(bisect(self._borders, point), len(self._values) - 1)]
