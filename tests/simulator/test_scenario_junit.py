"""The JUnit XML report, as common readers want it: counts that agree, times, texts of failures, nothing that XML forbids."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from scenario_rig import HEAD, ScenarioRig, played

from simulator.errors import SimulatorError
from simulator.scenario.junit import junit_xml
from simulator.scenario.report import as_json, end_line, step_lines
from simulator.scenario.results import CaseResult, Failure, StepResult

STEPS = """
  - name: binds & "more" <here>
    expect: {bind: {}}
  - when: ""
    wait: 1s
  - expect: {text: {contains: chao}, within: 2s}
  - wait: 1s
"""


@pytest.fixture
def result() -> CaseResult:
    def esme(rig: ScenarioRig) -> None:
        rig.bound().submit(b"\x00\x1b\x0c tam biet \x10")

    return played(STEPS, esme, HEAD + "always: [{rate: {at_most: 5}}]")


def test_counts_times_and_texts(result: CaseResult) -> None:
    root = ET.fromstring(junit_xml([result, result]))
    assert root.tag == "testsuites"
    assert {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "10",
        "failures": "2",
        "errors": "0",
        "skipped": "4",
    }
    suite = root[0]
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.get("tests", "")) == 5
    assert len(suite.findall("testcase/failure")) == int(suite.get("failures", "")) == 1
    assert len(suite.findall("testcase/skipped")) == int(suite.get("skipped", "")) == 2
    assert all(float(case.get("time", "")) >= 0 and case.get("classname") == "test" for case in cases)
    assert cases[0].get("name") == '01 binds & "more" <here>'
    assert len({case.get("name") for case in cases}) == 5
    assert float(suite.get("time", "")) == pytest.approx(2.0, abs=0.2)
    assert (suite.get("timestamp") or "").startswith("2026-01-05T08:00:00")
    failed = suite.find("testcase/failure")
    assert failed is not None
    assert failed.get("message") == "nothing within 2 s"
    assert "test.yaml:" in (failed.text or "")
    assert "tam biet" in (failed.text or "")
    # JUnit's schema: properties first, cases, then system-out.
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 5]


def test_what_xml_forbids_is_written_out() -> None:
    step = StepResult(1, "a\x00b\x0c\ud800￾", "expect", 3, "failed", 0, 0.5, failure=Failure("x\x1by", "", ("\x07",)))
    result = CaseResult("n\x01", "", "f.yaml", steps=[step], esme_output=("out \x1b[0m",))
    octets = junit_xml([result])
    root = ET.fromstring(octets)
    assert root[0].get("name") == "n\\x01"
    assert (root.findtext("testsuite/system-out") or "") == "out \\x1b[0m"
    assert "\\x07" in (root.findtext("testsuite/testcase/failure") or "")
    assert octets.startswith(b"<?xml version='1.0' encoding='utf-8'?>")


def test_a_file_that_is_wrong_is_an_error() -> None:
    fault = SimulatorError("x.yaml:3 steps[1]", "is wrong", "Correct it")
    root = ET.fromstring(junit_xml([], [("x.yaml", [fault])]))
    assert (root.get("errors"), root.get("failures"), root.get("tests")) == ("1", "0", "1")
    assert root.find("testsuite/testcase/error").get("message") == "x.yaml:3 steps[1]: is wrong. Correct it"  # type: ignore[union-attr]


def test_the_report_for_people(result: CaseResult) -> None:
    lines = [line for step in result.steps for line in step_lines(result, step)]
    text = "\n".join(lines)
    assert "✓" in lines[0]
    assert 'binds & "more" <here>' in lines[0]
    assert "(left out)" in lines[1]
    assert "test.yaml:" in text
    assert "expected: text {contains: chao} within 2 s" in text
    assert "✗ text is" in text
    assert "submit_sm seq=2" in text
    assert "(not run)" in text
    assert all(line.isprintable() for line in lines if "\x1b[" not in line)
    assert "FAILED" in end_line(result)
    assert "1 left out" in end_line(result)


def test_passwords_are_not_told() -> None:
    def esme(rig: ScenarioRig) -> None:
        rig.bound(password="geheim")

    result = played("  - expect: {text: {}, within: 1s}\n", esme)
    told = str(as_json([result]))
    assert "bind_transceiver" in told
    assert "geheim" not in told
