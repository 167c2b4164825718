"""Checks the charging section where its parts meet: profiles with decisions, binds and the standard's fields.

pydantic has checked types and ranges before. A daemon with a fault here does not start: a wrong flag costs citizens money.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from gateway.clock import VIETNAM
from gateway.errors import ConfigError
from gateway.mo.charging.decisions import reachable
from gateway.mo.charging.fields import to_octets
from gateway.mo.charging.tariff import price_vnd
from gateway.settings import BindSettings, ChargingProfile, GatewaySettings, TlvField
from gateway.smpp.constants import TLV_VENDOR_FIRST, TLV_VENDOR_LAST, CommandStatus, TlvTag, status_name
from gateway.smpp.fields import Kind
from gateway.smpp.tlv import STANDARD_TLVS

#: Standard TLVs that may carry charging; the others mean something else to an SMSC.
_WRITABLE = frozenset(
    {
        TlvTag.SOURCE_SUBADDRESS,
        TlvTag.DEST_SUBADDRESS,
        TlvTag.USER_MESSAGE_REFERENCE,
        TlvTag.BILLING_IDENTIFICATION,
        TlvTag.RECEIPTED_MESSAGE_ID,
    }
)
#: The message is tried again on these, so they are no outcome.
_TRIED_AGAIN = (CommandStatus.ESME_RTHROTTLED, CommandStatus.ESME_RMSGQFUL)
_NETWORK_ERROR = re.compile(r"(?:\d{1,3}:)?\d{1,5}\Z")
_SERVICE_TYPE_CHARACTERS = 5  # SMPP 3.4 §5.2.11: six octets with the NUL
_STATUS_MAX = 0xFFFFFFFF


def charging_faults(settings: GatewaySettings) -> list[ConfigError]:
    """One error for each fault of ``charging``, with its YAML path and the remedy."""
    faults = list(_tariff_faults(settings))
    for name, profile in settings.charging.profiles.items():
        faults += _profile_faults(f"charging.profiles.{name}", profile, settings)
    for route, operator in settings.operators.items():
        profile = settings.charging.profiles.get(operator.charging, ChargingProfile())
        for number, bind in enumerate(operator.binds):
            faults += _bind_faults(f"operators.{route}.binds.{number}", bind, operator.charging, profile)
    return faults


def charging_warnings(settings: GatewaySettings, now: datetime) -> list[str]:
    """What is allowed and probably not meant: shortcodes that cost nothing by the tariff."""
    today = now.astimezone(VIETNAM).date()
    return [
        f"charging.tariff: no row covers the shortcode {shortcode} today; its queries are recorded with 0 VND"
        for service in settings.queries.services
        for shortcode in service.shortcodes
        if price_vnd(settings.charging.tariff, shortcode, today) is None
    ]


def _tariff_faults(settings: GatewaySettings) -> Iterator[ConfigError]:
    seen: set[tuple[str, object]] = set()
    for number, row in enumerate(settings.charging.tariff):
        if (row.prefix, row.start) in seen:
            yield ConfigError(
                f"charging.tariff.{number}",
                f"the prefix {row.prefix} has two prices from {row.start}",
                "Keep one of them, or give the later one its own 'from'",
            )
        seen.add((row.prefix, row.start))


def _profile_faults(path: str, profile: ChargingProfile, settings: GatewaySettings) -> Iterator[ConfigError]:
    decision, link = profile.decision_tlv, profile.link_tlv
    if decision is not None:
        yield from _tag_faults(f"{path}.decision_tlv", decision)
    if link is not None:
        yield from _tag_faults(f"{path}.link_tlv", link)
    if decision is not None and link is not None and decision.tag == link.tag:
        yield ConfigError(
            f"{path}.link_tlv.tag", f"0x{link.tag:04X} holds the decision already", "Give each a tag of its own"
        )
    if decision is not None or profile.decision_service_type:
        yield from _value_faults(path, profile, settings)
    yield from _outcome_tlv_faults(path, profile)
    for status in profile.outcome_statuses:
        if not 0 <= status <= _STATUS_MAX:
            yield ConfigError(
                f"{path}.outcome_statuses.{status}", "is no command_status", "Write a number of four octets: 0x0401"
            )
        if status in _TRIED_AGAIN:
            yield ConfigError(
                f"{path}.outcome_statuses.{status}",
                f"{status_name(status)} is no outcome: the reply is sent again",
                "Remove it",
            )


def _outcome_tlv_faults(path: str, profile: ChargingProfile) -> Iterator[ConfigError]:
    if (profile.outcome_tlv is None) != (not profile.outcome_tlv_values):
        missing = "outcome_tlv" if profile.outcome_tlv is None else "outcome_tlv_values"
        yield ConfigError(f"{path}.{missing}", "is missing beside the other one", "Write both, or neither")
    for key in profile.outcome_network_errors:
        if not _NETWORK_ERROR.match(key):
            yield ConfigError(
                f"{path}.outcome_network_errors.{key}", "is no code of a network", "Write '33', or '3:33' with its type"
            )


def _value_faults(path: str, profile: ChargingProfile, settings: GatewaySettings) -> Iterator[ConfigError]:
    for decision in sorted(reachable(settings.charging.decisions, profile)):
        here = f"{path}.decision_values.{decision.value}"
        value = profile.decision_values.get(decision)
        if value is None:
            yield ConfigError(here, "is missing, and queries may be decided so", "Add the operator's value for it")
            continue
        if profile.decision_service_type and not (value.isascii() and len(value) <= _SERVICE_TYPE_CHARACTERS):
            yield ConfigError(here, f"'{value}' does not fit service_type", "Use five ASCII characters at most")
        if profile.decision_tlv is None:
            continue
        try:
            octets = to_octets(profile.decision_tlv, value)
        except ValueError as error:
            yield ConfigError(here, str(error), "Correct the value, or the type of decision_tlv")
            continue
        row = STANDARD_TLVS.by_tag(profile.decision_tlv.tag)
        if row is not None and not row.min_octets <= len(octets) <= row.max_octets:
            yield ConfigError(
                here,
                f"makes {len(octets)} octet(s) in {row.name}, which takes {row.min_octets} to {row.max_octets}",
                "Correct 'prefix', 'octets' or the value",
            )


def _tag_faults(path: str, field: TlvField) -> Iterator[ConfigError]:
    if TLV_VENDOR_FIRST <= field.tag <= TLV_VENDOR_LAST:
        return
    name = STANDARD_TLVS.name(field.tag)
    if field.tag not in _WRITABLE:
        allowed = ", ".join(f"0x{tag:04X} {STANDARD_TLVS.name(tag)}" for tag in sorted(_WRITABLE))
        yield ConfigError(
            f"{path}.tag", f"{name} is not for charging", f"Use a vendor's tag (0x1400 to 0x3FFF) or one of {allowed}"
        )
        return
    row = STANDARD_TLVS.by_tag(field.tag)
    expected = {Kind.INTEGER: "integer", Kind.C_OCTET_STRING: "cstring"}.get(row.kind, "octets") if row else field.type
    if field.type != expected:
        yield ConfigError(f"{path}.type", f"{name} is of type {expected}", f"Write 'type: {expected}'")
    elif row is not None and field.type == "integer" and field.octets != row.max_octets:
        yield ConfigError(f"{path}.octets", f"{name} has {row.max_octets} octets", f"Write 'octets: {row.max_octets}'")


def _bind_faults(path: str, bind: BindSettings, name: str, profile: ChargingProfile) -> Iterator[ConfigError]:
    written = [field for field in (profile.decision_tlv, profile.link_tlv) if field is not None]
    if written and bind.interface_version < 0x34:
        yield ConfigError(
            f"{path}.interface_version",
            f"the charging profile '{name}' writes TLVs, which SMPP 3.3 does not have",
            "Write 0x34, or choose a profile that uses service_type",
        )
    uses_reference = any(field.tag == TlvTag.USER_MESSAGE_REFERENCE for field in written)
    if uses_reference and bind.send_user_message_reference:
        yield ConfigError(
            f"{path}.send_user_message_reference",
            f"the charging profile '{name}' writes user_message_reference itself",
            "Write 'send_user_message_reference: false'",
        )
