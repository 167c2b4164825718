"""Charging sections that would cost citizens money are refused at the start, with path and remedy."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.mo.charging.validate import charging_faults, charging_warnings
from gateway.settings import parse_settings

ROOT = Path(__file__).resolve().parents[3]


def paths(profile: dict[str, Any], bind: dict[str, Any] | None = None, **charging: Any) -> list[str]:
    values = {
        "operators": {
            "one": {
                "charging": "p",
                "binds": [{"name": "one-1", "host": "127.0.0.1", "system_id": "m", **(bind or {})}],
            }
        },
        "charging": {"profiles": {"p": profile}, **charging},
    }
    faults = charging_faults(parse_settings(values))
    assert all(fault.remedy for fault in faults)
    return [fault.path for fault in faults]


VENDOR = {"tag": 0x1401}
OWN_REFERENCE = {"send_user_message_reference": False}


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"decision_tlv": VENDOR, "link_tlv": {"tag": 0x3FFF}},
        {"decision_service_type": True},
        {"decision_tlv": {"tag": 0x0202, "type": "octets", "prefix": "A0"}},
        {"decision_tlv": {"tag": 0x060B, "type": "octets"}},
        {"decision_tlv": {"tag": 0x1401, "type": "integer"}, "outcome_statuses": {0x0401: "insufficient_balance"}},
        {"link_tlv": {"tag": 0x001E}},
    ],
)
def test_sound_profiles(profile: dict[str, Any]) -> None:
    assert paths(profile) == []


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        ({"decision_tlv": {"tag": 0x0424, "type": "octets"}}, "charging.profiles.p.decision_tlv.tag"),
        ({"link_tlv": {"tag": 0x020C}}, "charging.profiles.p.link_tlv.tag"),
        ({"link_tlv": {"tag": 0x0699}}, "charging.profiles.p.link_tlv.tag"),
        ({"decision_tlv": VENDOR, "link_tlv": VENDOR}, "charging.profiles.p.link_tlv.tag"),
        ({"decision_tlv": {"tag": 0x0202}}, "charging.profiles.p.decision_tlv.type"),
        # one octet, where a subaddress has two at least: its type and its value (SMPP 3.4 5.3.2.15)
        ({"decision_tlv": {"tag": 0x0202, "type": "octets"}}, "charging.profiles.p.decision_values.charge"),
        ({"decision_tlv": VENDOR, "decision_values": {"charge": "1"}}, "charging.profiles.p.decision_values.no_charge"),
        (
            {"decision_tlv": VENDOR, "charged_on": "mo", "decision_values": {"charge": "1", "no_charge": "0"}},
            "charging.profiles.p.decision_values.refund",
        ),
        (
            {"decision_service_type": True, "decision_values": {"charge": "CHARGE", "no_charge": "FREE"}},
            "charging.profiles.p.decision_values.charge",
        ),
        (
            {
                "decision_tlv": {"tag": 0x1401, "type": "integer"},
                "decision_values": {"charge": "256", "no_charge": "0"},
            },
            "charging.profiles.p.decision_values.charge",
        ),
        ({"outcome_statuses": {0x58: "not_charged"}}, "charging.profiles.p.outcome_statuses.88"),
        ({"outcome_statuses": {-1: "not_charged"}}, "charging.profiles.p.outcome_statuses.-1"),
    ],
)
def test_faults_name_their_path(profile: dict[str, Any], path: str) -> None:
    found = paths(profile)
    assert found[:1] == [path]


def test_profiles_and_binds_must_fit_each_other() -> None:
    reference = {"link_tlv": {"tag": 0x0204, "type": "integer", "octets": 2}}
    assert paths(reference) == ["operators.one.binds.0.send_user_message_reference"]
    assert paths(reference, OWN_REFERENCE) == []
    assert paths({"link_tlv": {"tag": 0x0204, "type": "integer"}}, OWN_REFERENCE) == [
        "charging.profiles.p.link_tlv.octets"
    ]
    assert paths({"decision_tlv": VENDOR}, {"interface_version": 0x33}) == ["operators.one.binds.0.interface_version"]
    assert paths({"decision_service_type": True}, {"interface_version": 0x33}) == []


def test_two_prices_of_one_day_are_refused() -> None:
    tariff = [
        {"prefix": "80", "from": "2012-01-01", "amount_vnd": 1000},
        {"prefix": "80", "from": "2012-01-01", "amount_vnd": 1500},
    ]
    assert paths({}, tariff=tariff) == ["charging.tariff.1"]


def test_a_shortcode_without_a_price_is_a_warning() -> None:
    values = {
        "operators": {"one": {"binds": [{"name": "one-1", "host": "127.0.0.1", "system_id": "m"}]}},
        "queries": {"services": [{"shortcodes": ["8083", "9029"]}]},
    }
    [warning] = charging_warnings(parse_settings(values), datetime(2026, 3, 5, tzinfo=UTC))
    assert "9029" in warning


def test_the_sample_configuration_has_no_fault() -> None:
    sample = yaml.safe_load((ROOT / "config" / "gateway.yaml").read_text(encoding="utf-8"))
    for operator in sample["operators"].values():
        for bind in operator["binds"]:
            bind["password"] = "secret1"
    sample["sources"] = {}
    assert charging_faults(parse_settings(sample)) == []


def test_the_guides_examples_are_configurations() -> None:
    page = (ROOT / "docs" / "charging.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for text in examples:
        values = yaml.safe_load(text)
        for name, operator in values.setdefault("operators", {"one": {}}).items():
            operator["binds"] = [
                {"name": name, "host": "h", "system_id": "s", "send_user_message_reference": False},
            ]
        assert charging_faults(parse_settings(values)) == []


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        ({"outcome_tlv": {"tag": 0x1410}}, "outcome_tlv_values"),
        ({"outcome_tlv_values": {"1": "charged"}}, "outcome_tlv"),
        ({"outcome_network_errors": {"x": "charged"}}, "outcome_network_errors.x"),
        ({"outcome_network_errors": {"3:": "charged"}}, "outcome_network_errors.3:"),
    ],
)
def test_outcomes_that_cannot_be_read(profile: dict[str, Any], path: str) -> None:
    bind = {"name": "b", "host": "h", "system_id": "s"}
    settings = parse_settings(
        {"operators": {"one": {"charging": "p", "binds": [bind]}}, "charging": {"profiles": {"p": profile}}}
    )
    assert [fault.path for fault in charging_faults(settings)] == [f"charging.profiles.p.{path}"]


def test_every_shipped_profile_is_in_order_under_its_name() -> None:
    for name in ("none", "service_type", "tlv", "subaddress", "smpp5-billing"):
        bind = {"name": "b", "host": "h", "system_id": "s"}
        settings = parse_settings({"operators": {"one": {"charging": name, "binds": [bind]}}})
        assert charging_faults(settings) == []
        assert name in settings.charging.profiles
