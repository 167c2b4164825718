"""The log: masking, odd values, both formats, and other libraries' voices."""

from __future__ import annotations

import gc
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import fail
from twisted.logger import Logger, globalLogPublisher

from gateway.log import FromLogging, configure, from_twisted, mask_number
from gateway.settings import LogSettings


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    globalLogPublisher.removeObserver(from_twisted)
    for handler in [handler for handler in logging.getLogger().handlers if isinstance(handler, FromLogging)]:
        logging.getLogger().removeHandler(handler)


class Log:
    """A configured log and what it wrote."""

    def __init__(self, **settings: Any) -> None:
        self.stream = io.StringIO()
        configure(LogSettings(**{"format": "json", **settings}), stream=self.stream)
        self.logger = structlog.get_logger()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.mark.parametrize(
    ("given_number", "masked"),
    [
        ("84905123456", "84905***456"),
        ("+84905123456", "+84905***456"),
        ("0905123456", "0905***456"),
        ("905123456", "905***456"),
        ("0905 123 456", "0905***456"),
        ("A Nam 0905.123.456 (con)", "0905***456"),
        ("02583822382", "0258***382"),
        ("8083", "8083"),
        ("19001080", "19***080"),
        ("MotcuaSMS", "MotcuaSMS"),
        ("84905***456", "84905***456"),
        ("#0f1e2d3c4b5a69788796a5b4", "#0f1e2d3c4b5a69788796a5b4"),
        ("#0905123456", "0905***456"),
        ("", ""),
    ],
)
def test_mask_number(given_number: str, masked: str) -> None:
    assert mask_number(given_number) == masked


@given(st.from_regex(r"\A\+?[0-9]{7,15}\Z"))
def test_a_masked_number_hides_at_least_three_digits(number: str) -> None:
    masked = mask_number(number)
    assert "***" in masked
    assert mask_number(masked) == masked
    assert sum(character.isdigit() for character in masked) <= len(number.lstrip("+")) - 3


@pytest.mark.parametrize("key", ["source_addr", "destination_addr", "phone", "phone_raw", "number", "msisdn"])
@pytest.mark.parametrize("value", ["84905123456", 84905123456, b"84905123456", ["84905123456"], ("84905123456",)])
def test_numbers_under_their_keys_are_masked(key: str, value: object) -> None:
    log = Log()
    log.logger.info("mo_received", **{key: value})
    assert "84905123456" not in log.text
    assert "84905***456" in log.text


def test_other_text_hides_only_what_must_be_a_mobile_number() -> None:
    log = Log()
    log.logger.info("query_judged", text="MCKH 0101701234 tu 84905123456, 0905123456", code="0905123456")
    assert log.events[0]["text"] == "MCKH 0101701234 tu 84905***456, 0905123456"
    assert log.events[0]["code"] == "0905123456"


def test_message_ids_stay_exactly_as_given() -> None:
    log = Log()
    log.logger.info("receipt", smsc_message_id="84905123456", message_id=84905123456, message=17)
    assert log.events[0]["smsc_message_id"] == "84905123456"
    assert log.events[0]["message_id"] == 84905123456


def test_numbers_inside_values_and_structures_are_masked() -> None:
    class Mo(NamedTuple):
        source_addr: str

    log = Log()
    log.logger.info("odd", mo=Mo("84905123456"), by_key={"phone": "0905123456"}, total=84905123456)
    assert "5123456" not in log.text


def test_tracebacks_are_rendered_and_masked() -> None:
    log = Log()
    try:
        raise ValueError("parameters: ('0905123456', '84905123456')")
    except ValueError:
        log.logger.exception("store_failed")
    exception = log.events[0]["exception"]
    assert "Traceback" in exception
    assert "ValueError: parameters: ('0905***456', '84905***456')" in exception


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_odd_values_never_raise() -> None:
    cyclic: list[object] = []
    cyclic.append(cyclic)
    for style in ("json", "console"):
        log = Log(format=style)
        log.logger.info(
            "odd", hostile=Hostile(), surrogate="\ud800", octets=b"\xff\x00", cyclic=cyclic, nan=float("nan"), s={1}
        )
        assert "no repr" not in log.text
        assert "its repr raises RuntimeError" in log.text


