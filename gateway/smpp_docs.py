"""Writes docs/smpp.md, the guide for an operator's engineer: ``python -m gateway.smpp_docs > docs/smpp.md``.

Every example is made by the code that speaks to operators, and every number comes from its tables, so that the guide stays true;
a test holds the file to what this prints. The prose is in ``smpp_docs.md`` beside this file, with places like ``{{bind}}``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.mo.charging.profiles import Charging
from gateway.model import ChargeDecision, ClaimedMessage, MessageKind
from gateway.mt import policy
from gateway.mt.submit import long_form, make_submit, segments_of
from gateway.settings import BindSettings, StatusAction, parse_settings
from gateway.smpp.constants import CommandStatus, TlvTag, command_name, status_description, status_name
from gateway.smpp.fields import PDU_ROWS, Field, Kind
from gateway.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    encode,
    make_response,
    make_tlv,
)
from gateway.smpp.receipt import parse_receipt
from gateway.smpp.tlv import STANDARD_TLVS, Tlv

TEMPLATE = Path(__file__).with_name("smpp_docs.md")
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
HANDSET, BRAND, SHORTCODE = "84905123456", "MotcuaSMS", "8083"
NOTICE = "Ho so 000.00.19.H32-200817-0031 da co ket qua. Kinh moi Ong/Ba den Bo phan Mot cua de nhan ket qua. Tran trong cam on!"
LONG = NOTICE + " Khi di xin mang theo giay hen va giay to tuy than de doi chieu."
ACCENTED = "Hồ sơ của Ông/Bà đã có kết quả."
ANSWER = "Ho so 0101701234: dang xu ly tai Phong Tu phap, dung han."
_FIELDS = {int(row.command_id): row.fields for row in PDU_ROWS}

#: What each action means, in the operator's terms.
ACTIONS = {
    StatusAction.THROTTLE: "we pause this bind for a second (longer when it repeats), keep the order, then go on at half the speed "
    "and a tenth of the licence more in each second",
    StatusAction.DELAY: "we send the same message again after a minute, then after two, four … up to an hour",
    StatusAction.RETRY: "we send the same message again at once, three times at most, then as for delay",
    StatusAction.FAIL: "the message is final: rejected, with the number",
    StatusAction.ALERT: "the message is final: rejected, with the number, and our duty engineer is alerted",
    StatusAction.PORTED: "the number is no subscriber of yours: we remember that and send the message by the next operator",
    StatusAction.PARK: "we send nothing more on this bind for five minutes, other binds take over, and our duty engineer is alerted",
}


def main() -> None:
    """Print the page."""
    sys.stdout.write(render())


def render() -> str:
    """The whole page as Markdown."""
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, make in PLACES.items():
        page = page.replace("{{" + name + "}}", make())
    if "{{" in page:
        raise ValueError(f"smpp_docs.md names a place that nobody fills: {page[page.index('{{') :][:40]}")
    return page


def annotated(pdu: Pdu) -> str:
    """A PDU as commented hex, a field a line."""
    frame = encode(pdu)
    header = [frame[index : index + 4].hex() for index in (0, 4, 8, 12)]
    words = (
        f"{command_name(pdu.command_id)}, {len(frame)} octets, {_status_word(pdu)}sequence_number {pdu.sequence_number}"
    )
    lines = [(" ".join(header), words)]
    position = 16
    for field in _FIELDS[pdu.command_id] if len(frame) > 16 else ():
        octets = _octets(field, getattr(pdu, field.name))
        if frame[position : position + len(octets)] != octets:
            raise ValueError(f"{field.name} does not lie where its row says")
        position += len(octets)
        lines += _field_lines(field, getattr(pdu, field.name), octets)
    for one in getattr(pdu, "tlvs", ()):
        head = f"{one.tag:04x} {len(one.value):04x} "
        lines.append(
            (head + one.value.hex(), f"{STANDARD_TLVS.name(one.tag)} {_shown(STANDARD_TLVS.value(one))}".rstrip())
        )
    width = min(max(len(hexes) for hexes, _ in lines), 40)
    return "\n".join(["```", *_folded(lines, width), "```"])


def _status_word(pdu: Pdu) -> str:
    return f"{status_name(pdu.command_status)}, " if pdu.command_id & 0x80000000 else ""


def _octets(field: Field, value: Any) -> bytes:
    if field.kind is Kind.INTEGER:
        octets: bytes = int(value).to_bytes(field.max_octets, "big")
        return octets
    if field.kind is Kind.C_OCTET_STRING:
        return str(value).encode("latin-1") + b"\0"
    return bytes([len(value)]) + bytes(value)


def _field_lines(field: Field, value: Any, octets: bytes) -> Iterator[tuple[str, str]]:
    if field.kind is Kind.OCTET_STRING:
        yield octets[:1].hex(), f"sm_length {len(value)}"
        if value:
            yield octets[1:].hex(), field.name
    else:
        flags = field.name in ("interface_version", "esm_class")
        yield octets.hex(), f"{field.name} {f'0x{value:02X}' if flags else _shown(value)}".rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return ""
    return f'"{value}"' if isinstance(value, str) else str(value)


def _folded(lines: list[tuple[str, str]], width: int) -> Iterator[str]:
    for hexes, words in lines:
        if len(hexes) <= width:
            yield f"{hexes:<{width}}  # {words}"
            continue
        yield f"# {words}"
        for start in range(0, len(hexes), 96):
            yield hexes[start : start + 96]


def _bind(**values: Any) -> BindSettings:
    return BindSettings.model_validate({"name": "operator-1", "host": "smsc.example", "system_id": "motcua", **values})


def _message(text: str, parts: int = 1, coding: str = "gsm7", **values: Any) -> ClaimedMessage:
    base = ClaimedMessage(
        4711, MessageKind.RESULT_READY, text, coding, parts, BRAND, HANDSET, "operator", 1, False, (), None, None, None
    )
    return base._replace(**values)


def _submits(message: ClaimedMessage, bind: BindSettings) -> list[SubmitSm]:
    pieces = segments_of(message, bind, long_form(bind, message, True))
    return [
        make_submit(message, number, piece, bind, True, NOW)._replace(sequence_number=number + 1)
        for number, piece in enumerate(pieces, start=1)
    ]


def _receipt(stat: str = "DELIVRD", state: int = 2) -> DeliverSm:
    text = f"id:3f6a9c1e sub:001 dlvrd:001 submit date:2603031000 done date:2603031001 stat:{stat} err:000 text:{NOTICE[:20]}"
    pdu = DeliverSm(
        9,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=HANDSET,
        dest_addr_ton=5,
        destination_addr=BRAND,
        esm_class=4,
        short_message=text.encode(),
        tlvs=(make_tlv(TlvTag.RECEIPTED_MESSAGE_ID, "3f6a9c1e"), make_tlv(TlvTag.MESSAGE_STATE, state)),
    )
    if parse_receipt(pdu) is None:
        raise ValueError("the guide's own receipt cannot be read")
    return pdu


def _query() -> DeliverSm:
    text = b"MCKH 0101701234"
    tlvs = (make_tlv(TlvTag.RECEIPTED_MESSAGE_ID, "MO-88121"),)
    return DeliverSm(
        sequence_number=10,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr=HANDSET,
        dest_addr_ton=3,
        destination_addr=SHORTCODE,
        short_message=text,
        tlvs=tlvs,
    )


def _reply() -> SubmitSm:
    profile = {"decision_tlv": {"tag": 0x1401, "type": "cstring"}, "link_tlv": {"tag": 0x1402, "type": "cstring"}}
    bind = {"name": "operator-1", "host": "smsc.example", "system_id": "motcua"}
    settings = parse_settings(
        {
            "operators": {"operator": {"charging": "example", "binds": [bind]}},
            "charging": {"profiles": {"example": profile}},
        }
    )
    message = _message(
        ANSWER,
        source_addr=SHORTCODE,
        kind=MessageKind.MO_REPLY,
        mo_id=7,
        charge_decision=ChargeDecision.CHARGE,
        charge_link="MO-88121",
    )
    [pdu] = _submits(message, _bind())
    return Charging(settings.charging, settings.operators).decorate(message, _bind(), pdu)


def _parameters() -> str:
    rows = ["| agreed with us | our default | setting |", "| --- | --- | --- |"]
    words = {
        "host": "address and port of the SMSC",
        "mode": "transceiver, or transmitter and receiver",
        "system_id": "account",
        "password": "its password (we send up to 64 characters; the standard has 8)",
        "system_type": "system_type",
        "interface_version": "SMPP version",
        "address_range": "address_range of receivers",
        "window": "submit_sm without an answer, for each connection",
        "enquire_link_interval_s": "enquire_link after so many seconds of silence",
        "response_timeout_s": "an answer is awaited so many seconds",
        "long_message": "form of long messages: udh8, udh16, sar or payload",
        "default_alphabet": "what data_coding 0 means: GSM 7-bit unpacked (gsm7), ascii or latin1",
        "dest_ton": "dest_addr_ton",
        "dest_npi": "dest_addr_npi",
        "source_ton_alphanumeric": "source_addr_ton of a brandname",
        "source_ton_shortcode": "source_addr_ton of a shortcode",
        "service_type": "service_type of notices",
    }
    for name, what in words.items():
        field = BindSettings.model_fields[name]
        value = "" if field.is_required() else field.get_default()
        value = "from you" if value == "" else f"0x{value:02X}" if name == "interface_version" else value
        rows.append(f"| {what} | {value} | `{name}` |")
    return "\n".join(rows)


def _statuses() -> str:
    rows = ["| number | name | meaning | what we do |", "| --- | --- | --- | --- |"]
    bind = _bind()
    for status in sorted({int(status) for status in CommandStatus} - {0}):
        if status in policy.TABLE:
            action = policy.action_for(bind, status)
            meaning = status_description(status).replace("|", "\\|")
            rows.append(f"| 0x{status:08X} | {status_name(status)} | {meaning} | **{action.value}** |")
    rows.append(
        "| 0x00000400 to 0x000004FF | yours | as your document says | **fail**, until the bind's `status_actions` says otherwise |"
    )
    rows.append("| any other | | unknown to the standard | **alert**, likewise |")
    return "\n".join(rows)


def _actions() -> str:
    return "\n".join(f"- **{action.value}**: {words}." for action, words in ACTIONS.items())


def _written_tlvs() -> str:
    rows = ["| TLV | tag | on | when |", "| --- | --- | --- | --- |"]
    for tag, pdu, when in (
        (TlvTag.USER_MESSAGE_REFERENCE, "submit_sm", "always, unless `send_user_message_reference: false`"),
        (TlvTag.SAR_MSG_REF_NUM, "submit_sm", "`long_message: sar`"),
        (TlvTag.SAR_TOTAL_SEGMENTS, "submit_sm", "`long_message: sar`"),
        (TlvTag.SAR_SEGMENT_SEQNUM, "submit_sm", "`long_message: sar`"),
        (TlvTag.MESSAGE_PAYLOAD, "submit_sm", "`long_message: payload`"),
    ):
        rows.append(f"| {STANDARD_TLVS.name(tag)} | 0x{tag:04X} | {pdu} | {when} |")
    rows.append("| yours, by name | any | submit_sm | `vendor_tlvs` and the bind's `tlvs`, or the charging profile |")
    return "\n".join(rows)


def _read_tlvs() -> str:
    rows = ["| TLV | tag | on | what for |", "| --- | --- | --- | --- |"]
    for tag, pdu, why in (
        (TlvTag.SC_INTERFACE_VERSION, "bind_*_resp", "below 0x34 we send no TLV; absent: we take our own version"),
        (TlvTag.RECEIPTED_MESSAGE_ID, "receipts", "which message; wins over the text unless `receipts.prefer: text`"),
        (TlvTag.MESSAGE_STATE, "receipts", "its state; likewise"),
        (TlvTag.NETWORK_ERROR_CODE, "receipts", "shown to our engineers"),
        (TlvTag.USER_MESSAGE_REFERENCE, "receipts", "finds a message whose submit_sm_resp was lost"),
        (TlvTag.MESSAGE_PAYLOAD, "deliver_sm, data_sm", "in place of short_message"),
        (TlvTag.SAR_MSG_REF_NUM, "deliver_sm", "long queries, with sar_total_segments and sar_segment_seqnum"),
        (TlvTag.CONGESTION_STATE, "any response (5.0)", "from 90 on we slow down, at 100 we pause"),
    ):
        rows.append(f"| {STANDARD_TLVS.name(tag)} | 0x{tag:04X} | {pdu} | {why} |")
    rows.append("| any other | | any | kept, and ignored; unknown, repeated or empty ones do no harm |")
    return "\n".join(rows)


def _payload_head() -> str:
    [pdu] = _submits(_message(LONG, 2), _bind(long_message="payload"))
    return annotated(pdu)


def _sar() -> str:
    pdu = _submits(_message(LONG, 2), _bind(long_message="sar"))[1]
    return annotated(pdu)


def _version() -> Tlv:
    return make_tlv(TlvTag.SC_INTERFACE_VERSION, 0x34)


PLACES: dict[str, Callable[[], str]] = {
    "parameters": _parameters,
    "bind": lambda: annotated(BindTransceiver(1, 0, "motcua", "secret08", "", 0x34)),
    "bind_resp": lambda: annotated(BindTransceiverResp(1, 0, "SMSC", (_version(),))),
    "enquire_link": lambda: annotated(EnquireLink(2)) + "\n" + annotated(EnquireLinkResp(2)),
    "unbind": lambda: annotated(Unbind(3)) + "\n" + annotated(UnbindResp(3)),
    "submit": lambda: annotated(_submits(_message(NOTICE), _bind())[0]),
    "submit_resp": lambda: annotated(SubmitSmResp(2, 0, "3f6a9c1e")),
    "submit_refused": lambda: annotated(SubmitSmResp(2, int(CommandStatus.ESME_RTHROTTLED))),
    "submit_udh8": lambda: annotated(_submits(_message(LONG, 2), _bind())[1]),
    "submit_udh16": lambda: annotated(_submits(_message(LONG, 2), _bind(long_message="udh16"))[1]),
    "submit_sar": _sar,
    "submit_payload": _payload_head,
    "submit_ucs2": lambda: annotated(_submits(_message(ACCENTED, 1, "ucs2"), _bind())[0]),
    "receipt": lambda: annotated(_receipt()),
    "receipt_resp": lambda: annotated(make_response(_receipt())),
    "query": lambda: annotated(_query()),
    "query_resp": lambda: annotated(make_response(_query())),
    "query_later": lambda: annotated(make_response(_query(), CommandStatus.ESME_RX_T_APPN)),
    "reply": lambda: annotated(_reply()),
    "nack": lambda: annotated(GenericNack(77, int(CommandStatus.ESME_RINVCMDID))),
    "silence": lambda: f"{_bind().enquire_link_interval_s:.0f}",
    "timeout": lambda: f"{_bind().response_timeout_s:.0f}",
    "statuses": _statuses,
    "actions": _actions,
    "written_tlvs": _written_tlvs,
    "read_tlvs": _read_tlvs,
}


if __name__ == "__main__":
    main()
