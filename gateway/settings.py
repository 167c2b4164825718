"""YAML → frozen models. Unknown keys are refused; every fault names its YAML path and the remedy.

Each setting has a default with its reason in its description; ``config/gateway.yaml`` and docs/settings.md show them.
Secrets are written as ``{env: NAME}`` or ``{file: PATH}``; a literal is accepted for tests and the demo.

The file is long because it is the list of all settings; what few binds need is in ``settings_smpp``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from gateway import shipped
from gateway.errors import ConfigError
from gateway.model import ChargeDecision, DossierState, ReplyKind
from gateway.settings_base import Secret, Settings
from gateway.settings_notices import AgencySettings as AgencySettings
from gateway.settings_notices import ApologySettings as ApologySettings
from gateway.settings_notices import NightSettings as NightSettings
from gateway.settings_notices import NoticeSettings as NoticeSettings
from gateway.settings_notices import ReportSettings as ReportSettings
from gateway.settings_retention import RetentionSettings as RetentionSettings
from gateway.settings_smpp import BindTlv, ListenSettings, TlsSettings, TraceSettings, VendorTlv, with_named_tlvs
from gateway.settings_smpp import TlvField as TlvField  # charging's, too


class StoreSettings(Settings):
    """The gateway's own database."""

    url: Secret = Field(
        "sqlite:///var/motcua.sqlite3", description="SQLAlchemy URL; postgresql+psycopg://… for several nodes"
    )
    readers: int = Field(2, ge=1, le=32, description="reader threads; two are enough for reports beside the hot path")


class LogSettings(Settings):
    format: Literal["console", "json"] = Field("console", description="json for a log collector")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug shows every PDU's event")
    file: Path | None = Field(None, description="default: standard error, as a service manager expects")


class ClockSettings(Settings):
    business_file: Path | None = Field(
        None, description="demonstrations and exercises only: business time is read from this file; default: real time"
    )


class BindMode(StrEnum):
    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"
    PAIR = "pair"  # one transmitter and one receiver


class ReceiptSettings(Settings):
    """How this SMSC writes delivery receipts."""

    id_base: Literal["as_given", "response_hex", "receipt_hex", "either"] = Field(
        "either",
        description="how the id in the receipt relates to the one in submit_sm_resp: as_given; response_hex = response hex, "
        "receipt decimal; receipt_hex = the reverse; either tries as given first, then both (safe: keys are per operator)",
    )
    prefer: Literal["tlv", "text"] = Field("tlv", description="which wins when TLVs and text disagree")
    recognise_without_esm_class: bool = Field(
        False, description="take a deliver_sm whose text reads as a receipt for one; off: a citizen could forge one"
    )
    utc_offset_hours: float = Field(7.0, ge=-12, le=14, description="time zone of 'done date'; Vietnam")


class StatusAction(StrEnum):
    RETRY = "retry"  # give back, try again at once on any bind
    DELAY = "delay"  # try again after retry_delay_s
    FAIL = "fail"  # final: rejected
    THROTTLE = "throttle"  # pause the bind, keep order
    PARK = "park"  # stop the bind and alert
    ALERT = "alert"  # final: rejected, and alert
    PORTED = "ported"  # the number is no subscriber of this operator: remember it, send by the next operator


