"""What a deliver_sm or data_sm is: a query, or something that must not be answered.

Receipts are taken out before they come here, but a receipt mistaken for a query would be answered, and the answer's receipt
again: so every form of one is refused here too. An MT without an MO costs money, and two machines that answer each other
cost it endlessly: whatever was not written by a subscriber is acknowledged and left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from gateway.smpp.constants import EsmClass, Ton
from gateway.smpp.pdu import DataSm, DeliverSm
from gateway.smpp.receipt import is_receipt, is_sme_acknowledgement

#: E.164 has 15 digits at most; fewer than nine with a country code is no subscriber of any mobile network that roams here.
_SUBSCRIBER = re.compile(r"[1-9]\d{8,14}\Z")


class NotAQuery(StrEnum):
    """Why an incoming message is acknowledged and not answered."""

    RECEIPT = "receipt"  # a delivery receipt or an intermediate notification
    ACKNOWLEDGEMENT = "acknowledgement"  # of a handset: SME delivery, user acknowledgement, conversation abort
    RECEIPT_TEXT = "receipt_text"  # reads like a receipt, without saying so in esm_class
    OWN_ADDRESS = "own_address"  # our brandname or one of our shortcodes: our own message came back
    NO_SUBSCRIBER = "no_subscriber"  # another shortcode, a brandname, or nothing: nobody to answer


def subscriber_number(source_addr: str, source_addr_ton: int = Ton.INTERNATIONAL) -> str | None:
    """A subscriber's number in the gateway's form (84905123456), or None when the address is not one.

    SMSCs write it as +84905123456, 84905123456, 0905123456, or as 905123456 with TON 2 (national).
    """
    if source_addr_ton == Ton.ALPHANUMERIC:
        return None
    number = source_addr.strip().removeprefix("+").removeprefix("00")
    if not (number.isascii() and number.isdigit()):
        return None
    if number.startswith("0"):
        number = "84" + number[1:]
    elif source_addr_ton == Ton.NATIONAL and not number.startswith("84"):
        number = "84" + number
    elif source_addr_ton == Ton.NATIONAL and len(number) == 9:
        number = "84" + number  # 849051234, a VinaPhone number without its zero
    return number if _SUBSCRIBER.match(number) else None


def not_a_query(pdu: DeliverSm | DataSm, own_addresses: Collection[str]) -> NotAQuery | None:
    """Why this is no query; None when it is one.

    Args:
        own_addresses: brandname and shortcodes, upper case.
    """
    if is_sme_acknowledgement(pdu):
        return NotAQuery.ACKNOWLEDGEMENT
    if pdu.esm_class & EsmClass.TYPE_MASK or is_receipt(pdu):
        return NotAQuery.RECEIPT
    if pdu.source_addr.strip().upper() in own_addresses:
        return NotAQuery.OWN_ADDRESS
    if is_receipt(pdu, recognise_without_esm_class=True):
        return NotAQuery.RECEIPT_TEXT
    if subscriber_number(pdu.source_addr, pdu.source_addr_ton) is None:
        return NotAQuery.NO_SUBSCRIBER
    return None
