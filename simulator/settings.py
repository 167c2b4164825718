"""What the simulator can be told, and what it does when it is told nothing.

Each default has its reason in its description. ``config/simulator.yaml`` shows the sections, docs/simulator.md explains them.
The file is long because it is the list of all settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from simulator.presets import with_preset
from simulator.values import NO_DELAY, Delay, DelayValue, Pattern, Port, Probability, Settings, Status

Mode = Literal["transmitter", "receiver", "transceiver"]
IdForm = Literal["decimal", "hex", "hex_upper", "zero_padded", "uuid"]
FinalState = Literal["DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD"]
DEFAULT_PORT = 2775  # registered for SMPP
DEFAULT_CONTROL_PORT = 2780  # beside the operators' ports of the samples


def _texts(value: Any) -> Any:
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class ControlSettings(Settings):
    """The HTTP interface that the commands mo, inbox, status, fault and record talk to."""

    host: str = Field("127.0.0.1", description="loopback: it has no password, so it stays on this machine")
    port: Port = Field(DEFAULT_CONTROL_PORT, description="0 takes a free one")
    page_port: Port | None = Field(None, description="the page on a port of its own, too; default: only on `port`")
    names: tuple[str, ...] = Field(
        (), description="host names that a browser may call it by, beside localhost and IP addresses"
    )
    pdu_entries: int = Field(
        5000,
        ge=0,
        le=1_000_000,
        description="newest PDUs that the page and GET /pdus show; 0: none, and PDUs are not counted, which saves some time",
    )


class RecordSettings(Settings):
    """Everything that passed, as JSON lines, for programs that compare it with their own books."""

    path: Path | None = Field(None, description="file to append to; default: only the newest entries, in memory")
    memory_entries: int = Field(50_000, ge=0, le=5_000_000, description="newest entries that the control API shows")
    flush_interval_s: float = Field(0.2, gt=0, le=60, description="what a crash of the simulator may lose of the file")


class LogSettings(Settings):
    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug names every message")
    mask_numbers: bool = Field(True, description="84905***456; a test bench may show numbers in full")


class InboxSettings(Settings):
    """What the handsets remember. Bounds memory under load."""

    parts_per_handset: int = Field(500, ge=1, le=1_000_000)
    parts: int = Field(50_000, ge=1, le=50_000_000, description="of all handsets; the oldest handsets are forgotten")


class SessionSettings(Settings):
    """Timers and limits of every connection."""

    max_connections: int = Field(500, ge=1, le=100_000, description="per port; more are closed at once")
    session_init_timeout_s: float = Field(10.0, gt=0, description="connect to bind")
    enquire_link_interval_s: float = Field(60.0, gt=0, description="silence after which the ESME is probed")
    response_timeout_s: float = Field(10.0, gt=0, description="an unanswered deliver_sm is sent again")
    inactivity_timeout_s: float | None = Field(None, gt=0, description="default: an idle ESME stays bound")
    deliver_window: int = Field(500, ge=1, le=10_000, description="deliver_sm without an answer, per connection")
    unanswered_limit: int = Field(3, ge=1, description="so many deliver_sm without an answer in a row end the session")
    max_pdu_octets: int = Field(65_536, ge=256, le=16_777_216)


class CaptureSettings(Settings):
    """PDUs into files, from the start to the end: a pcap for Wireshark, a log for people."""

    pcap: Path | None = Field(None, description="capture that Wireshark opens; an existing file is replaced")
    log: Path | None = Field(None, description="one decoded PDU a line; an existing file is replaced")
    full: bool = Field(
        False, description="telephone numbers and passwords as they are, in place of 84905***456 and ***"
    )
    rotate_octets: int = Field(
        100_000_000, ge=10_000, description="a larger file becomes FILE.1, and a new one is begun"
    )
    keep: int = Field(3, ge=1, le=1000, description="older files that stay: FILE.1 is the newest of them")

    @property
    def wanted(self) -> bool:
        """It names a file."""
        return self.pcap is not None or self.log is not None


class MessageSettings(Settings):
    """What query_sm, cancel_sm and replace_sm can ask for."""

    kept: int = Field(50_000, ge=0, le=10_000_000, description="newest accepted messages of each account")


class MessageIdSettings(Settings):
    """The message_id of submit_sm_resp."""

    form: IdForm = Field("decimal", description="how it is written in the response")
    digits: int = Field(10, ge=1, le=64, description="length of zero_padded")
    start: int | None = Field(None, ge=0, description="first number; default: the time in µs, so that restarts differ")


class DestinationState(Settings):
    destination: Pattern = Field(description="regular expression searched in destination_addr")
    state: FinalState
    error: str = Field("000", max_length=3)


class ReceiptSettings(Settings):
    """Delivery receipts. SMPP 3.4 §5.3.2.34 to 37 (TLVs) and Appendix B (text)."""

    form: Literal["text", "tlv", "both"] = Field("both", description="what most SMSCs do is both")
    pdu: Literal["deliver_sm", "data_sm"] = Field("deliver_sm")
    id_form: Literal["as_given", "decimal", "hex", "hex_upper", "zero_padded"] = Field(
        "as_given", description="how the receipt writes the id: 'decimal' under hex responses is a common quirk"
    )
    time_format: Literal["minutes", "seconds"] = Field("minutes", description="YYMMDDhhmm, or with seconds")
    text_template: str | None = Field(
        None,
        description="of the text, with {id} {sub} {dlvrd} {submit} {done} {stat} {err} {text}; default: Appendix B's form",
    )
    stat_words: dict[str, str] = Field(
        default_factory=dict, description="other words after 'stat:': {DELIVRD: DELIVERED}; the TLV keeps its number"
    )
    utc_offset_hours: float = Field(7.0, ge=-12, le=14, description="of the dates in the text; Vietnam")
    esm_class_bit: bool = Field(True, description="false: a receipt that only its text tells from an MO")
    weights: dict[FinalState, float] = Field(
        {"DELIVRD": 1.0}, description="final states and how often each comes, in any unit"
    )
    errors: dict[FinalState, str] = Field(
        {"DELIVRD": "000", "UNDELIV": "001", "EXPIRED": "002", "REJECTD": "003"},
        description="the three digits of 'err:'",
    )
    rules: tuple[DestinationState, ...] = Field((), description="states by destination; the first match wins")
    delay: DelayValue = Field(
        default_factory=lambda: Delay.model_validate({"fixed": 1.0}), description="acceptance to final state"
    )
    validity_s: float = Field(
        172_800.0,
        gt=0,
        description="two days, as usual: then a message without a validity_period of its own is EXPIRED",
    )
    unreachable: tuple[Pattern, ...] = Field(
        (), description="handsets that are off, by destination_addr: their messages wait, and are EXPIRED in the end"
    )
    early: Probability = Field(0.0, description="receipts that leave before their submit_sm_resp")
    early_by_s: float = Field(0.2, ge=0, description="how long such a submit_sm_resp is held back")
    lost: Probability = Field(0.0, description="never sent, though the handset has the message")
    doubled: Probability = Field(0.0, description="sent twice")
    intermediate: Probability = Field(0.0, description="an ENROUTE receipt first, where the ESME asked for it")
    reordered: Probability = Field(0.0, description="held back until a later one has gone first")
    reordered_within_s: float = Field(5.0, gt=0, description="the longest that such a receipt waits for another one")
    after_reconnect: Probability = Field(0.0, description="held back until the ESME has bound anew")

    @field_validator("text_template")
    @classmethod
    def _fills(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                value.format(id="", sub="", dlvrd="", submit="", done="", stat="", err="", text="")
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"cannot be filled: {error}") from error
        return value

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, value: dict[FinalState, float]) -> dict[FinalState, float]:
        if any(weight < 0 for weight in value.values()) or not sum(value.values()) > 0:
            raise ValueError("weights are at least 0, and one is above 0")
        return value


class DestinationStatus(Settings):
    destination: Pattern = Field(description="regular expression searched in destination_addr")
    status: Status


class StatusSettings(Settings):
    """command_status of submit_sm_resp."""

    weights: dict[Status, float] = Field(default_factory=dict, description="empty: ESME_ROK; {0: 97, 0x14: 3}")
    rules: tuple[DestinationStatus, ...] = Field((), description="by destination; the first match wins over weights")

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, value: dict[int, float]) -> dict[int, float]:
        if value and (any(weight < 0 for weight in value.values()) or not sum(value.values()) > 0):
            raise ValueError("weights are at least 0, and one is above 0")
        return value


class StallSettings(Settings):
    """The SMSC stands still in regular intervals."""

    every_s: float = Field(gt=0, description="from one stall's end to the next one's")
    lasting_s: float = Field(gt=0, description="submit_sm of this time are answered at its end")


class DisturbanceSettings(Settings):
    """Faults that come by themselves. The same faults on demand: ``motcua-simulator fault``."""

    drop_answers: Probability = Field(0.0, description="accepted, delivered, but the submit_sm_resp is never sent")
    drop_requests: Probability = Field(0.0, description="submit_sm ignored altogether")
    cut: Probability = Field(0.0, description="per submit_sm: the link is cut after it was accepted")
    cut_at: tuple[int, ...] = Field((), description="the link is cut at these submit_sm of the account, counted from 1")
    cut_after: DelayValue | None = Field(None, description="from a session's bind to the cut of its link; none: never")
    unbind_after: DelayValue | None = Field(None, description="from a session's bind to an unbind from this side")
    stall: StallSettings | None = Field(None, description="answers that wait, all at the same times")
    slow_reader_s: float | None = Field(
        None, gt=0, le=60, description="the ESME's octets are read only every so many seconds"
    )


class DirectiveSettings(Settings):
    """A message may say itself what becomes of it, see above."""

    text: bool = Field(True, description="`#sim status=0x58#` in a text")
    number_prefix: str | None = Field(
        None, pattern=r"^\d{2,14}$", description="destinations that are directives: 84999 makes 84999100088 one"
    )


class TlsSettings(Settings):
    """TLS on the account's port. Without files the simulator makes a certificate of its own at each start."""

    certificate: Path | None = Field(None, description="PEM, the chain behind it; default: one of its own")
    key: Path | None = Field(None, description="PEM; required with certificate")
    save_certificate: Path | None = Field(None, description="where its own certificate is written, for ESMEs to trust")
    names: Texts = Field(("localhost", "127.0.0.1"), description="host names and addresses of its own certificate")
    client_ca: Path | None = Field(None, description="PEM; ESMEs must show a certificate of this CA")
    minimum: Literal["1.2", "1.3"] = "1.2"

    @model_validator(mode="after")
    def _pairs(self) -> TlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.certificate is not None and self.save_certificate is not None:
            raise ValueError("save_certificate is for the simulator's own certificate, which a file replaces")
        return self