class BindSettings(Settings):
    """One SMPP bind (or a transmitter+receiver pair) to one SMSC address."""

    name: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.-]+$")
    host: str = Field(description="name or address of the SMSC; not needed where the operator connects to us (listen)")
    port: int = Field(2775, ge=1, le=65535, description="2775 is the registered SMPP port")
    other_hosts: tuple[str, ...] = Field(
        (),
        description="further addresses of the same SMSC, each HOST or HOST:PORT: an attempt goes through all of them, beginning "
        "after the one that was lost. Two binds share the load besides",
    )
    tls: TlsSettings | None = Field(None, description="default: plain TCP, as most operators have it over a VPN")
    listen: ListenSettings | None = Field(None, description="default: we connect to the operator")
    mode: BindMode = Field(BindMode.TRANSCEIVER, description="one connection both ways")
    system_id: str = Field(max_length=15)
    password: Secret = Field("", max_length=64, description="SMPP allows 8 characters; some operators take more")
    system_type: str = Field("", max_length=12, description="as the operator says; usually empty")
    interface_version: int = Field(0x34, description="0x33, 0x34 or 0x50; 3.4 is what operators run")
    address_range: str = Field("", max_length=40, description="for receivers, as the operator says")
    window: int = Field(10, ge=1, le=5000, description="submit_sm without an answer; what a crash leaves in doubt")
    enquire_link_interval_s: float = Field(30.0, gt=0, le=3600, description="silence after which the link is probed")
    response_timeout_s: float = Field(10.0, gt=0, le=600, description="then the submit is in doubt")
    session_init_timeout_s: float = Field(10.0, gt=0, le=600, description="connect and bind")
    inactivity_timeout_s: float | None = Field(None, description="unbind when idle this long; default: stay bound")
    reconnect_min_s: float = Field(1.0, gt=0, description="first wait after a lost link")
    reconnect_max_s: float = Field(60.0, gt=0, description="longest wait; doubles up to it, with jitter")
    source_ton_alphanumeric: int = Field(5, ge=0, le=255)
    source_npi_alphanumeric: int = Field(0, ge=0, le=255)
    source_ton_shortcode: int = Field(3, ge=0, le=255, description="3 network specific; some want 6 abbreviated or 0")
    source_npi_shortcode: int = Field(0, ge=0, le=255)
    dest_ton: int = Field(1, ge=0, le=255, description="1 international")
    dest_npi: int = Field(1, ge=0, le=255, description="1 ISDN")
    service_type: str = Field("", max_length=5)
    long_message: Literal["udh8", "udh16", "sar", "payload"] = Field("udh8", description="what every SMSC understands")
    default_alphabet: Literal["gsm7", "ascii", "latin1"] = Field(
        "gsm7", description="what data_coding 0 means at this SMSC, both ways; GSM 7-bit unpacked"
    )
    receipts: ReceiptSettings = Field(default_factory=ReceiptSettings)
    status_actions: dict[int, StatusAction] = Field(
        default_factory=dict,
        description="what to do on a command_status of submit_sm_resp; overrides the built-in table",
    )
    retry_delay_s: float = Field(60.0, gt=0, description="for the action delay")
    send_user_message_reference: bool = Field(
        True, description="lets a receipt find a message whose answer was lost; not sent to peers before 3.4"
    )
    send_validity_period: bool = Field(
        False, description="tell the SMSC when a message is stale; off: some refuse a period longer than their own"
    )
    tlvs: dict[str, BindTlv] = Field(
        default_factory=dict,
        description="TLVs that the operator wants on every submit_sm, by their name under vendor_tlvs or in the standard; "
        "not sent to peers before 3.4",
    )
    trace: TraceSettings | None = Field(
        None, description="default: nothing is written; 'motcua-gateway trace' looks on"
    )

    @model_validator(mode="before")
    @classmethod
    def _a_listening_bind_needs_no_host(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("listen") is not None:
            return {"host": "", **values}
        return values

    @field_validator("other_hosts")
    @classmethod
    def _other_hosts_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            split_host(entry, 2775)
        return value

    @field_validator("interface_version", mode="after")
    @classmethod
    def _known_version(cls, value: int) -> int:
        if value not in (0x33, 0x34, 0x50):
            raise ValueError("SMPP versions are 0x33, 0x34 and 0x50")
        return value

    @model_validator(mode="after")
    def _backoff(self) -> BindSettings:
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError("reconnect_max_s is below reconnect_min_s")
        return self

    @model_validator(mode="after")
    def _a_listener_shows_a_certificate(self) -> BindSettings:
        if self.listen is not None and self.tls is not None and self.tls.enabled and self.tls.certificate is None:
            raise ValueError("'listen' with 'tls' needs tls.certificate: the operator must see whom it speaks to")
        return self

    @property
    def address(self) -> str:
        """For people: where this bind's connections go to or come from."""
        return f"port {self.listen.port} (listening)" if self.listen is not None else f"{self.host}:{self.port}"


def split_host(entry: str, port: int) -> tuple[str, int]:
    """HOST, HOST:PORT or [IPV6]:PORT in two. Raises ValueError, worded for the operator."""
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]\s]+))(?::(?P<port>\d{1,5}))?", entry)
    if match is None or not 0 < int(match["port"] or port) < 65536:
        raise ValueError(f"'{entry}' is neither HOST nor HOST:PORT")
    return match["v6"] or match["name"], int(match["port"] or port)


