"""A bind's own TLVs: named in the configuration, written into every submit_sm."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from messages import NOW

from gateway.model import ClaimedMessage, MessageKind
from gateway.mt.extra_tlvs import extra_tlvs
from gateway.mt.submit import make_submit, segments_of
from gateway.settings import BindSettings, ConfigFaults, parse_settings
from gateway.smpp.pdu import SubmitSm, Tlv

MESSAGE = ClaimedMessage(
    42,
    MessageKind.RESULT_READY,
    "Ho so da co ket qua",
    "gsm7",
    1,
    "MotcuaSMS",
    "84905123456",
    "one",
    1,
    False,
    (),
    None,
    None,
    None,
)
VENDOR = [
    {"name": "campaign", "tag": 0x1401, "type": "cstring", "pdus": ["submit_sm"]},
    {"name": "content_class", "tag": 0x1500, "type": "integer", "octets": 2},
    {"name": "mo_ticket", "tag": 0x1402, "type": "cstring", "pdus": ["deliver_sm"]},
]


def configuration(tlvs: dict[str, Any], **more: Any) -> dict[str, Any]:
    bind = {"name": "b", "host": "h", "system_id": "s", "tlvs": tlvs}
    return {"vendor_tlvs": deepcopy(VENDOR), "operators": {"one": {"binds": [bind]}}, **more}


def bind_with(tlvs: dict[str, Any]) -> BindSettings:
    return parse_settings(configuration(tlvs)).operators["one"].binds[0]


def submit(bind: BindSettings, tlvs_allowed: bool = True) -> SubmitSm:
    [piece] = segments_of(MESSAGE, bind, "udh8")
    return make_submit(MESSAGE, 1, piece, bind, tlvs_allowed, NOW)


def test_c14_vendor_and_standard_tlvs_by_name() -> None:
    bind = bind_with(
        {"campaign": "motcua-{kind}", "content_class": 7, "billing_identification": "0xA1B2", "language_indicator": 0}
    )
    assert submit(bind).tlvs[:4] == (
        Tlv(0x1401, b"motcua-result_ready\0"),
        Tlv(0x1500, b"\0\7"),
        Tlv(0x060B, b"\xa1\xb2"),
        Tlv(0x020D, b"\0"),
    )


def test_c14_values_of_the_message() -> None:
    bind = bind_with({"campaign": "{message}/{part}/{parts}/{source}/{destination}"})
    assert extra_tlvs(bind, MESSAGE, 1) == (Tlv(0x1401, b"42/1/1/MotcuaSMS/84905123456\0"),)


def test_c14_written_in_full_without_a_name() -> None:
    bind = bind_with({"whatever": {"tag": 0x3FFF, "type": "octets", "prefix": "A0", "value": "x"}})
    assert extra_tlvs(bind, MESSAGE, 1) == (Tlv(0x3FFF, b"\xa0x"),)


def test_c1_none_of_them_to_a_peer_before_34() -> None:
    assert submit(bind_with({"campaign": "x"}), tlvs_allowed=False).tlvs == ()


def test_a_value_that_does_not_fit_after_all_is_left_out_and_the_message_goes() -> None:
    bind = bind_with({"content_class": "{source}", "campaign": "x"})
    assert extra_tlvs(bind, MESSAGE, 1) == (Tlv(0x1401, b"x\0"),)


@pytest.mark.parametrize(
    ("tlvs", "words"),
    [
        ({"campain": "x"}, "tlvs.campain: there is no TLV of this name"),
        ({"campaign": "{code}"}, "there is no {code}"),
        ({"content_class": "70000"}, "does not fit an integer of 2"),
        ({"campaign": "đ"}, "is not Latin-1"),
        ({"mo_ticket": "x"}, "vendor_tlvs says that mo_ticket is not for submit_sm"),
    ],
)
def test_faults_of_the_configuration(tlvs: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigFaults) as caught:
        parse_settings(configuration(tlvs))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name": "campaign", "tag": 0x1777}, "used twice: campaign"),
        ({"name": "message_payload", "tag": 0x1777}, "is a TLV of the standard"),
        ({"name": "x", "tag": 0x1777, "pdus": ["submit"]}, "there is no PDU 'submit'"),
    ],
)
def test_faults_of_vendor_tlvs(row: dict[str, Any], words: str) -> None:
    values = configuration({})
    values["vendor_tlvs"].append(row)
    with pytest.raises(ConfigFaults) as caught:
        parse_settings(values)
    assert words in str(caught.value)


def test_charging_profiles_name_them_too() -> None:
    profile = {
        "decision_tlv": "campaign",
        "link_tlv": {"name": "source_subaddress", "prefix": "A0"},
        "mo_id_tlv": "mo_ticket",
    }
    settings = parse_settings(configuration({}, charging={"profiles": {"p": profile}}))
    found = settings.charging.profiles["p"]
    assert found.decision_tlv is not None
    assert found.link_tlv is not None
    assert found.mo_id_tlv is not None
    assert (found.decision_tlv.tag, found.decision_tlv.type) == (0x1401, "cstring")
    assert (found.link_tlv.tag, found.link_tlv.type, found.link_tlv.prefix) == (0x0202, "octets", "A0")
    assert found.mo_id_tlv.tag == 0x1402


def test_a_charging_profile_with_a_name_that_nobody_knows() -> None:
    with pytest.raises(ConfigFaults) as caught:
        parse_settings(configuration({}, charging={"profiles": {"p": {"decision_tlv": "price"}}}))
    assert "charging.profiles.p.decision_tlv: there is no TLV 'price'" in str(caught.value)