class MoSettings(Settings):
    """Messages from handsets."""

    number_form: Literal["international", "plus", "national"] = Field(
        "international", description="source_addr: 84905…, +84905…, 0905…"
    )
    source_ton: int = Field(1, ge=0, le=255)
    source_npi: int = Field(1, ge=0, le=255)
    dest_ton: int = Field(3, ge=0, le=255, description="3: network specific, a shortcode")
    dest_npi: int = Field(0, ge=0, le=255)
    long_message: Literal["udh8", "udh16", "sar", "payload"] = Field("udh8", description="what handsets produce")
    id_tlv: int | None = Field(
        0x001E,
        ge=0,
        le=0xFFFF,
        title="hexadecimal",
        description="TLV with the SMSC's id of this MO; receipted_message_id. null: none",
    )
    retry: DelayValue = Field(
        default_factory=lambda: Delay.model_validate({"fixed": 2.0}), description="after a temporary error"
    )
    keep_s: float = Field(86_400.0, gt=0, description="undelivered MO and receipts are given up after a day")
    kept: int = Field(100_000, ge=1, description="waiting MO and receipts per account; the oldest are given up")


class TlvSettings(Settings):
    tag: int = Field(ge=0, le=0xFFFF)
    type: Literal["integer", "cstring", "octets"] = "cstring"