class OperatorSettings(Settings):
    """One operator: its binds, its licence, and which numbers are its own."""

    carriers: tuple[str, ...] = Field((), description="operators' names in the prefix table whose numbers go here")
    default: bool = Field(False, description="takes the numbers of carriers that nobody lists")
    licence_parts_per_s: int = Field(
        50, ge=1, le=100_000, description="licensed submit_sm per second per system_id; 50 is a usual contract"
    )
    charging: str = Field("none", description="name of a charging profile")
    price_per_part_vnd: float | None = Field(
        None, ge=0, description="what one segment of a notice costs by the contract; reports count the cost with it"
    )
    binds: tuple[BindSettings, ...] = Field(min_length=1)


class SourceSettings(Settings):
    """One agency database behind the contract view."""

    url: Secret = Field(description="SQLAlchemy URL with a read-only account")
    view: str = Field(
        "v_motcua_dossier", pattern=r"^[A-Za-z_][A-Za-z0-9_.$]*$", description="name of the contract view"
    )
    columns: dict[str, str] = Field(default_factory=dict, description="contract column: the view's own name")
    status_profiles: tuple[Literal["national", "khanh_hoa_2017", "hue_2024", "dien_bien_2019", "opencps"], ...] = Field(
        ("national", "khanh_hoa_2017"), description="status words known from the start; a later one wins"
    )
    statuses: dict[str, DossierState] = Field(
        default_factory=dict, description="the software's own status words: our states; wins over the profiles"
    )
    result_steps: tuple[str, ...] = Field(
        ("Trả kết quả",), description="steps at which the result waits at the counter"
    )
    time_zone: str = Field("Asia/Ho_Chi_Minh", description="of datetimes in the view that carry no offset")
    codes: tuple[str, ...] = Field(
        (), description="regular expressions of receipt codes kept here; a match is asked first"
    )
    poll_interval_s: float = Field(5.0, gt=0, description="detection stays below 10 s")
    poll_overlap_s: float = Field(
        120.0, ge=0, description="re-read this much: rows committed late keep their older updated_at"
    )
    poll_batch: int = Field(2000, ge=1, le=100_000, description="rows in one query; bounds memory")
    announce_from: datetime | None = Field(None, description="announce nothing older; default: the first poll")
    connect_timeout_s: float = Field(5.0, gt=0)
    poll_timeout_s: float = Field(
        30.0, gt=0, description="a poll may be slow, a dead database may not hold it for ever"
    )
    lookup_timeout_s: float = Field(3.0, gt=0, description="a citizen's answer is due within about five seconds")
    pool: int = Field(2, ge=1, le=32, description="connections for lookups, beside one that polls; small databases")

    @field_validator("statuses", mode="before")
    @classmethod
    def _codes_are_words(cls, value: Any) -> Any:
        # YAML reads the national codes 1 … 10 as integers.
        return {str(key): state for key, state in value.items()} if isinstance(value, dict) else value

    @field_validator("codes")
    @classmethod
    def _codes_compile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is not a regular expression: {error}") from error
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone '{value}'; write Asia/Ho_Chi_Minh or UTC") from error
        return value

    @field_validator("announce_from")
    @classmethod
    def _announce_from_is_aware(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=ZoneInfo("Asia/Ho_Chi_Minh")) if value and value.tzinfo is None else value


class QueryServiceSettings(Settings):
    """One keyword on one or more shortcodes."""

    name: str = "mckh"
    shortcodes: tuple[str, ...] = Field(("8083",), min_length=1)
    keyword: str = Field("MCKH", pattern=r"^[A-Z]{2,20}$")
    national_code: str = Field(
        r"^(?:\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}|[A-Z]\d{2}(?:\.\d{1,3}){0,3})-\d{6}-\d{4,7}$",
        description="Thông tư 01/2018, Art. 19",
    )
    digits: tuple[int, ...] = Field((10,), description="lengths of all-digit codes")
    reply_deadline_s: float = Field(
        5.0, gt=0, description="the shortest deadline that operators set; then the temporary-failure reply"
    )

    templates: dict[ReplyKind, str] = Field(
        default_factory=dict,
        description="answer → template, where this service has words of its own: mo_reply_unknown_code: my_unknown_code",
    )

    @field_validator("national_code")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


