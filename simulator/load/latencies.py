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

    def __len__(self) -> int:
        return int(self._histogram.get_total_count())

    def add(self, seconds: float) -> None:
        """Note one."""
        microseconds = int(seconds * 1e6)
        self._histogram.record_value(1 if microseconds < 1 else min(microseconds, _MOST_US))

    def percentile_ms(self, percentile: float) -> float:
        """The value that ``percentile`` per cent of the times do not exceed."""
        return round(float(self._histogram.get_value_at_percentile(percentile)) / 1000, 3)

    def as_dict(self) -> dict[str, Any] | None:
        """Milliseconds for the report; None when there are none."""
        if not len(self):
            return None
        named = {f"p{percentile:g}": self.percentile_ms(percentile) for percentile in PERCENTILES}
        return {
            "count": len(self),
            "mean": round(float(self._histogram.get_mean_value()) / 1000, 3),
            **named,
            "max": self.percentile_ms(100.0),
        }