Decision = Literal["charge", "no_charge", "refund"]
Outcome = Literal["charged", "not_charged", "refunded", "insufficient_balance", "no_mo", "charged_before", "unknown"]


class DestinationOutcome(Settings):
    destination: Pattern = Field(description="regular expression searched in the handset's number")
    outcome: Outcome


class ChargingSettings(Settings):
    """What the operator does with the decision that the provider writes into its reply to an MO."""

    shortcodes: tuple[str, ...] = Field(("8083",), description="replies from these addresses carry a decision")
    price_vnd: int = Field(1000, ge=0)
    decision_tlv: TlvSettings | None = Field(None, description="where the decision is read")
    decision_service_type: bool = Field(False, description="read it from service_type")
    decision_values: dict[str, Decision] = Field(
        {"1": "charge", "0": "no_charge", "2": "refund"}, description="what is written: what it means"
    )
    no_decision: Decision = Field("charge", description="a reply without a readable decision")
    link_tlv: TlvSettings | None = Field(
        None, description="where the MO's id is read; none: the handset's newest open MO"
    )
    charge_at: Literal["reply", "mo"] = Field(
        "reply", description="reply: by the decision; mo: taken when the handset sends, no_charge gives it back"
    )
    balance_vnd: int = Field(50_000, ge=0, description="of a handset that is not listed")
    balances: dict[str, int] = Field(default_factory=dict, description="handset: its balance in VND")
    rules: tuple[DestinationOutcome, ...] = Field((), description="outcomes by handset, whatever the balance")
    statuses: dict[Outcome, Status] = Field(
        {"insufficient_balance": 0x0405, "no_mo": 0x0407, "charged_before": 0x0408},
        description="command_status of each outcome; the ones not listed are ESME_ROK. Vendors use 0x0400 to 0x04FF",
    )
    deliver_refused: bool = Field(False, description="true: the handset gets the reply though its charge failed")

    @field_validator("decision_values", mode="before")
    @classmethod
    def _text_keys(cls, value: Any) -> Any:
        return {str(key): decision for key, decision in value.items()} if isinstance(value, dict) else value

    @field_validator("balances", mode="before")
    @classmethod
    def _text_numbers(cls, value: Any) -> Any:
        return {str(key): balance for key, balance in value.items()} if isinstance(value, dict) else value