class DecisionSettings(Settings):
    """What a query costs, by what became of it."""

    found: ChargeDecision = ChargeDecision.CHARGE
    unknown_code: ChargeDecision = Field(ChargeDecision.CHARGE, description="the query was answered")
    bad_syntax: ChargeDecision = Field(ChargeDecision.NO_CHARGE, description="nothing was looked up")
    temporary_failure: ChargeDecision = Field(ChargeDecision.NO_CHARGE, description="our fault")


class TariffRow(Settings):
    prefix: str = Field(pattern=r"^\d+$", description="of the shortcode; the longest match wins")
    start: date = Field(alias="from")
    amount_vnd: int = Field(ge=0)


class ChargingProfile(Settings):
    """Where one operator wants the decision, the link to the MO, and where it tells the outcome."""

    decision_tlv: TlvField | None = Field(None, description="receives the decision's value")
    decision_service_type: bool = Field(False, description="write the decision's value to service_type")
    decision_values: dict[ChargeDecision, str] = Field(
        default_factory=lambda: {ChargeDecision.CHARGE: "1", ChargeDecision.NO_CHARGE: "0", ChargeDecision.REFUND: "2"}
    )
    link_tlv: TlvField | None = Field(None, description="receives the MO's SMSC message id")
    mo_id_tlv: TlvField | None = Field(
        None, description="TLV of the deliver_sm that holds the MO's id; default: receipted_message_id"
    )
    outcome_statuses: dict[int, Literal["charged", "not_charged", "refunded", "insufficient_balance", "unknown"]] = (
        Field(default_factory=dict, description="command_status of submit_sm_resp → outcome")
    )
    outcome_of_ok: Literal["by_decision", "unknown"] = Field(
        "by_decision",
        description="by_decision: ESME_ROK means that the operator did as told; unknown: wait for another sign",
    )
    outcome_errors: dict[str, Literal["charged", "not_charged", "refunded", "insufficient_balance", "unknown"]] = Field(
        default_factory=dict,
        description="err code of the reply's delivery receipt → outcome; other final receipts show that the operator took the "
        "reply, so its decision holds",
    )
    outcome_tlv: TlvField | None = Field(
        None, description="TLV of submit_sm_resp that tells the outcome; asked before command_status"
    )
    outcome_tlv_values: dict[str, Literal["charged", "not_charged", "refunded", "insufficient_balance", "unknown"]] = (
        Field(default_factory=dict, description="value of outcome_tlv → outcome; other values tell nothing")
    )
    outcome_network_errors: dict[
        str, Literal["charged", "not_charged", "refunded", "insufficient_balance", "unknown"]
    ] = Field(
        default_factory=dict,
        description="code in a network_error_code (0x0423) of submit_sm_resp → outcome: '33', or '3:33' for network type 3 "
        "only. In a receipt without err the code is looked up in outcome_errors",
    )
    charged_on: Literal["reply", "mo"] = Field(
        "reply",
        description="reply: the operator takes the money when the reply says so; mo: it took it when the MO came, so that "
        "'no charge' must be told as a refund",
    )


Column = Literal[
    "msisdn",
    "shortcode",
    "text",
    "command",
    "mo_id",
    "received",
    "replied",
    "date",
    "flag",
    "price",
    "segments",
    "provider",
    "ignored",
]


