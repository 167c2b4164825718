"""Which operator takes a message: the number's carrier, corrected by what porting has taught."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.errors import RoutingError
from gateway.settings import OperatorSettings


class Router:
    """Numbers to operators. Carriers are the names in the prefix table (``gateway/dossiers/data``)."""

    def __init__(self, operators: Mapping[str, OperatorSettings]) -> None:
        self._by_carrier: dict[str, str] = {}
        for route, operator in operators.items():
            for carrier in operator.carriers:
                self._by_carrier.setdefault(_plain(carrier), route)
        self._default = next((route for route, operator in operators.items() if operator.default), None)
        if self._default is None and len(operators) == 1:
            self._default = next(iter(operators))  # one operator takes everything
        self._routes = frozenset(operators)

    def route(self, carrier: str | None, ported_to: str | None = None) -> str:
        """The operator for a number of ``carrier``; ``ported_to`` is its row in the portability table.

        Raises:
            RoutingError: nobody takes that carrier's numbers.
        """
        if ported_to is not None and ported_to in self._routes:
            return ported_to
        found = self._by_carrier.get(_plain(carrier or ""))
        if found is not None:
            return found
        if self._default is None:
            raise RoutingError(
                f"no operator takes numbers of '{carrier or 'an unknown carrier'}'. "
                "Name it under operators.*.carriers, or give one operator 'default: true'"
            )
        return self._default


def _plain(carrier: str) -> str:
    return carrier.strip().casefold()