@given(st.dictionaries(st.text(min_size=1).filter(lambda key: key not in ("self", "event")), st.text()))
def test_a_json_event_is_one_line_and_keeps_its_values(values: dict[str, str]) -> None:
    log = Log()
    log.logger.info("event_name", **values)
    assert log.text.count("\n") == 1
    assert json.loads(log.text)["event"] == "event_name"


@given(st.text())
def test_no_value_can_forge_a_line_on_the_console(text: str) -> None:
    log = Log(format="console")
    log.logger.info("mo_received", text=text, mo=1)
    assert log.text.count("\n") == 1
    assert len(log.text.splitlines()) == 1
    assert log.text.rstrip("\n").isprintable()


def test_console_line_for_people() -> None:
    log = Log(format="console")
    log.logger.warning("bind_refused", bind="vt-1", status="ESME_RBINDFAIL", why="wrong password")
    stamp, rest = log.text.split(" ", 1)
    assert stamp.endswith("Z")
    assert rest == 'warning bind_refused bind=vt-1 status=ESME_RBINDFAIL why="wrong password"\n'


def test_terminals_get_colours_and_files_do_not() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    configure(LogSettings(), stream=terminal)
    structlog.get_logger().info("started")
    assert "\x1b[" in terminal.getvalue()


def test_level_filters() -> None:
    log = Log(level="warning")
    log.logger.info("quiet")
    log.logger.debug("quieter", hostile=Hostile())
    log.logger.error("loud")
    assert [event["event"] for event in log.events] == ["loud"]


def test_file_is_made_with_its_folder_and_appended(tmp_path: Path) -> None:
    path = tmp_path / "log" / "gateway.log"
    for name in ("first", "second"):
        configure(LogSettings(format="json", file=path))
        structlog.get_logger().info(name)
    assert [json.loads(line)["event"] for line in path.read_text(encoding="utf-8").splitlines()] == ["first", "second"]


def test_a_stream_that_fails_loses_lines_but_says_so_later() -> None:
    class Pipe(io.StringIO):
        broken = True

        def write(self, text: str) -> int:
            if self.broken:
                raise BrokenPipeError
            return super().write(text)

    pipe = Pipe()
    configure(LogSettings(format="json"), stream=pipe)
    structlog.get_logger().info("lost")
    pipe.broken = False
    structlog.get_logger().info("found")
    first, second = pipe.getvalue().splitlines()
    assert first == "(1 log lines lost before this one)"
    assert json.loads(second)["event"] == "found"


def test_other_libraries_speak_through_the_same_end() -> None:
    log = Log()
    logging.getLogger("sqlalchemy.pool").warning("lost %s", "84905123456")
    logging.getLogger("sqlalchemy.pool").info("not interesting")
    Logger(namespace="twisted.somewhere").warn("link {link} odd", link="vt-1")
    assert [event["event"] for event in log.events] == ["library_log", "twisted_log"]
    assert log.events[0]["text"] == "lost 84905***456"
    assert log.events[1]["text"] == "link vt-1 odd"


def test_logging_arguments_that_do_not_fit_are_no_disaster() -> None:
    log = Log()
    FromLogging().emit(logging.LogRecord("somebody", logging.WARNING, "", 0, "%d of %d", ("x",), None))
    assert log.events[0]["text"] == "%d of %d"


def test_unhandled_errors_in_deferreds_are_logged_with_traceback() -> None:
    log = Log()
    deferred = fail(ValueError("nobody listens to 0905123456"))
    del deferred
    gc.collect()
    errors = [event for event in log.events if event["event"] == "twisted_log" and "exception" in event]
    assert len(errors) == 1
    assert "ValueError: nobody listens to 0905***456" in errors[0]["exception"].replace("builtins.", "")