class FileFormat(Settings):
    """One operator's file of charged or refunded queries, as text with one query on each line."""

    delimiter: str = Field(";", min_length=1, max_length=1, description='between columns; a tab as "\\t"')
    columns: tuple[Column, ...] = Field(
        min_length=3,
        description="what each column holds: received = when the citizen sent it, replied = when the reply came, text = the "
        "query as sent, command = its keyword, mo_id = the operator's id of it, ignored = nothing of interest",
    )
    encoding: str = Field("utf-8", description="a byte order mark is dropped")
    header: bool = Field(False, description="the first line holds titles")
    time_format: str = Field("%Y%m%d%H%M%S", description="of received and replied, as strptime writes it")
    date_format: str = Field("%Y%m%d", description="of date")
    utc_offset_hours: float = Field(7.0, ge=-12, le=14, description="time zone of its times; Vietnam")
    flags: dict[str, Literal["charged", "not_charged", "refunded"]] = Field(
        {"1": "charged", "0": "refunded"}, description="what each value of the column flag means"
    )
    lists: Literal["all", "refunds", "charges"] = Field(
        "all",
        description="without a column flag: what all its lines are; queries of the other kind are not missed in it",
    )
    msisdn_form: Literal["84", "+84", "0", "national"] = Field("84", description="of exported numbers; all are read")
    shortcode_prefix: str = Field("", pattern=r"^\d*$", description="before shortcodes: 84 makes 848083 of 8083")
    decimal: Literal[".", ","] = Field(".", description="of the column price; the other one separates thousands")
    provider: str = Field("", description="our code with the operator, for exported files")
    line_end: Literal["\n", "\r\n"] = Field("\n", description="of exported files; both are read")

    @model_validator(mode="after")
    def _usable(self) -> FileFormat:
        if "msisdn" not in self.columns or "received" not in self.columns:
            raise ValueError("the columns msisdn and received are needed to match a line with the ledger")
        named = [column for column in self.columns if column != "ignored"]
        if len(named) != len(set(named)):
            raise ValueError("a column stands twice; write 'ignored' for those of no interest")
        if "flag" not in self.columns and self.lists == "all":
            raise ValueError("without a column flag, 'lists' says what its lines are: refunds or charges")
        if self.delimiter in self.time_format:
            raise ValueError(f"time_format holds the delimiter '{self.delimiter}'")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"there is no encoding '{self.encoding}'") from error
        return self


class ReconciliationSettings(Settings):
    """Comparing the ledger with operators' files (đối soát)."""

    tolerance_s: float = Field(
        300.0, ge=0, description="by so much our time and the operator's may differ, where a line has no id of ours"
    )
    formats: dict[str, FileFormat] = Field(
        default_factory=lambda: {
            name: FileFormat.model_validate(values) for name, values in shipped.charging("formats").items()
        },
        description="the shipped ones (viettel, vinaphone, vietnamobile) need no entry; one under their name is laid over them",
    )

    @field_validator("formats", mode="before")
    @classmethod
    def _over_shipped(cls, value: Any) -> Any:
        return shipped.laid_over("formats", value)


class ChargingSettings(Settings):
    profiles: dict[str, ChargingProfile] = Field(
        default_factory=lambda: {
            name: ChargingProfile.model_validate(values) for name, values in shipped.charging("profiles").items()
        },
        description="the shipped ones (none, service_type, tlv, subaddress, smpp5-billing) need no entry; one under their name "
        "is laid over them",
    )
    decisions: DecisionSettings = Field(default_factory=DecisionSettings)
    tariff: tuple[TariffRow, ...] = Field(
        (TariffRow.model_validate({"prefix": "80", "from": date(2012, 1, 1), "amount_vnd": 1000}),),
        description="dated; 80xx costs 1,000 VND",
    )
    reconciliation: ReconciliationSettings = Field(default_factory=ReconciliationSettings)

    @field_validator("profiles", mode="before")
    @classmethod
    def _over_shipped(cls, value: Any) -> Any:
        return shipped.laid_over("profiles", value)


class ForwardSettings(Settings):
    """Where texts for other services on our shortcodes go: a webhook, or an operator's SMSC."""

    url: str | None = Field(
        None,
        pattern=r"^https?://[\x21-\x7e]+$",
        description="gets each text as JSON by POST (id, operator, from, to, text, smsc_message_id, received_at, attempt), at "
        "least once, until it answers 2xx; the id tells repetitions",
    )
    token: Secret = Field("", description="sent to url as 'Authorization: Bearer …'")
    operator: str | None = Field(
        None, description="gets each text as submit_sm from the citizen's number, by its binds"
    )
    timeout_s: float = Field(5.0, gt=0, le=60, description="for one POST, from the connection to the end of the answer")
    attempts: int = Field(8, ge=1, le=50, description="then the text is given up, with an error in the log")
    retry_s: float = Field(10.0, gt=0, description="wait after the first attempt; it doubles with each")

    @model_validator(mode="after")
    def _one_target(self) -> ForwardSettings:
        if (self.url is None) == (self.operator is None):
            raise ValueError("write either 'url' or 'operator'")
        return self


