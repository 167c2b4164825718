"""What a query costs: the dated tariff by shortcode prefix."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from gateway.settings import TariffRow


def price_vnd(tariff: Sequence[TariffRow], shortcode: str, on: date) -> int | None:
    """The price of one MO to a shortcode on a day (Vietnam), in VND; None when no row covers it.

    The longest matching prefix wins, and of its rows the latest that is in force.
    """
    in_force = [row for row in tariff if row.start <= on and shortcode.startswith(row.prefix)]
    if not in_force:
        return None
    return max(in_force, key=lambda row: (len(row.prefix), row.start)).amount_vnd
