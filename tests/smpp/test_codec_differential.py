"""Our codec against smpplib's, both ways, over everything smpplib can say.

What smpplib gets wrong is left out of the drawn values, each with its reason here, so that a new smpplib without the
fault, or with another one, is noticed by the tests at the end.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdu_strategies import CLASS_OF, ROW_OF, c_octet_strings, octets, words
from smpplib import command_codes, exceptions, ptypes
from smpplib import consts as smpplib_consts
from smpplib import smpp as smpplib_smpp

from gateway.smpp.constants import CommandId
from gateway.smpp.errors import RecoverablePduError
from gateway.smpp.fields import Kind, TlvRow
from gateway.smpp.pdu import DeliverSm, Pdu, SubmitSm, Tlv, decode, encode, make_tlv
from gateway.smpp.tlv import STANDARD_TLVS

# smpplib names more commands than it has classes for.
_NO_CLASS = {
    "outbind",
    "replace_sm",
    "replace_sm_resp",
    "cancel_sm",
    "cancel_sm_resp",
    "submit_multi",
    "submit_multi_resp",
}
COMMANDS = sorted(set(command_codes.commands) - _NO_CLASS)

# (PDU, TLV) that smpplib gives a size or a type other than the standard's.
_WRONG_TLVS = {
    ("submit_sm", "source_addr_subunit"),  # two octets, the standard says one
    ("data_sm", "source_telematics_id"),  # two octets, the standard says one
    ("data_sm_resp", "delivery_failure_reason"),  # a string, the standard says one octet
    ("data_sm_resp", "network_error_code"),  # a string that ends with NUL, the standard says three octets
}
# Octets by the standard, C-octet strings in smpplib: it cuts the last octet off when it reads one.
_WRONG_TYPES = {"source_subaddress", "dest_subaddress", "callback_num_atag"}
_NEVER_ENCODED = {"alert_on_message_delivery"}  # a type of its own that neither its encoder nor its decoder knows


def empty(command: str) -> Any:
    return smpplib_smpp.make_pdu(command, sequence=0)


def tlv_rows(command: str) -> list[TlvRow]:
    """The TLVs that smpplib knows for this PDU and sees as the standard does."""
    pdu = empty(command)
    rows = []
    for name in pdu.params_order:
        if not pdu.field_is_optional(name) or (command, name) in _WRONG_TLVS or name in _WRONG_TYPES | _NEVER_ENCODED:
            continue
        row = STANDARD_TLVS.by_name(name)
        assert row is not None, name
        kinds = {int: Kind.INTEGER, str: Kind.C_OCTET_STRING, ptypes.ostr: Kind.OCTET_STRING}
        param = pdu.params[name]
        # Two TLVs are integers of one or two octets in smpplib, and octets in the standard: the same on the wire.
        if row.kind is not Kind.OCTET_STRING:
            assert kinds[param.type] is row.kind, (command, name)
        if row.kind is Kind.INTEGER:
            assert param.size == row.max_octets, (command, name)
        rows.append(row)
    return rows


def ascii_strings(max_octets: int) -> st.SearchStrategy[str]:
    """smpplib counts the characters of a string TLV but sends its UTF-8, so only ASCII has the right length."""
    return st.text(st.characters(min_codepoint=1, max_codepoint=0x7F), min_size=1, max_size=max_octets - 1)


def tlv_values(command: str, row: TlvRow) -> st.SearchStrategy[Any]:
    """Values as smpplib takes them. It leaves out an empty string or empty octets altogether, so none is drawn."""
    param = empty(command).params[row.name]
    if param.type is int:
        return st.integers(0, (1 << 8 * param.size) - 1)
    if param.type is str:
        return ascii_strings(row.max_octets)
    return st.binary(min_size=max(1, row.min_octets), max_size=min(row.max_octets, 300))


def on_the_wire(row: TlvRow, value: Any) -> bytes:
    """The octets of a value; an integer for a TLV of octets is one of smpplib's two-octet integers or shorter."""
    if isinstance(value, int) and row.kind is Kind.OCTET_STRING:
        return value.to_bytes(row.max_octets if row.name == "its_session_info" else 1, "big")
    return make_tlv(row.tag, value).value


