"""Habits of known SMSCs as defaults beneath an account."""

from __future__ import annotations

import pytest
from simulator_process import run
from simulator_rig import Rig

from gateway.smpp.receipt import parse_receipt
from simulator.config_file import parse_settings
from simulator.errors import ConfigFaults
from simulator.presets import overlay, presets
from simulator.settings import AccountSettings, ReceiptSettings


@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_is_an_account_that_works(name: str) -> None:
    account = {**presets()[name].account, "charging": None, "latency": 0, "disturbances": {}}
    rig = Rig(**{**account, "prefixes": [], "receipts": {**account["receipts"], "lost": 0, "delay": 0.1}})
    mode = rig.account.settings.modes
    esmes = [rig.bound(**_bind(kind)) for kind in (mode if len(mode) == 2 else ("transceiver",))]
    answer = esmes[0].submitted()
    rig.advance(10)
    receipts = [parsed for esme in esmes for parsed in map(parse_receipt, esme.delivered()) if parsed is not None]
    assert answer.command_status == 0
    assert any(receipt.stat for receipt in receipts)


def _bind(mode: str) -> dict[str, object]:
    from gateway.smpp import pdu

    classes = {"transmitter": pdu.BindTransmitter, "receiver": pdu.BindReceiver, "transceiver": pdu.BindTransceiver}
    return {"pdu_class": classes[mode]}


def test_what_the_account_says_goes_before_its_preset() -> None:
    values = {
        "accounts": {
            "a": {
                "preset": "vinaphone",
                "tps": 5,
                "receipts": {"form": "both", "weights": {"DELIVRD": 1}},
                "charging": None,
            }
        }
    }
    account = parse_settings(values).accounts["a"]
    assert (account.preset, account.tps, account.charging) == ("vinaphone", 5, None)
    assert (account.receipts.form, account.receipts.id_form) == ("both", "decimal")
    assert account.receipts.weights == {"DELIVRD": 1}
    assert account.message_ids.form == "hex"


def test_sections_are_joined_and_tables_replaced() -> None:
    below = {"receipts": {"form": "tlv", "weights": {"UNDELIV": 1}, "delay": {"uniform": [1, 2]}}, "prefixes": ["84"]}
    above = {"receipts": {"weights": {"DELIVRD": 1}, "delay": {"fixed": 3}}, "prefixes": []}
    assert overlay(AccountSettings, below, above) == {
        "receipts": {"form": "tlv", "weights": {"DELIVRD": 1}, "delay": {"fixed": 3}},
        "prefixes": [],
    }
    assert ReceiptSettings.model_validate(overlay(AccountSettings, below, above)["receipts"]).delay.fixed == 3


def test_a_preset_that_is_not_there() -> None:
    with pytest.raises(
        ConfigFaults, match=r"accounts\.a: there is no preset 'nokia'; it is one of: viettel, vinaphone"
    ):
        parse_settings({"accounts": {"a": {"preset": "nokia"}}})


def test_the_same_fault_is_found_in_a_preset_and_beside_it() -> None:
    with pytest.raises(ConfigFaults, match=r"accounts\.a\.receipts\.fom: unknown key"):
        parse_settings({"accounts": {"a": {"preset": "viettel", "receipts": {"fom": 1}}}})


def test_the_command_lists_them_and_shows_one() -> None:
    listed = run("presets").stdout
    for name in presets():
        assert name in listed
    shown = run("presets", "mobifone").stdout
    assert "number_form: plus" in shown
    assert run("presets", "nokia").returncode == 1
