"""What happened in one run, readable: time, actor, what. Telephone numbers are masked as in the gateway's log."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TextIO

from gateway.log import mask_numbers

#: Log fields that say nothing in a simulation, or come with the level.
_DROPPED = frozenset({"level", "event", "remedy", "traceback", "exc_info"})


class History:
    """The lines of one run. ``echo`` sees each at once (``--verbose``)."""

    def __init__(self, real_time: Callable[[], float], business: Callable[[], datetime], echo: TextIO | None) -> None:
        self._real_time, self._business, self._echo = real_time, business, echo
        self.lines: list[str] = []
        self.faults_logged: list[str] = []  # what the gateway itself calls a fault of its program
        self.actor = "gateway"

    def add(self, actor: str, what: str, /, **values: Any) -> None:
        """One event. Values under keys such as ``number`` and ``*_addr`` are masked."""
        local = self._business() + timedelta(hours=7)
        fields = mask_numbers(None, "", values)
        words = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _DROPPED)
        line = f"{self._real_time():9.3f}  {local:%d %H:%M:%S}  {actor:<12} {what} {words}".rstrip()
        self.lines.append(line)
        if self._echo is not None:
            self._echo.write(line + "\n")

    def logged(self, _logger: Any, method: str, event: dict[str, Any]) -> str:
        """structlog's last processor: the gateway's own log lines join the history."""
        name = str(event.get("event"))
        self.add(self.actor, name, **{key: value for key, value in event.items() if key != "event"})
        if event.get("exc_info") or "traceback" in event or "failure" in event or method == "critical":
            self.faults_logged.append(f"{name}: {_trace(event)}")
        return ""

    def digest(self) -> str:
        """The same for the same history."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]


def _trace(event: dict[str, Any]) -> str:
    if event.get("traceback") or event.get("failure"):
        return str(event.get("traceback") or event.get("failure"))
    info = event.get("exc_info")
    if isinstance(info, tuple) and info[1] is not None:
        import traceback

        return "".join(traceback.format_exception(info[1])[-4:])
    if info is True:
        import traceback

        return traceback.format_exc()
    return repr(info)
