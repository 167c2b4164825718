"""The simulator that the load as SMSC drives: its settings from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.config_file import load_settings, parse_settings
from simulator.errors import SimulatorError
from simulator.settings import SimulatorSettings

_CODES = 10_000


def settings_of(options: dict[str, Any], seed: int | None) -> SimulatorSettings:
    """A configuration file's, or one account; nothing is kept for people to look at. Raises :class:`SimulatorError`."""
    if options["config"] is not None:
        settings = load_settings(options["config"])
    else:
        account = {
            "port": options["port"],
            "system_id": options["system_id"],
            "password": options["password"],
            "window": 10_000,
            "receipts": {"delay": 0.05},
        }
        settings = parse_settings({"accounts": {"load": account}})
    quiet = {"level": "warning"} if settings.log.level == "info" else {}  # no line for each MO
    return settings.model_copy(
        update={
            "log": settings.log.model_copy(update=quiet),
            "seed": settings.seed if seed is None else seed,
            "control": settings.control.model_copy(update={"port": options["control_port"], "pdu_entries": 0}),
            "record": settings.record.model_copy(update={"memory_entries": 0}),
            "sessions": settings.sessions.model_copy(update={"deliver_window": options["window"]}),
        }
    )


def codes(path: Path | None) -> Sequence[str]:
    """What {code} stands for, one a line. Raises :class:`SimulatorError`."""
    if path is None:
        return [f"01017{number:05d}" for number in range(_CODES)]
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise SimulatorError(str(path), f"cannot be read ({error.strerror})", "Name an existing file") from error
    except UnicodeDecodeError as error:
        raise SimulatorError(str(path), "is not UTF-8 text", "Save it as UTF-8") from error
    if not found:
        raise SimulatorError(str(path), "has no codes", "Write one a line")
    return found
