"""Bodies of the control API's requests, validated."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from gateway.smpp.pdu import Tlv
from simulator.behaviours.faults import ActiveFault, FaultKind
from simulator.errors import RequestError
from simulator.mo import MoRequest
from simulator.phones import international
from simulator.settings import CaptureSettings
from simulator.values import Settings, Status


def _hex(value: Any) -> Any:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"'{value}' is not hexadecimal") from None


class RawTlv(Settings):
    tag: int = Field(ge=0, le=0xFFFF)
    value: Annotated[bytes, BeforeValidator(_hex)] = Field(b"", max_length=65_535, description="in hexadecimal")


class MoBody(Settings):
    """POST /mo."""

    phone: str = Field(alias="from")
    to: str = Field(min_length=1, max_length=20)
    text: str = Field("", max_length=40_000)
    account: str | None = None
    coding: Literal["auto", "gsm7", "ucs2", "ascii", "latin1"] = "auto"
    form: Literal["udh8", "udh16", "sar", "payload"] | None = None
    copies: int = Field(1, ge=1, le=100)
    tlvs: tuple[RawTlv, ...] = ()
    flash: bool = False
    octets: Annotated[bytes | None, BeforeValidator(_hex)] = Field(
        None, max_length=65_000, description="in place of the text, in hexadecimal"
    )
    data_coding: int | None = Field(None, ge=0, le=255)
    esm_class: int | None = Field(None, ge=0, le=255)
    order: tuple[int, ...] = Field((), max_length=1000, description="parts in the order they leave")
    wait_s: float = Field(10.0, ge=0, le=600, description="how long to wait for the ESME's answer")

    def request(self) -> MoRequest:
        """Raises :class:`RequestError`."""
        return MoRequest(
            phone=international(self.phone),
            to=self.to,
            text=self.text if self.octets is None else self.octets.hex(),
            coding=self.coding,
            form=self.form,
            copies=self.copies,
            tlvs=tuple(Tlv(raw.tag, raw.value) for raw in self.tlvs),
            flash=self.flash,
            octets=self.octets,
            data_coding=self.data_coding,
            esm_class=self.esm_class,
            order=self.order,
        )


class FaultBody(Settings):
    """POST /fault/ACCOUNT."""

    fault: FaultKind
    seconds: float | None = Field(None, gt=0, le=86_400)
    count: int | None = Field(None, ge=1, description="so many submit_sm")
    status: Status = 0
    by_s: float = Field(1.0, gt=0, le=3600, description="of delay-answers, hold-answers, slow-reader")

    @model_validator(mode="after")
    def _sense(self) -> FaultBody:
        if self.fault is FaultKind.STATUS and self.status == 0:
            raise ValueError("the fault 'status' needs a status other than ESME_ROK")
        if self.fault.at_once and (self.seconds is not None or self.count is not None):
            raise ValueError(f"'{self.fault.value}' happens at once: it takes no seconds and no count")
        if self.count is not None and not self.fault.countable:
            raise ValueError(f"'{self.fault.value}' takes seconds, not a count")
        return self

    def active(self, now: float) -> ActiveFault:
        until = None if self.seconds is None else now + self.seconds
        return ActiveFault(self.fault, until, self.count, self.status, self.by_s)


class CaptureBody(CaptureSettings):
    """POST /capture."""

    account: str | None = Field(None, description="default: all")

    @model_validator(mode="after")
    def _named(self) -> CaptureBody:
        if not self.wanted:
            raise ValueError("name a pcap, a log, or both")
        if any("\0" in str(path) for path in (self.pcap, self.log)):
            raise ValueError("a file's name cannot hold a NUL")
        return self

    def settings(self) -> CaptureSettings:
        """Without the account; files by their full path, whoever looks at them later."""
        values = self.model_dump(exclude={"account"})
        for name in ("pcap", "log"):
            if values[name] is not None:
                values[name] = values[name].absolute()
        return CaptureSettings(**values)


class BalanceBody(Settings):
    """POST /charging/ACCOUNT/balance."""

    phone: str
    balance_vnd: int = Field(ge=-(10**15), le=10**15)


def parse_body(model: type[Any], values: Any) -> Any:
    """Validate a decoded JSON body. Raises :class:`RequestError` with one line for each fault."""
    if not isinstance(values, dict):
        raise RequestError("body", "is not a JSON object", "docs/simulator.md shows the requests")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        details = [
            f"{'.'.join(str(part) for part in detail['loc']) or 'body'}: "
            + detail["msg"].removeprefix("Value error, ").rstrip(".")
            for detail in error.errors()
        ]
        raise RequestError("body", "; ".join(details), "docs/simulator.md shows the requests") from error


def fault_kinds() -> dict[str, Any]:
    """Which faults there are, and what may be said with each."""
    kinds = []
    for kind in FaultKind:
        takes = [] if kind.at_once else ["seconds"]
        takes += ["count"] if kind.countable else []
        takes += ["status"] if kind is FaultKind.STATUS else []
        takes += ["by_s"] if kind in (FaultKind.DELAY_ANSWERS, FaultKind.HOLD_ANSWERS, FaultKind.SLOW_READER) else []
        kinds.append({"fault": kind.value, "at_once": kind.at_once, "takes": takes})
    return {"faults": kinds}