class QuerySettings(Settings):
    services: tuple[QueryServiceSettings, ...] = Field(default_factory=lambda: (QueryServiceSettings(),))
    foreign_keywords: Literal["answer", "ignore", "forward"] = Field(
        "answer",
        description="answer: the bad-syntax reply; ignore: the shortcode's other services answer; forward: see 'forward'",
    )
    forward: ForwardSettings | None = Field(None, description="with foreign_keywords: forward")
    result_ready_template: Literal["status", "own"] = Field(
        "status",
        description="a dossier at the step 'Trả kết quả': status = its step and đúng hạn / trễ hạn as for every other; "
        "own = mo_reply_result_ready, which asks the citizen to come",
    )
    clock_stopped_template: Literal["status", "own"] = Field(
        "status",
        description="a dossier whose clock is stopped: status = its step and đúng hạn; own = mo_reply_clock_stopped",
    )
    per_sender_per_day: int = Field(100, ge=1, description="then the too-many reply once; protects agencies' databases")
    burst_per_sender_per_minute: int = Field(
        20,
        ge=1,
        description="more at once is a machine, not a person with many papers: it is told once to try again later, at no charge, "
        "then ignored until the minute is over; nothing is looked up",
    )
    errors_per_sender_per_hour: int = Field(
        5,
        ge=1,
        description="texts that are no query: answered so often, then ignored; ends a loop with a handset's automatic replies",
    )
    repeat_window_s: float = Field(
        60.0,
        gt=0,
        description="the same text from the same number within this time is the SMSC's repetition, answered and charged once; "
        "only where the SMSC gives no message id. A citizen who asks again later is answered and charged again",
    )
    repeat_id_window_s: float = Field(
        86_400.0,
        gt=0,
        description="as repeat_window_s, where the SMSC gives an id; ids may come round again after days",
    )
    reply_margin_s: float = Field(
        1.0, ge=0, description="kept of the reply deadline for recording and submitting the reply after the lookup"
    )
    reply_validity_s: float = Field(
        300.0, gt=0, description="a reply that could not leave in five minutes is expired and not charged"
    )
    assembly_timeout_s: float = Field(
        300.0, gt=0, description="a long text whose parts do not all come is answered as bad syntax"
    )

    @model_validator(mode="after")
    def _forward_somewhere(self) -> QuerySettings:
        if (self.foreign_keywords == "forward") != (self.forward is not None):
            raise ValueError(
                "'foreign_keywords: forward' and the section 'forward' belong together: write both, or neither"
            )
        return self


class DoubtSettings(Settings):
    """Invariant 3: what becomes of a message whose answer was lost."""

    wait_s: float = Field(900.0, gt=0, description="time in which a receipt may still settle it")
    notices: Literal["resend_once", "hold"] = Field("resend_once", description="marked as possible duplicate")
    replies: Literal["hold"] = Field("hold", description="charged replies are never resent blindly")


#: No "/": it parts a node's name from its incarnation in the store.
NODE_NAME = r"^[A-Za-z0-9_.-]{1,40}$"


