"""The parts of a bind's settings that few binds need: TLS, listening, traces, and optional parameters (TLVs) by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gateway.settings_base import Secret, Settings
from gateway.smpp.constants import CommandId
from gateway.smpp.fields import Kind
from gateway.smpp.tlv import STANDARD_TLVS

TlvType = Literal["integer", "cstring", "octets"]
#: What a value template of ``binds[].tlvs`` may name.
PLACEHOLDERS = ("message", "part", "parts", "source", "destination", "kind")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_COMMANDS = frozenset(command.name.lower() for command in CommandId)
_KINDS: dict[Kind, TlvType] = {Kind.INTEGER: "integer", Kind.C_OCTET_STRING: "cstring", Kind.OCTET_STRING: "octets"}


class TlsSettings(Settings):
    """TLS on this bind's connections. The files are read at each attempt, so a renewed certificate needs no restart."""

    enabled: bool = Field(True, description="false keeps the section and speaks plain TCP, for a test line")
    ca_file: Path | None = Field(
        None, description="PEM of the CA that signed the SMSC's certificate; default: the CAs that the machine trusts"
    )
    certificate: Path | None = Field(
        None, description="PEM of our own certificate, with its chain: for operators that want one, and to listen"
    )
    key: Path | None = Field(None, description="PEM of its private key, unencrypted; default: in the same file")
    server_name: str | None = Field(
        None, description="name in the SMSC's certificate, also sent as SNI; default: the host that is connected to"
    )
    minimum_version: Literal["1.2", "1.3"] = Field("1.2", description="older versions are broken and never spoken")
    verify: bool = Field(
        True,
        description="false takes any certificate: then anybody on the way can read citizens' messages and the password",
    )

    @model_validator(mode="after")
    def _key_needs_certificate(self) -> TlsSettings:
        if self.key is not None and self.certificate is None:
            raise ValueError("'key' without 'certificate'; name the certificate that belongs to it")
        return self


class OutbindSettings(Settings):
    """What the operator says in outbind, before we bind on its connection (SMPP 3.4 §2.2.1)."""

    system_id: str = Field(max_length=15, description="the operator's")
    password: Secret = Field("", max_length=64, description="the operator's")


class ListenSettings(Settings):
    """The operator opens the connection: we wait for it on this port, then bind on it."""

    port: int = Field(ge=1, le=65535, description="TCP port; binds with the same port and interface share it")
    interface: str = Field("0.0.0.0", description="address to listen on; '::' for IPv6 too")
    allow: tuple[str, ...] = Field(
        min_length=1,
        description="addresses or networks that may connect, such as 203.113.0.0/16; others are closed unread",
    )
    outbind: OutbindSettings | None = Field(
        None, description="bind only after an outbind with these; default: bind as soon as the connection is there"
    )

    @field_validator("allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            try:
                ip_network(entry)
            except ValueError as error:
                raise ValueError(f"'{entry}' is no address or network: {error}") from error
        return value


class TraceSettings(Settings):
    """Everything that crosses this bind's connections, written to files; for finding faults, not for every day."""

    file: Path | None = Field(None, description="one line for each PDU; default: none")
    pcap: Path | None = Field(None, description="for Wireshark, which shows it as SMPP; default: none")
    full: bool = Field(False, description="true shows whole telephone numbers; passwords are never written")
    rotate_octets: int = Field(
        20_000_000,
        ge=10_000,
        description="a longer file is moved to FILE.1 and so on: a forgotten trace must not fill a disk",
    )
    keep: int = Field(3, ge=1, le=100, description="old files that are kept")

    @model_validator(mode="after")
    def _somewhere(self) -> TraceSettings:
        if self.file is None and self.pcap is None:
            raise ValueError("a trace needs 'file', 'pcap' or both")
        return self


class TlvField(Settings):
    """A TLV that a charging profile or a bind writes or reads. In its place the name of a vendor's or a standard's TLV may stand."""

    tag: int = Field(ge=0, le=0xFFFF)
    type: TlvType = "cstring"
    octets: int = Field(1, ge=1, le=8, description="length of an integer")
    prefix: str = Field(
        "",
        pattern=r"^(?:[0-9A-Fa-f]{2})*$",
        description="octets in hexadecimal before the value, such as A0 for a subaddress that the user specifies",
    )

    @model_validator(mode="before")
    @classmethod
    def _known_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"there is no TLV '{value}', neither under vendor_tlvs nor in the standard")
        return value


