"""submit_sm by the thousand: texts cut and coded, octets put together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.smpp.pdu import SubmitSm, encode
from gateway.smpp.text import Coding, LongMessageForm, choose_coding, segment
from simulator.load.templates import NumberPattern, TextTemplate

LoadCoding = Literal["auto", "gsm7", "ucs2"]
_HEADER_OCTETS = 16


@dataclass(frozen=True, slots=True)
class Sender:
    """What all messages have in common."""

    source_addr: str = "MotcuaSMS"
    source_ton: int = 5
    source_npi: int = 0
    dest_ton: int = 1
    dest_npi: int = 1
    receipts: bool = False
    service_type: str = ""


class SubmitBodies:
    """The octets after the header of one submit_sm after the other; those of a long text follow each other.

    Args:
        first, count: numbers of the messages; None: without end.
    """

    def __init__(
        self,
        sender: Sender,
        text: TextTemplate,
        to: NumberPattern,
        *,
        coding: LoadCoding = "auto",
        form: LongMessageForm = "udh8",
    ) -> None:
        self._sender = sender
        self._text = text
        self._to = to
        self._coding: LoadCoding = coding
        self._form: LongMessageForm = form
        self._split: tuple[bytes, bytes] | None = None

    def message(self, sequence: int) -> Iterator[bytes]:
        """All parts of message ``sequence``, from 1. Raises ValueError: the text cannot be sent so."""
        number = self._to.number(sequence)
        if self._text.constant and self._split is not None:
            yield self._split[0] + number.encode("latin-1") + self._split[1]
            return
        parts = list(self._parts(sequence, number))
        if self._text.constant and len(parts) == 1 and parts[0].count(number.encode("latin-1")) == 1:
            before, _, after = parts[0].partition(number.encode("latin-1"))
            self._split = (before, after)
        yield from parts

    def _parts(self, sequence: int, number: str) -> Iterator[bytes]:
        sender = self._sender
        text = self._text.text(sequence, number)
        coding: Coding = choose_coding(text) if self._coding == "auto" else self._coding
        for part in segment(text, coding, form=self._form, reference=sequence):
            pdu = SubmitSm(
                service_type=sender.service_type,
                source_addr_ton=sender.source_ton,
                source_addr_npi=sender.source_npi,
                source_addr=sender.source_addr,
                dest_addr_ton=sender.dest_ton,
                dest_addr_npi=sender.dest_npi,
                destination_addr=number,
                esm_class=part.esm_class_bits,
                registered_delivery=int(sender.receipts),
                data_coding=part.data_coding,
                short_message=part.short_message,
                tlvs=part.tlvs,
            )
            yield encode(pdu)[_HEADER_OCTETS:]