class GatewaySettings(Settings):
    """The whole configuration file."""

    node: str = Field(
        "node-1",
        pattern=NODE_NAME,
        description="unique among the daemons on one store; 'run --node' names it on the command line, so that all nodes may have "
        "the same file",
    )
    lease_s: float = Field(20.0, gt=0, description="a dead node's work is taken over after this")
    drain_timeout_s: float = Field(15.0, gt=0, description="on SIGTERM: time to wait for open answers")
    store: StoreSettings = Field(default_factory=StoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    clock: ClockSettings = Field(default_factory=ClockSettings)
    trace_socket: Path | None = Field(
        Path("var/trace.sock"),
        description="where 'motcua-gateway trace' asks the running daemon: a Unix socket that only its own user opens; null: no "
        "such socket",
    )
    vendor_tlvs: tuple[VendorTlv, ...] = Field(
        (), description="operators' own TLVs, to be named elsewhere in this file"
    )
    operators: dict[str, OperatorSettings] = Field(min_length=1)
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    agencies: dict[str, AgencySettings] = Field(default_factory=dict)
    notices: NoticeSettings = Field(default_factory=NoticeSettings)
    queries: QuerySettings = Field(default_factory=QuerySettings)
    charging: ChargingSettings = Field(default_factory=ChargingSettings)
    doubt: DoubtSettings = Field(default_factory=DoubtSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    reports: ReportSettings = Field(default_factory=ReportSettings)

    @model_validator(mode="before")
    @classmethod
    def _name_tlvs(cls, values: Any) -> Any:
        return with_named_tlvs(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _consistent(self) -> GatewaySettings:
        tlvs = [row.name for row in self.vendor_tlvs]
        if twice := sorted({name for name in tlvs if tlvs.count(name) > 1}):
            raise ValueError(f"vendor_tlvs: used twice: {', '.join(twice)}")
        if sum(operator.default for operator in self.operators.values()) > 1:
            raise ValueError("operators: only one may have 'default: true'")
        names = [bind.name for operator in self.operators.values() for bind in operator.binds]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"operators: bind names must differ; used twice: {', '.join(repeated)}")
        target = self.queries.forward.operator if self.queries.forward is not None else None
        if target is not None and target not in self.operators:
            raise ValueError(f"queries.forward.operator: there is no operator '{target}'")
        for key, operator in self.operators.items():
            if operator.charging not in self.charging.profiles:
                raise ValueError(
                    f"operators.{key}.charging: there is no profile '{operator.charging}' under charging.profiles"
                )
        return self


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping: the second would silently win."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def load_settings(path: Path) -> GatewaySettings:
    """Read and validate a configuration file. Relative paths in it are relative to its own folder's parent or cwd as given.

    Raises:
        ConfigFaults: with one :class:`ConfigError` for each fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigFaults(
            [ConfigError(str(path), f"cannot be read ({error.strerror})", "Name an existing file with --config")]
        ) from error
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 (byte {error.start + 1})"
        raise ConfigFaults(
            [ConfigError(str(path), what, "Save it as UTF-8; name a YAML file with --config")]
        ) from error
    try:
        values = yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = str(getattr(error, "problem", None) or "not YAML")
        raise ConfigFaults(
            [ConfigError(where, what, "Correct the line; indentation is two spaces, no tabs")]
        ) from error
    if not isinstance(values, dict):
        raise ConfigFaults([ConfigError(str(path), "is empty or not a mapping", "Start from config/gateway.yaml")])
    return parse_settings(values)


def parse_settings(values: dict[str, Any]) -> GatewaySettings:
    """Validate a mapping as read from YAML. Raises :class:`ConfigFaults`."""
    try:
        return GatewaySettings.model_validate(values)
    except ValidationError as error:
        raise ConfigFaults([_fault(detail) for detail in _told_once(error.errors())]) from error


def _told_once(details: Sequence[Any]) -> list[Any]:
    """Without "should have at least 1 item" where the items are there but faulty: they have faults of their own."""
    places = [tuple(detail["loc"]) for detail in details]

    def consequence(detail: Any) -> bool:
        here = tuple(detail["loc"])
        inside = any(len(place) > len(here) and place[: len(here)] == here for place in places)
        return detail["type"] == "too_short" and inside

    return [detail for detail in details if not consequence(detail)]


class ConfigFaults(Exception):
    """The configuration has faults; the daemon does not start."""

    def __init__(self, faults: list[ConfigError]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


_REMEDIES = {
    "extra_forbidden": "Remove it or correct its spelling; docs/settings.md lists the keys",
    "missing": "Add it; docs/settings.md describes it",
}


def _fault(detail: Any) -> ConfigError:
    path = ".".join(str(part) for part in detail["loc"]) or "(whole file)"
    kind = str(detail["type"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    what = {"extra_forbidden": "unknown key", "missing": "is required and missing"}.get(kind, message)
    return ConfigError(path, what, _REMEDIES.get(kind, "Correct the value; docs/settings.md describes it"))
