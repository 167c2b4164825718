"""Texts on the wire, in one place: alphabet, folding, coding, parts, and joining the parts again.

The modules behind it do one job each; import from here.
"""

from __future__ import annotations

from gateway.smpp.assembly import Assembler, Incomplete, MessageKey
from gateway.smpp.concatenation import Concatenation, IncomingPart, join_text, parse_concatenation, user_data
from gateway.smpp.folding import fold
from gateway.smpp.gsm7 import decode_gsm7, encode_gsm7, is_gsm7, septets
from gateway.smpp.segmentation import (
    MAX_PARTS,
    Coding,
    DefaultAlphabet,
    LongMessageForm,
    Segment,
    choose_coding,
    count_parts,
    decode_text,
    encode_text,
    part_units,
    segment,
    split,
)

__all__ = [
    "MAX_PARTS",
    "Assembler",
    "Coding",
    "Concatenation",
    "DefaultAlphabet",
    "IncomingPart",
    "Incomplete",
    "LongMessageForm",
    "MessageKey",
    "Segment",
    "choose_coding",
    "count_parts",
    "decode_gsm7",
    "decode_text",
    "encode_gsm7",
    "encode_text",
    "fold",
    "is_gsm7",
    "join_text",
    "parse_concatenation",
    "part_units",
    "segment",
    "septets",
    "split",
    "user_data",
]