class BindTlv(TlvField):
    """A TLV that every submit_sm of the bind carries. Written ``name: value``; or in full, ``name: {tag: …, value: …}``."""

    value: str = Field(
        description="what to write; {message}, {part}, {parts}, {source}, {destination} and {kind} are replaced. octets: 0x… is hexadecimal"
    )

    @model_validator(mode="before")
    @classmethod
    def _known_name(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("there is no TLV of this name, neither under vendor_tlvs nor in the standard")
        return value

    @field_validator("value", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("value")
    @classmethod
    def _placeholders(cls, value: str) -> str:
        for name in _PLACEHOLDER.findall(value):
            if name not in PLACEHOLDERS:
                raise ValueError(f"there is no {{{name}}}; there are {', '.join(PLACEHOLDERS)}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> BindTlv:
        if not _PLACEHOLDER.search(self.value):
            tlv_octets(self, self.value)
        return self

    def filled(self, values: Mapping[str, object]) -> str:
        """The value for one message."""
        return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), self.value)


class VendorTlv(Settings):
    """An operator's own TLV, by a name of your choosing."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,39}$", description="to be used under binds[].tlvs and charging.profiles"
    )
    tag: int = Field(ge=0, le=0xFFFF, description="0x1400 to 0x3FFF are the vendors'; some use others")
    type: TlvType = Field("cstring", description="cstring ends with a NUL")
    octets: int = Field(1, ge=1, le=8, description="length of an integer")
    pdus: tuple[str, ...] = Field((), description="PDUs that may carry it, such as submit_sm; default: any")

    @field_validator("name")
    @classmethod
    def _not_the_standards(cls, value: str) -> str:
        if STANDARD_TLVS.by_name(value) is not None:
            raise ValueError(f"'{value}' is a TLV of the standard; choose another name")
        return value

    @field_validator("pdus")
    @classmethod
    def _commands(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in _COMMANDS:
                raise ValueError(f"there is no PDU '{name}'")
        return value


def tlv_octets(field: TlvField, value: str) -> bytes:
    """A TLV's value on the wire: big-endian integer, Latin-1 with a NUL, or Latin-1 without one (0x…: hexadecimal).

    Raises:
        ValueError: worded for the operator, when the value does not fit the field.
    """
    prefix = bytes.fromhex(field.prefix)
    if field.type == "integer":
        number = int(value, 0) if value.lower().startswith("0x") else int(value)
        if not 0 <= number < 256**field.octets:
            raise ValueError(f"'{value}' does not fit an integer of {field.octets} octet(s)")
        return prefix + number.to_bytes(field.octets, "big")
    if field.type == "octets" and value.lower().startswith("0x"):
        return prefix + bytes.fromhex(value[2:])
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"'{value}' is not Latin-1") from error
    if b"\0" in octets:
        raise ValueError("a NUL cannot stand in the value")
    return prefix + octets + (b"\0" if field.type == "cstring" else b"")


def with_named_tlvs(values: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as read, with names of TLVs replaced by what ``vendor_tlvs`` or the standard says of them.

    What is not shaped as expected is left alone: the models name its faults.

    Raises:
        ValueError: a vendor's TLV stands where its PDU is not among its ``pdus``.
    """
    found = dict(values)
    vendor = {
        str(row["name"]): row for row in _listed(found.get("vendor_tlvs")) if isinstance(row, Mapping) and "name" in row
    }
    if isinstance(operators := found.get("operators"), Mapping):
        found["operators"] = {key: _operator(key, operator, vendor) for key, operator in operators.items()}
    charging = found.get("charging")
    if isinstance(charging, Mapping) and isinstance(profiles := charging.get("profiles"), Mapping):
        named = {key: _profile(f"charging.profiles.{key}", profile, vendor) for key, profile in profiles.items()}
        found["charging"] = {**charging, "profiles": named}
    return found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _operator(key: str, operator: Any, vendor: Mapping[str, Any]) -> Any:
    if not isinstance(operator, Mapping) or not isinstance(operator.get("binds"), list | tuple):
        return operator
    binds = []
    for number, bind in enumerate(operator["binds"]):
        if isinstance(bind, Mapping) and isinstance(tlvs := bind.get("tlvs"), Mapping):
            path = f"operators.{key}.binds.{number}.tlvs"
            named = {
                name: value
                if isinstance(value, Mapping) or (row := _row(f"{path}.{name}", str(name), "submit_sm", vendor)) is None
                else {**row, "value": value}
                for name, value in tlvs.items()
            }
            bind = {**bind, "tlvs": named}
        binds.append(bind)
    return {**operator, "binds": binds}


def _profile(path: str, profile: Any, vendor: Mapping[str, Any]) -> Any:
    if not isinstance(profile, Mapping):
        return profile
    named = dict(profile)
    for place, pdu in (("decision_tlv", "submit_sm"), ("link_tlv", "submit_sm"), ("mo_id_tlv", "deliver_sm")):
        value = profile.get(place)
        name = value.get("name") if isinstance(value, Mapping) else value
        if isinstance(name, str) and (row := _row(f"{path}.{place}", name, pdu, vendor)) is not None:
            rest = {key: item for key, item in value.items() if key != "name"} if isinstance(value, Mapping) else {}
            named[place] = {**row, **rest}
    return named


def _row(path: str, name: str, pdu: str, vendor: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tag, type and octets of a name; None: nobody knows it."""
    if (row := vendor.get(name)) is not None:
        pdus = _listed(row.get("pdus"))
        if pdus and pdu not in pdus:
            raise ValueError(f"{path}: vendor_tlvs says that {name} is not for {pdu}")
        return {key: row[key] for key in ("tag", "type", "octets") if key in row}
    standard = STANDARD_TLVS.by_name(name)
    if standard is None:
        return None
    sizes = {"octets": standard.max_octets} if standard.kind is Kind.INTEGER else {}
    return {"tag": standard.tag, "type": _KINDS[standard.kind], **sizes}
