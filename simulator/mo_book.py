"""The newest MO, by their numbers and by their handsets."""

from __future__ import annotations

from collections import OrderedDict

from simulator.mo import Mo


class MoBook:
    """Bounded: the oldest are forgotten."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._mos: OrderedDict[int, Mo] = OrderedDict()
        self._by_phone: OrderedDict[str, OrderedDict[int, Mo]] = OrderedDict()

    def add(self, mo: Mo) -> None:
        """Note a new MO."""
        self._mos[mo.id] = mo
        self._by_phone.setdefault(mo.request.phone, OrderedDict())[mo.id] = mo
        self._by_phone.move_to_end(mo.request.phone)
        if len(self._mos) > self._kept:
            number, oldest = self._mos.popitem(last=False)
            of_phone = self._by_phone[oldest.request.phone]
            del of_phone[number]
            if not of_phone:
                del self._by_phone[oldest.request.phone]

    def get(self, number: int) -> Mo | None:
        return self._mos.get(number)

    def of(self, phone: str) -> list[Mo]:
        """What this handset sent, oldest first."""
        return list(self._by_phone.get(phone, {}).values())

    def newest_phones(self, limit: int) -> list[str]:
        """The handsets that sent last, newest first."""
        return [phone for phone, _ in zip(reversed(self._by_phone), range(limit), strict=False)]
