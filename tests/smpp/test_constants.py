"""The numbers: against smpplib's, and complete where smpplib has none."""

from __future__ import annotations

import pytest
from smpplib import command_codes
from smpplib import consts as smpplib_consts

from gateway.smpp import constants
from gateway.smpp.constants import CommandId, CommandStatus, MessageStateCode, Npi, TlvTag, Ton


def test_every_status_of_smpplib_has_its_number_and_name() -> None:
    theirs = {name.removeprefix("SMPP_"): value for name, value in vars(smpplib_consts).items() if "_ESME_" in name}
    assert len(theirs) > 40
    ours = {name: member.value for name, member in CommandStatus.__members__.items()}
    assert theirs.items() <= ours.items()


def test_smpp_5_statuses_are_complete() -> None:
    assert {status for status in CommandStatus if status >= 0x100} == set(range(0x0100, 0x0113))


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (CommandStatus.ESME_RINVTLVSTREAM, CommandStatus.ESME_RINVOPTPARSTREAM),
        (CommandStatus.ESME_RTLVNOTALLWD, CommandStatus.ESME_ROPTPARNOTALLWD),
        (CommandStatus.ESME_RINVTLVLEN, CommandStatus.ESME_RINVPARLEN),
        (CommandStatus.ESME_RMISSINGTLV, CommandStatus.ESME_RMISSINGOPTPARAM),
        (CommandStatus.ESME_RINVTLVVAL, CommandStatus.ESME_RINVOPTPARAMVAL),
    ],
)
def test_names_of_smpp_5_are_the_same_statuses(new: CommandStatus, old: CommandStatus) -> None:
    assert new is old


def test_every_command_of_smpplib_has_its_number() -> None:
    ours = {command.name.lower(): command.value for command in CommandId}
    assert command_codes.commands.items() <= ours.items()
    assert len(ours) == 33


def test_every_tlv_of_smpplib_has_its_tag() -> None:
    ours = {tag.name.lower(): tag.value for tag in TlvTag}
    assert smpplib_consts.OPTIONAL_PARAMS.items() <= ours.items()


def test_message_states_ton_and_npi_agree_with_smpplib() -> None:
    states = {
        name.removeprefix("SMPP_MESSAGE_STATE_"): value
        for name, value in vars(smpplib_consts).items()
        if name.startswith("SMPP_MESSAGE_STATE_")
    }
    assert states.items() <= {state.name: state.value for state in MessageStateCode}.items()
    assert {v for n, v in vars(smpplib_consts).items() if n.startswith("SMPP_TON_")} == set(Ton)
    assert {v for n, v in vars(smpplib_consts).items() if n.startswith("SMPP_NPI_")} == set(Npi)


@pytest.mark.parametrize("status", list(CommandStatus))
def test_every_status_is_described(status: CommandStatus) -> None:
    words = constants.status_description(status)
    assert words
    assert "Not Set" not in words
    assert "operator's documents" not in words


@pytest.mark.parametrize(
    ("status", "name", "words"),
    [
        (0x58, "ESME_RTHROTTLED", "Throttling"),
        (0x07, "ESME_RINVREGDLVFLG", "Registered Delivery"),
        (0x0112, "ESME_RINVBCASTCHANIND", "Broadcast Channel"),
        (0xC0, "ESME_RINVOPTPARSTREAM", "optional part"),
        (0x0412, "0x00000412", "vendor"),
        (0xFFFFFFFF, "0xFFFFFFFF", "Reserved"),
    ],
)
def test_a_status_is_named_whatever_its_number(status: int, name: str, words: str) -> None:
    assert constants.status_name(status) == name
    assert words in constants.status_description(status)


def test_a_command_is_named_whatever_its_number() -> None:
    assert constants.command_name(4) == "submit_sm"
    assert constants.command_name(0x80000004) == "submit_sm_resp"
    assert constants.command_name(0x00010203) == "0x00010203"
