"""The status policy, the router and the submit_sm that a message becomes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import NOW
from mt_rig import operator_settings

from gateway.errors import RoutingError
from gateway.model import ClaimedMessage, MessageKind
from gateway.mt import policy
from gateway.mt.receipts import candidate_keys, international
from gateway.mt.router import Router
from gateway.mt.submit import long_form, make_submit, segments_of
from gateway.settings import BindSettings, StatusAction
from gateway.smpp.constants import CommandStatus
from gateway.smpp.receipt import id_keys
from gateway.smpp.text import count_parts
from gateway.store.batch import id_key


def bind(**changes: Any) -> BindSettings:
    return operator_settings(changes).binds[0]


def claimed(text: str = "Ho so da co ket qua", **changes: Any) -> ClaimedMessage:
    values: dict[str, Any] = {
        "id": 70001,
        "kind": MessageKind.RESULT_READY,
        "text": text,
        "coding": "gsm7",
        "parts": 1,
        "source_addr": "MotcuaSMS",
        "destination_addr": "84905123456",
        "route": "viettel",
        "attempts": 1,
        "possible_duplicate": False,
        "parts_done": (),
        "mo_id": None,
        "charge_decision": None,
        "expires_at": None,
    }
    return ClaimedMessage(**{**values, **changes})


# -- policy ------------------------------------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_every_status_has_an_action(status: int) -> None:
    assert isinstance(policy.action_for(bind(), status), StatusAction)


def test_classes_of_statuses() -> None:
    assert policy.action_for(bind(), CommandStatus.ESME_RTHROTTLED) is StatusAction.THROTTLE
    assert policy.action_for(bind(), CommandStatus.ESME_RMSGQFUL) is StatusAction.THROTTLE
    assert {policy.action_for(bind(), status) for status in range(0x400, 0x500)} == {StatusAction.FAIL}
    assert policy.action_for(bind(), 0x3FF) is StatusAction.ALERT
    assert policy.action_for(bind(), 0x500) is StatusAction.ALERT
    own = bind(status_actions={0x401: "throttle", 0x58: "park"})
    assert policy.action_for(own, 0x401) is StatusAction.THROTTLE
    assert policy.action_for(own, 0x58) is StatusAction.PARK


def test_every_defined_refusal_is_in_the_table_or_cannot_answer_a_submit() -> None:
    """A number of the standard that is not in the table would be taken for an undefined one."""
    elsewhere = {"ESME_ROK", "ESME_RALYBND", "ESME_RINVMSGID", "ESME_RCANCELFAIL", "ESME_RREPLACEFAIL"}
    elsewhere |= {"ESME_RQUERYFAIL", "ESME_RINVNUMMSGS", "ESME_RINVDLNAME", "ESME_RINVDESTFLAG", "ESME_RINVSUBREP"}
    missing = {status.name for status in CommandStatus if status not in policy.TABLE} - elsewhere
    assert not {name for name in missing if "BCAST" not in name and "SUBUNIT" not in name}


def test_delays_double_up_to_an_hour() -> None:
    assert [policy.delay_s(bind(retry_delay_s=60), n) for n in (1, 2, 3, 6, 7, 50)] == [60, 120, 240, 1920, 3600, 3600]
    assert policy.delay_s(bind(retry_delay_s=7200), 9) == 7200


# -- router ------------------------------------------------------------------------------------------------------------


def router(**operators: Any) -> Router:
    return Router({name: operator_settings(**values) for name, values in operators.items()})


def test_numbers_go_to_their_carrier() -> None:
    routes = router(viettel={"carriers": ["Viettel"]}, vina={"carriers": ["VinaPhone", "Itel"]})
    assert routes.route("viettel") == "viettel"
    assert routes.route("Itel") == "vina"
    with pytest.raises(RoutingError, match="no operator takes numbers of 'MobiFone'"):
        routes.route("MobiFone")


def test_ported_numbers_follow_their_owner() -> None:
    routes = router(viettel={"carriers": ["Viettel"]}, vina={"carriers": ["VinaPhone"]})
    assert routes.route("Viettel", ported_to="vina") == "vina"
    assert routes.route("Viettel", ported_to="an operator that is gone") == "viettel"


def test_the_default_takes_the_rest_and_a_single_operator_everything() -> None:
    assert router(a={"carriers": ["Viettel"]}, b={"default": True}).route(None) == "b"
    assert router(a={"carriers": ["Viettel"]}).route("MobiFone") == "a"


# -- submit_sm ---------------------------------------------------------------------------------------------------------


def submit(message: ClaimedMessage, own: BindSettings, tlvs: bool = True) -> Any:
    form = long_form(own, message, tlvs)
    pieces = segments_of(message, own, form)
    return [make_submit(message, n, piece, own, tlvs, NOW) for n, piece in enumerate(pieces, start=1)]


def test_fields_of_a_notice() -> None:
    (pdu,) = submit(claimed(), bind())
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == ("MotcuaSMS", 5, 0)
    assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("84905123456", 1, 1)
    assert (pdu.registered_delivery, pdu.data_coding, pdu.esm_class) == (1, 0, 0)
    assert (pdu.short_message, pdu.validity_period) == (b"Ho so da co ket qua", "")


def test_fields_of_a_reply_and_of_a_bind() -> None:
    own = bind(source_ton_shortcode=6, source_npi_shortcode=1, dest_ton=0, dest_npi=8, service_type="VMA")
    (pdu,) = submit(claimed(source_addr="8083"), own)
    assert (pdu.source_addr_ton, pdu.source_addr_npi) == (6, 1)
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.service_type) == (0, 8, "VMA")


def test_vietnamese_text_is_utf_16() -> None:
    (pdu,) = submit(claimed("Hồ sơ đã có kết quả", coding="ucs2"), bind())
    assert (pdu.data_coding, pdu.short_message.decode("utf-16-be")) == (8, "Hồ sơ đã có kết quả")


def test_validity_period_when_asked_for() -> None:
    own = bind(send_validity_period=True)
    left = timedelta(days=32, hours=3, minutes=4, seconds=5)
    (pdu,) = submit(claimed(expires_at=NOW + left), own)
    assert pdu.validity_period == "000102030405000R"
    (pdu,) = submit(claimed(expires_at=NOW - left), own)
    assert pdu.validity_period == "000000000100000R", "never zero: the SMSC would take it for its default"
    (pdu,) = submit(claimed(), own)
    assert pdu.validity_period == ""


def test_a_longer_header_than_was_counted_for_falls_back() -> None:
    """306 septets are two parts with an 8-bit reference and three with a 16-bit one: two were paid for."""
    text = "x" * 306
    assert (count_parts(text, "gsm7"), count_parts(text, "gsm7", "udh16")) == (2, 3)
    assert len(submit(claimed(text, parts=2), bind(long_message="udh16"))) == 2


def test_a_payload_is_not_used_for_what_is_left_of_a_message() -> None:
    message = claimed("x" * 300, parts=2, parts_done=(1,))
    assert len(submit(message, bind(long_message="payload"))) == 2
    assert len(submit(message._replace(parts_done=()), bind(long_message="payload"))) == 1


# -- receipts' ids -----------------------------------------------------------------------------------------------------


numbers = st.one_of(st.integers(min_value=0, max_value=40), st.integers(min_value=2**63 - 2, max_value=2**64 + 2))
spelt = st.one_of(
    st.builds(
        lambda number, base, zeros, upper: (
            ("0" * zeros + format(number, base)).upper() if upper else "0" * zeros + format(number, base)
        ),
        numbers,
        st.sampled_from(["d", "x"]),
        st.integers(min_value=0, max_value=3),
        st.booleans(),
    ),
    st.text(alphabet="09afAF-{}x ", max_size=6),
)


@settings(max_examples=500)
@given(st.sampled_from(["as_given", "response_hex", "receipt_hex", "either"]), spelt, spelt)
def test_one_stored_key_is_as_good_as_all_keys_of_the_rules(id_base: Any, response: str, receipt: str) -> None:
    """The stored spelling is among the receipt's spellings exactly when the rules' keys of the two ids meet."""
    by_rules = bool(set(id_keys(response, id_base, "response")) & set(id_keys(receipt, id_base, "receipt")))
    assert (id_key(response) in candidate_keys(receipt, id_base)) is by_rules


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("84905123456", "84905123456"),
        ("+84905123456", "84905123456"),
        ("0905123456", "84905123456"),
        ("0084905123456", "84905123456"),
        ("8083", "8083"),
        ("", ""),
    ],
)
def test_handsets_of_receipts(address: str, expected: str) -> None:
    assert international(address) == expected