@st.composite
def conversations(draw: st.DrawFn, command: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Mandatory fields and TLVs of one PDU, as values that both sides can take."""
    row = ROW_OF[CommandId[command.upper()]]
    fields: dict[str, Any] = {}
    for field in row.fields:
        if field.kind is Kind.INTEGER:
            fields[field.name] = draw(octets)
        elif field.kind is Kind.C_OCTET_STRING:
            # smpplib cuts what it finds too long: a password at 8 characters, the addresses of data_sm and
            # alert_notification at 20, where the standard allows 64.
            longest = min(field.max_octets, empty(command).params[field.name].max)
            strings = c_octet_strings(longest)
            if (command, field.name) == ("query_sm", "message_id"):  # it refuses to ask for no message
                strings = strings.filter(bool)
            fields[field.name] = draw(strings)
        else:
            fields[field.name] = draw(st.binary(max_size=254))
    known = tlv_rows(command)
    if fields.get("short_message"):  # smpplib refuses both at once
        known = [entry for entry in known if entry.name != "message_payload"]
    chosen = draw(st.lists(st.sampled_from(known), unique=True, max_size=4)) if known else []
    return fields, {entry.name: draw(tlv_values(command, entry)) for entry in chosen}


def our_pdu(command: str, sequence: int, status: int, fields: dict[str, Any], tlvs: dict[str, Any]) -> Pdu:
    rows = {name: STANDARD_TLVS.by_name(name) for name in tlvs}
    made = tuple(Tlv(rows[name].tag, on_the_wire(rows[name], value)) for name, value in tlvs.items())  # type: ignore[union-attr,arg-type]
    return CLASS_OF[CommandId[command.upper()]](sequence, status, **fields, tlvs=made)  # type: ignore[no-any-return]


@pytest.mark.parametrize("command", COMMANDS)
def test_smpplib_reads_what_we_write(command: str) -> None:
    @given(conversations(command), words, words)
    def law(values: tuple[dict[str, Any], dict[str, Any]], sequence: int, status: int) -> None:
        fields, tlvs = values
        theirs = smpplib_smpp.parse_pdu(encode(our_pdu(command, sequence, status, fields, tlvs)), sequence=0)
        assert (theirs.command, theirs.sequence, theirs.status) == (command, sequence, status)
        for name, value in {**fields, **tlvs}.items():
            expected = value.encode("latin-1") if isinstance(value, str) else value
            # An empty short_message at the end of a PDU is not read, and stays None.
            assert getattr(theirs, name) == expected or (name == "short_message" and expected == b""), name

    law()


@pytest.mark.parametrize("command", COMMANDS)
def test_we_read_what_smpplib_writes(command: str) -> None:
    @given(conversations(command), words, words)
    def law(values: tuple[dict[str, Any], dict[str, Any]], sequence: int, status: int) -> None:
        fields, tlvs = values
        theirs = smpplib_smpp.make_pdu(command, sequence=0, status=status, **fields, **tlvs)
        theirs.sequence = sequence  # the constructor forgets what it is given, and interface_version too
        if "interface_version" in fields:
            theirs.interface_version = fields["interface_version"]
        ours = decode(theirs.generate())
        in_its_order = {name: tlvs[name] for name in theirs.params_order if name in tlvs}
        assert ours == our_pdu(command, sequence, status, fields, in_its_order)

    law()


def test_the_comparison_covers_what_smpplib_has() -> None:
    compared = {(command, row.name) for command in COMMANDS for row in tlv_rows(command)}
    left_out = {
        (command, name)
        for command in COMMANDS
        for name in empty(command).params_order
        if name in smpplib_consts.OPTIONAL_PARAMS and (command, name) not in compared
    }
    # message_state is optional elsewhere, and mandatory in query_sm_resp.
    assert {pair for pair in left_out if pair[1] not in _WRONG_TYPES | _NEVER_ENCODED} == _WRONG_TLVS | {
        ("query_sm_resp", "message_state")
    }
    assert len(compared) > 60


def test_smpplib_raises_on_a_tlv_that_it_does_not_know_and_we_do_not() -> None:
    frame = encode(DeliverSm(1, tlvs=(Tlv(0x1401, b"x"),)))
    with pytest.raises(exceptions.UnknownCommandError):
        smpplib_smpp.parse_pdu(frame, sequence=0)
    assert decode(frame).tlvs == (Tlv(0x1401, b"x"),)


def test_smpplib_accepts_an_unterminated_string_and_we_do_not() -> None:
    body = b"\0\1\1" + b"8083"  # source_addr without its NUL, and nothing after it
    frame = (16 + len(body)).to_bytes(4, "big") + encode(SubmitSm(5))[4:16] + body
    assert smpplib_smpp.parse_pdu(frame, sequence=0).source_addr == b"808"
    with pytest.raises(RecoverablePduError):
        decode(frame)


def test_smpplib_cuts_a_long_password_and_we_do_not() -> None:
    theirs = smpplib_smpp.make_pdu("bind_transmitter", sequence=0, system_id="m", password="longer than eight")
    decoded = decode(theirs.generate())
    assert decoded._asdict()["password"] == "longer t"
    assert decode(encode(decoded._replace(password="longer than eight")))._asdict()["password"] == "longer than eight"  # type: ignore[call-arg]


def test_a_zero_of_two_octets_is_one_octet_in_a_field_of_smpplib() -> None:
    """Only its TLVs are safe from this; no mandatory field of the standard has two octets, a vendor's PDU could."""
    pdu = empty("submit_sm")
    pdu.source_port = 0
    assert pdu._generate_int("source_port") == b"\0"
    assert pdu._generate_int_tlv("source_port") == b"\2\x0a\0\2\0\0"
    assert make_tlv("source_port", 0).value == b"\0\0"
