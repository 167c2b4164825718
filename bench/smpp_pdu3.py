"""The PDUs of the benchmarks as smpp.pdu3 (the codec that Jasmin uses) builds and reads them. Optional: pip install smpp.pdu3."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from io import BytesIO
from typing import Any

try:
    from smpp.pdu import pdu_types as types
    from smpp.pdu.operations import DeliverSM, DeliverSMResp, SubmitSM, SubmitSMResp
    from smpp.pdu.pdu_encoding import PDUEncoder

    # One for all, as a client has it; but one that has decoded TLVs remembers their lengths and refuses others to encode.
    ENCODER, DECODER = PDUEncoder(), PDUEncoder()
    AVAILABLE = True
except ImportError:
    AVAILABLE = False

Build = Callable[[], Any]


def name() -> str:
    return f"smpp.pdu3 {version('smpp.pdu3')}"


def encode(build: Build) -> bytes:
    return bytes(ENCODER.encode(build()))


def decode(frame: bytes) -> Any:
    return DECODER.decode(BytesIO(frame))


def builders(text: bytes, receipt: bytes, message_id: str) -> dict[str, Build]:
    """By the names of the cases of bench/codec.py. Its objects for constant flags are made once, as a client would."""
    ton, npi = types.AddrTon, types.AddrNpi
    normal = types.EsmClass(types.EsmClassMode.DEFAULT, types.EsmClassType.DEFAULT)
    is_receipt = types.EsmClass(types.EsmClassMode.DEFAULT, types.EsmClassType.SMSC_DELIVERY_RECEIPT)
    coding = types.DataCoding(types.DataCodingScheme.DEFAULT, types.DataCodingDefault.SMSC_DEFAULT_ALPHABET)
    wanted = types.RegisteredDelivery(types.RegisteredDeliveryReceipt.SMSC_DELIVERY_RECEIPT_REQUESTED)
    error = b"\3\0\0"
    given = message_id.encode()

    def submit() -> Any:
        return SubmitSM(
            77,
            source_addr_ton=ton.ALPHANUMERIC,
            source_addr_npi=npi.UNKNOWN,
            source_addr=b"MotcuaSMS",
            dest_addr_ton=ton.INTERNATIONAL,
            dest_addr_npi=npi.ISDN,
            destination_addr=b"84905123456",
            esm_class=normal,
            registered_delivery=wanted,
            data_coding=coding,
            short_message=text,
        )

    def deliver() -> Any:
        return DeliverSM(
            78,
            source_addr_ton=ton.INTERNATIONAL,
            source_addr_npi=npi.ISDN,
            source_addr=b"84905123456",
            dest_addr_ton=ton.ALPHANUMERIC,
            dest_addr_npi=npi.UNKNOWN,
            destination_addr=b"MotcuaSMS",
            esm_class=is_receipt,
            data_coding=coding,
            short_message=receipt,
            network_error_code=error,
            message_state=types.MessageState.DELIVERED,
            receipted_message_id=given,
        )

    return {
        "submit_sm": submit,
        "submit_sm_resp": lambda: SubmitSMResp(77, message_id=given),
        "deliver_sm with receipt and TLVs": deliver,
        "deliver_sm_resp": lambda: DeliverSMResp(78),
    }
