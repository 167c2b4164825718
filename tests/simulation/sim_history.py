"""What happened in one run, readable: time, actor, what. Telephone numbers are masked as in the gateway's log.

Lines are written only when somebody reads them: most runs end well, and nobody does.
"""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TextIO

from gateway.log import mask_numbers

#: Log fields that say nothing in a simulation, or come with the level.
_DROPPED = frozenset({"level", "event", "remedy", "traceback", "exc_info"})
_PLAIN = (str, int, float, bool, type(None))


class History:
    """The lines of one run. ``echo`` sees each at once (``--verbose``)."""

    def __init__(self, real_time: Callable[[], float], business: Callable[[], datetime], echo: TextIO | None) -> None:
        self._real_time, self._business, self._echo = real_time, business, echo
        self._entries: list[tuple[float, datetime, str, str, dict[str, Any]]] = []
        self.seen: Counter[str] = Counter()  # how often what struck (weather) and what the gateway logged
        self.faults_logged: list[str] = []  # what the gateway itself calls a fault of its program
        self.actor = "gateway"

    def add(self, actor: str, what: str, /, **values: Any) -> None:
        """One event. Values under keys such as ``number`` and ``*_addr`` are masked."""
        fixed = {key: value if type(value) in _PLAIN else str(value) for key, value in values.items()}
        entry = (self._real_time(), self._business(), actor, what, fixed)
        self._entries.append(entry)
        if self._echo is not None:
            self._echo.write(_line(*entry) + "\n")

    def struck(self, what: str, /, **values: Any) -> None:
        """The weather did something: told, and counted by kind."""
        self.seen[f"weather/{what}"] += 1
        self.add("weather", what, **values)

    def logged(self, _logger: Any, method: str, event: dict[str, Any]) -> str:
        """structlog's last processor: the gateway's own log lines join the history."""
        name = str(event.pop("event", None))
        self.seen[f"log/{name}"] += 1
        if event.get("exc_info") or "traceback" in event or "failure" in event or method == "critical":
            self.faults_logged.append(f"{name}: {_trace(event)}")
        self.add(self.actor, name, **event)
        return ""

    @property
    def lines(self) -> list[str]:
        """The whole history."""
        return [_line(*entry) for entry in self._entries]

    def digest(self) -> str:
        """The same for the same history."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]


def _line(real_s: float, business: datetime, actor: str, what: str, values: dict[str, Any]) -> str:
    fields = mask_numbers(None, "", values)
    words = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _DROPPED)
    return f"{real_s:9.3f}  {business + timedelta(hours=7):%d %H:%M:%S}  {actor:<12} {what} {words}".rstrip()


def _trace(event: dict[str, Any]) -> str:
    if event.get("traceback") or event.get("failure"):
        return str(event.get("traceback") or event.get("failure"))
    info = event.get("exc_info")
    if isinstance(info, tuple) and info[1] is not None:
        return "".join(traceback.format_exception(info[1])[-4:])
    if info is True:
        return traceback.format_exc()
    return repr(info)
