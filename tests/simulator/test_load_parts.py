"""Parts of the load: templates, numbers, the histogram's precision, the report for people."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import SimulatorError
from simulator.load.latencies import Latencies
from simulator.load.pace import Pace
from simulator.load.report import report_lines
from simulator.load.smsc_settings import codes, settings_of
from simulator.load.templates import NumberPattern, TextTemplate


def template(text: str, codes: tuple[str, ...] = ()) -> TextTemplate:
    return TextTemplate(text, random.Random(1), codes)


def test_placeholders_are_filled() -> None:
    made = template("{{{sequence:04d}}} {number} {code} {sequence}", ("A1", "B2"))
    assert [made.text(number, "84905123456") for number in (1, 2, 3)] == [
        "{0001} 84905123456 A1 1",
        "{0002} 84905123456 B2 2",
        "{0003} 84905123456 A1 3",
    ]
    assert not made.constant
    assert template("Xin chào").constant
    random_text = template("{random} {random:9}").text(1, "")
    assert [len(word) for word in random_text.split()] == [6, 9]
    assert template("{random}").text(1, "") == template("{random}").text(1, "")  # of the seed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{code}", "'{code}' is not known; known are {sequence}, {number}, {random}"),
        ("{name}", "is not known"),
        ("{sequence:x}", "is not understood"),
        ("{random:0}", "is not understood"),
        ("{sequence!r}", "is not understood"),
    ],
)
def test_what_no_template_knows_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError) as raised:
        template(text)
    assert told in str(raised.value)


def test_numbers_count_up_and_begin_anew() -> None:
    pattern = NumberPattern("8490#", random.Random(1))
    assert [pattern.number(sequence) for sequence in (1, 2, 10, 11)] == ["84900", "84901", "84909", "84900"]
    assert NumberPattern("84905123456", random.Random(1)).number(7) == "84905123456"
    drawn = {NumberPattern("8490???????", random.Random(seed)).number(1) for seed in range(20)}
    assert len(drawn) > 15
    assert all(number.isdigit() and len(number) == 11 for number in drawn)


@pytest.mark.parametrize("pattern", ["84905x", "", "8#9#", "12", "849" + "#" * 20])
def test_what_is_no_number_is_told(pattern: str) -> None:
    with pytest.raises(ValueError):
        NumberPattern(pattern, random.Random(1))


@pytest.mark.parametrize("seed", range(12))
def test_percentiles_are_right_to_three_digits(seed: int) -> None:
    rng = random.Random(seed)
    values = [10 ** rng.uniform(-6, 3.4) for _ in range(rng.randrange(1, 300))]
    found = Latencies()
    for value in values:
        found.add(value)
    summary = found.as_dict()
    assert summary is not None
    ordered_ms = sorted(1000 * value for value in values)
    for name, percentile in (("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)):
        rank = max(1, int(len(ordered_ms) * percentile / 100 + 0.5))  # as HdrHistogram defines it
        assert summary[name] == pytest.approx(ordered_ms[rank - 1], rel=2e-3, abs=2e-3)
    assert summary["count"] == len(values)
    assert summary["mean"] == pytest.approx(sum(ordered_ms) / len(values), rel=2e-3, abs=2e-3)


def test_no_times_are_no_percentiles_and_hours_are_one_hour() -> None:
    found = Latencies()
    assert found.as_dict() is None
    assert found.take_mean_ms() is None
    found.add(10_000.0)
    found.add(-1.0)
    summary = found.as_dict()
    assert summary is not None
    assert summary["max"] == pytest.approx(3_600_000, rel=2e-3)
    assert summary["p50"] == pytest.approx(0.001)


def test_the_mean_of_the_progress_line_is_of_what_came_since() -> None:
    found = Latencies()
    found.add(0.1)
    found.add(0.2)
    assert found.take_mean_ms() == pytest.approx(150)
    found.add(0.4)
    assert found.take_mean_ms() == pytest.approx(400)
    assert found.take_mean_ms() is None


@given(st.floats(0.5, 5000), st.floats(0, 100))
def test_a_message_is_due_exactly_from_its_intended_time_on(rate: float, now: float) -> None:
    pace = Pace(rate, None, None)
    pace.begin(0.0)
    due = int(pace.due(now))
    assert pace.intended_at(due - 1, now) <= now + 1e-9
    assert pace.intended_at(due, now) > now - 1e-9


def test_the_report_names_what_is_missing() -> None:
    times = {"count": 2, "mean": 1.0, "p50": 1.0, "p99": 2.0, "max": 2.0}
    report = {
        "role": "esme",
        "offered_per_s": 100.0,
        "sent": 3,
        "sent_per_s": 99.9,
        "answered": 2,
        "answered_per_s": None,
        "unanswered": 1,
        "statuses": {"ESME_ROK": 2},
        "sent_again": 4,
        "most_behind_ms": 0.5,
        "links_lost": ["connection lost"],
        "answer_ms": times,
        "receipts": {"received": 1, "missing": 1, "unmatched": 3, "states": {"DELIVRD": 1}},
        "receipt_ms": None,
    }
    text = "\n".join(report_lines(report))
    for words in (
        "3 submit_sm sent, 100/s of 100 wanted",
        "1 without an answer",
        "4 sent again",
        "a link was lost: connection lost",
        "1 receipts, 1 missing, 3 unmatched",
        "from the intended time",
        "DELIVRD 1",
    ):
        assert words in text
    assert "milliseconds from sending" in "\n".join(report_lines({**report, "offered_per_s": None}))


def smsc_options(**changed: object) -> dict[str, object]:
    return {
        "config": None,
        "port": 2999,
        "system_id": "load",
        "password": "load",
        "control_port": 0,
        "window": 70,
        **changed,
    }


def test_as_smsc_a_file_keeps_its_accounts_and_nothing_is_kept_to_look_at(tmp_path: Path) -> None:
    own = settings_of(smsc_options(), 5)
    assert (own.seed, list(own.accounts), own.accounts["load"].port) == (5, ["load"], 2999)
    path = tmp_path / "simulator.yaml"
    path.write_text("seed: 3\naccounts: {viettel: {port: 2776, tps: 7}}\n", encoding="utf-8")
    filed = settings_of(smsc_options(config=path), None)
    assert (filed.seed, filed.accounts["viettel"].tps, filed.log.level) == (3, 7, "warning")
    for settings in (own, filed):
        assert (settings.sessions.deliver_window, settings.control.pdu_entries) == (70, 0)
        assert settings.record.memory_entries == 0


def test_codes_are_lines_of_a_file(tmp_path: Path) -> None:
    assert codes(None)[:2] == ["0101700000", "0101700001"]
    path = tmp_path / "codes"
    path.write_text("\ufeff0101701234\n\n 0101705678 \n", encoding="utf-8")
    assert codes(path) == ["0101701234", "0101705678"]
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(SimulatorError, match="has no codes"):
        codes(path)
    with pytest.raises(SimulatorError, match="cannot be read"):
        codes(tmp_path / "none")
