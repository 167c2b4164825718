"""Cuts a stream of octets into PDUs by their command_length (SMPP 3.4 §3.2, §5.1.1)."""

from __future__ import annotations

import struct
from typing import Final

from gateway.smpp.constants import DEFAULT_MAX_PDU_OCTETS, HEADER_OCTETS, CommandStatus
from gateway.smpp.errors import UnrecoverablePduError

_LENGTH_OCTETS: Final = 4
_unpack_length = struct.Struct(">I").unpack_from
_unpack_header = struct.Struct(">IIII").unpack_from


class Framer:
    """Collects octets and hands out whole PDUs.

    Between two calls it holds one unfinished PDU at most, so its memory is bounded by max_octets, and however small the
    pieces are in which the octets come, each is looked at a bounded number of times.
    """

    def __init__(self, max_octets: int = DEFAULT_MAX_PDU_OCTETS) -> None:
        self._max_octets = max_octets
        self._rest = bytearray()
        self._wanted = _LENGTH_OCTETS  # with fewer octets than this, looking at the rest again is useless
        self._fault: UnrecoverablePduError | None = None

    @property
    def buffered_octets(self) -> int:
        """How many octets of an unfinished PDU are waiting."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and return the PDUs that are now whole, header included.

        Raises UnrecoverablePduError if a command_length is below 16 or above the limit: nothing after it can be
        told apart any more. The PDUs before it are in the error's ``frames``. Every later call raises again.
        """
        if self._fault is not None:
            raise self._again(self._fault)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return []
            data = bytes(self._rest)
        frames: list[bytes] = []
        position, size = 0, len(data)
        wanted = _LENGTH_OCTETS
        while size - position >= _LENGTH_OCTETS:
            (length,) = _unpack_length(data, position)
            if not HEADER_OCTETS <= length <= self._max_octets:
                self._rest.clear()
                self._fault = self._out_of_step(data, position, length)
                self._fault.frames = tuple(frames)
                raise self._fault
            end = position + length
            if end > size:
                wanted = length
                break
            frames.append(data[position:end])
            position = end
        self._rest[:] = data[position:]
        self._wanted = wanted
        return frames

    def _out_of_step(self, data: bytes, position: int, length: int) -> UnrecoverablePduError:
        command_id = sequence_number = 0
        if len(data) - position >= HEADER_OCTETS:
            _, command_id, _, sequence_number = _unpack_header(data, position)
        reason = f"command_length {length} is not between {HEADER_OCTETS} and {self._max_octets}"
        return UnrecoverablePduError(command_id, sequence_number, CommandStatus.ESME_RINVCMDLEN, reason)

    @staticmethod
    def _again(fault: UnrecoverablePduError) -> UnrecoverablePduError:
        return UnrecoverablePduError(fault.command_id, fault.sequence_number, fault.command_status, fault.reason)
