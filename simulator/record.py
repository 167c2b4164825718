"""The simulator's books: every message that passed, as JSON lines, for programs that compare them with their own.

Entries are buffered and written a few times a second: at thousands of messages a second, a write for each would be the
simulator's main work. What is only kept in memory becomes JSON when somebody asks: most entries are pushed out by newer ones before.
docs/simulator.md lists the kinds of entries and their keys.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TextIO

from simulator.errors import SimulatorError
from simulator.schedule import Schedule
from simulator.settings import RecordSettings

_FLUSH_ENTRIES = 5000  # a burst is written earlier than the interval says
_new = tuple.__new__  # a named tuple without its own __new__, which costs as much again
_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: A text as JSON. With it a line is put together five times faster than a dict is encoded (1.1 µs for 5.8).
quote: Callable[[str], str] = json.encoder.encode_basestring


class _Entry(NamedTuple):
    """One event, not yet written."""

    n: int
    at: float
    event: str
    write: Callable[..., str]
    about: tuple[Any, ...]

    def line(self) -> str:
        """As JSON."""
        return f'{{"n":{self.n},"event":"{self.event}","at":{self.at:.4f},{self.write(*self.about)}}}'


class Record:
    """Numbers the entries from 1, keeps the newest in memory, and writes all to the file, if there is one."""

    def __init__(self, settings: RecordSettings, schedule: Schedule) -> None:
        self._settings = settings
        self._schedule = schedule
        self._newest: deque[_Entry] = deque(maxlen=settings.memory_entries)
        self._buffer: list[_Entry] = []
        self._keeps = bool(settings.memory_entries)
        self._file: TextIO | None = None
        self.count = 0
        #: Told of every line; while somebody looks (a scenario).
        self.watcher: Callable[[str], None] | None = None

    def open(self) -> None:
        """Open the file. Raises :class:`SimulatorError`."""
        path = self._settings.path
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise SimulatorError(
                f"record.path {path}", f"cannot be written ({error.strerror})", "Name another file, or free this one"
            ) from error
        self._schedule.call_later(self._settings.flush_interval_s, self._tick)

    def add(self, event: str, entry: dict[str, Any]) -> None:
        """Note one event. ``entry`` has only JSON's own types."""
        self.add_later(event, self._schedule.now(), str, _encode(entry)[1:-1])

    def add_later(self, event: str, at: float, write: Callable[..., str], *about: Any) -> None:
        """The same for the events that come with every message.

        ``write(*about)`` gives their members as JSON without braces, when and if it is asked for: nothing in ``about`` may change.
        """
        self.count += 1
        if not self._keeps and self._file is None and self.watcher is None:
            return
        entry: _Entry = _new(_Entry, (self.count, at, event, write, about))
        self._newest.append(entry)
        if self._file is not None:
            self._buffer.append(entry)
            if len(self._buffer) >= _FLUSH_ENTRIES:
                self.flush()
        if self.watcher is not None:
            self.watcher(entry.line())

    def flush(self) -> None:
        """Hand everything to the operating system: it survives the end of this process."""
        if self._file is not None and self._buffer:
            self._file.writelines(f"{entry.line()}\n" for entry in self._buffer)
            self._file.flush()
            self._buffer = []

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def lines(self, after: int = 0) -> Iterator[str]:
        """The JSON lines in memory with a number above ``after``, oldest first."""
        first = self.count - len(self._newest) + 1
        skip = max(0, after - first + 1)
        for entry in islice(self._newest, skip, None):
            yield entry.line()

    @property
    def first_in_memory(self) -> int:
        """The number of the oldest entry that :meth:`lines` can give."""
        return self.count - len(self._newest) + 1

    def _tick(self) -> None:
        self.flush()
        if self._file is not None:
            self._schedule.call_later(self._settings.flush_interval_s, self._tick)