class AccountSettings(Settings):
    """One ESME's contract with this SMSC."""

    preset: str | None = Field(
        None, description="an SMSC whose habits are the defaults here: `motcua-simulator presets` lists them"
    )
    port: Port = Field(DEFAULT_PORT, description="several accounts may share one")
    system_id: str = Field("*", max_length=15, description="* takes any")
    password: str = Field("*", max_length=64, repr=False, description="* takes any")
    modes: tuple[Mode, ...] = Field(("transmitter", "receiver", "transceiver"), min_length=1)
    versions: tuple[int, ...] = Field(
        (0x33, 0x34, 0x50), min_length=1, title="hexadecimal", description="interface_version; others refused"
    )
    max_binds: int = Field(10, ge=0, le=10_000, description="at a time; then ESME_RALYBND")
    window: int = Field(1000, ge=1, le=100_000, description="submit_sm without an answer; then ESME_RTHROTTLED")
    tps: int | None = Field(None, ge=1, description="submit_sm in any second over all binds; then ESME_RTHROTTLED")
    prefixes: Texts = Field((), description="numbers of this operator's handsets: 84905 …; the longest match wins")
    source_addrs: Texts = Field((), description="brandnames and shortcodes allowed; empty: all, else ESME_RINVSRCADR")
    default_alphabet: Literal["gsm7", "ascii", "latin1"] = Field("gsm7", description="what data_coding 0 means")
    message_ids: MessageIdSettings = Field(default_factory=MessageIdSettings)
    receipts: ReceiptSettings = Field(default_factory=ReceiptSettings)
    latency: DelayValue = Field(default=NO_DELAY, description="submit_sm to submit_sm_resp")
    statuses: StatusSettings = Field(default_factory=StatusSettings)
    disturbances: DisturbanceSettings = Field(default_factory=DisturbanceSettings)
    directives: DirectiveSettings = Field(default_factory=DirectiveSettings)
    congestion_state: bool = Field(False, description="tell it in every submit_sm_resp, as SMPP 5.0 allows")
    distribution_lists: dict[str, Texts] = Field(
        default_factory=dict, description="name: numbers; destinations of submit_multi"
    )
    tls: TlsSettings | None = Field(None, description="none: plain TCP; `{}`: TLS with a certificate of its own")
    capture: CaptureSettings = Field(default_factory=CaptureSettings, description="of this account")
    mo: MoSettings = Field(default_factory=MoSettings)
    charging: ChargingSettings | None = Field(None, description="none: replies are ordinary messages")

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("preset"), str):
            return with_preset(cls, values, values["preset"])
        return values


class SimulatorSettings(Settings):
    """The whole configuration file."""

    seed: int | None = Field(None, description="of all randomness; default: drawn, and told at the start")
    host: str = Field("127.0.0.1", description="listens here; 0.0.0.0 lets other machines in")
    control: ControlSettings = Field(default_factory=ControlSettings)
    record: RecordSettings = Field(default_factory=RecordSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    inbox: InboxSettings = Field(default_factory=InboxSettings)
    sessions: SessionSettings = Field(default_factory=SessionSettings)
    messages: MessageSettings = Field(default_factory=MessageSettings)
    capture: CaptureSettings = Field(default_factory=CaptureSettings, description="of all accounts")
    accounts: dict[str, AccountSettings] = Field(
        default_factory=lambda: {"any": AccountSettings()},
        min_length=1,
        description="default: one account that takes any system_id and password",
    )

    @model_validator(mode="after")
    def _no_twins(self) -> SimulatorSettings:
        seen: dict[tuple[int, str], str] = {}
        for name, account in self.accounts.items():
            twin = seen.setdefault((account.port, account.system_id), name)
            if twin != name and account.port != 0:
                raise ValueError(
                    f"accounts.{name}: port {account.port} and system_id '{account.system_id}' are those of '{twin}'"
                )
        ways: dict[int, str] = {}
        for name, account in self.accounts.items():
            other = ways.setdefault(account.port, name)
            if account.port and self.accounts[other].tls != account.tls:
                raise ValueError(
                    f"accounts.{name}.tls: port {account.port} is also that of '{other}', whose tls differs"
                )
        return self
