"""Times in a histogram of constant size: three digits of each value are kept, from a microsecond to an hour."""

from __future__ import annotations

from typing import Any

from hdrh.histogram import HdrHistogram

_MOST_US = 3_600_000_000
_DIGITS = 3
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


class Latencies:
    """HdrHistogram of seconds. What takes longer than an hour counts as an hour."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _MOST_US, _DIGITS)
        self._sum_s = 0.0
        self._count = 0

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def add(self, seconds: float) -> None:
        """Note one."""
        self._sum_s += seconds
        self._count += 1
        microseconds = int(seconds * 1e6)
        self._histogram.record_value(1 if microseconds < 1 else min(microseconds, _MOST_US))

    def take_mean_ms(self) -> float | None:
        """The mean since this was last asked for; None when there are none. Cheap, unlike :meth:`as_dict`."""
        mean_ms = 1000 * self._sum_s / self._count if self._count else None
        self._sum_s, self._count = 0.0, 0
        return mean_ms

    def as_dict(self) -> dict[str, Any] | None:
        """Milliseconds for the report, None when there are none. Takes some 50 ms: not for the time of a measurement."""
        if not len(self):
            return None
        found = self._histogram.get_percentile_to_value_dict([*PERCENTILES, 100.0])
        named = {f"p{percentile:g}": round(found[percentile] / 1000, 3) for percentile in PERCENTILES}
        return {
            "count": len(self),
            "mean": round(float(self._histogram.get_mean_value()) / 1000, 3),
            **named,
            "max": round(found[100.0] / 1000, 3),
        }
