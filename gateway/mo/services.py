"""Which service a query is for, and what it asks: shortcode, then keyword, then code.

A shortcode may have several services, each with its keyword, and may be shared with services that are not ours at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.mo.query import parse_query
from gateway.model import QueryResult
from gateway.settings import QueryServiceSettings, QuerySettings

#: Texts without a keyword of ours.
_FOREIGN = frozenset({QueryResult.ERR_KEYWORD, QueryResult.ERR_EMPTY})


@dataclass(frozen=True, slots=True)
class Question:
    """A text, judged."""

    service: QueryServiceSettings | None  # None: no service of ours has this shortcode, or this keyword
    result: QueryResult
    code: str
    ignore_reason: str  # "" when it is to be answered


class Services:
    """The query services of the configuration. Pure: may be asked from any thread."""

    def __init__(self, settings: QuerySettings) -> None:
        self._settings = settings
        self._by_name = {service.name: service for service in settings.services}
        #: Every shortcode of ours.
        self.shortcodes = frozenset(code for service in settings.services for code in service.shortcodes)
        #: After this time every query is late, whatever its service, in seconds.
        self.longest_deadline_s = max((service.reply_deadline_s for service in settings.services), default=0.0)

    def by_name(self, name: str | None) -> QueryServiceSettings | None:
        """A service of the configuration, None when it has gone from there."""
        return self._by_name.get(name) if name is not None else None

    def is_foreign(self, service: str | None, result: QueryResult) -> bool:
        """Whether a query that was recorded for no service of ours is to be forwarded."""
        return service is None and result in _FOREIGN and self._settings.foreign_keywords == "forward"

    def shortcode(self, destination_addr: str) -> str:
        """The shortcode of a destination as SMSCs write it: 8083, +8083, 848083."""
        address = destination_addr.strip().removeprefix("+")
        if address not in self.shortcodes and address.startswith("84") and address[2:] in self.shortcodes:
            return address[2:]
        return address

    def judge(self, destination_addr: str, text: str | None) -> Question:
        """Read a text. None means that it could not be decoded: bad syntax, as a text without a keyword."""
        services = self._of(self.shortcode(destination_addr))
        if not services:
            return Question(None, QueryResult.ERR_KEYWORD, "", "foreign_shortcode")
        question = Question(services[0], QueryResult.ERR_KEYWORD, "", "")
        if text is not None:
            for service in services:
                parsed = parse_query(text, service)
                question = Question(service, parsed.result, parsed.code, "")
                if parsed.result not in _FOREIGN:
                    return question
        if self._settings.foreign_keywords == "forward":
            return Question(None, question.result, "", "")
        if self._settings.foreign_keywords == "ignore":
            return Question(None, question.result, "", "foreign_keyword")
        return Question(services[0], question.result, "", "")

    def _of(self, shortcode: str) -> Sequence[QueryServiceSettings]:
        return [service for service in self._settings.services if shortcode in service.shortcodes]
