"""The simulator's log, on standard error: binds, faults, MO; single messages only at debug."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from simulator.settings import LogSettings

_PHONE_KEYS = frozenset({"phone", "number", "msisdn"})
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_DIGITS = re.compile(r"\d{9,}")


def mask_numbers(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: 84905123456 → 84905***456 under the keys that hold telephone numbers."""
    for key, value in event.items():
        if isinstance(value, str) and (key in _PHONE_KEYS or key.endswith("_addr")):
            event[key] = _DIGITS.sub(lambda match: f"{match[0][:5]}***{match[0][-3:]}", value)
    return event


def configure(settings: LogSettings) -> None:
    """Set structlog up for this process; once, before the first event."""
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    if settings.mask_numbers:
        processors.append(mask_numbers)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
