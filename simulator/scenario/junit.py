"""Results as JUnit XML, as Jenkins, GitLab, GitHub's actions and Azure read it: a suite for each scenario, a case for each step."""

from __future__ import annotations

import socket
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from simulator.errors import SimulatorError
from simulator.scenario.report import failure_lines
from simulator.scenario.results import CaseResult, StepResult


def junit_xml(results: Sequence[CaseResult], faults: Sequence[tuple[str, Sequence[SimulatorError]]] = ()) -> bytes:
    """The report, in UTF-8. ``faults``: files that could not be played, and why."""
    root = ET.Element("testsuites", name="motcua-simulator scenario")
    for result in results:
        root.append(_suite(result))
    for name, reasons in faults:
        root.append(_broken_suite(name, reasons))
    suites = list(root)
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in suites):.3f}")
    ET.indent(root)
    octets: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return octets


def write(
    path: Path, results: Sequence[CaseResult], faults: Sequence[tuple[str, Sequence[SimulatorError]]] = ()
) -> None:
    """Write the report; its folder is made. Raises :class:`SimulatorError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(junit_xml(results, faults))
    except OSError as error:
        remedy = "Name another file with --junit"
        raise SimulatorError(f"--junit {path}", f"cannot be written ({error.strerror})", remedy) from error


def _suite(result: CaseResult) -> ET.Element:
    began = datetime.fromtimestamp(result.began_at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = _element("testsuite", name=result.name, file=result.file, timestamp=began, hostname=socket.gethostname())
    suite.set("tests", str(len(result.steps)))
    suite.set("failures", str(result.count("failed")))
    suite.set("errors", "0")
    suite.set("skipped", str(result.count("left_out") + result.count("not_run")))
    suite.set("time", f"{result.seconds:.3f}")
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("seed", str(result.seed)),
        *((f"port.{key}", str(port)) for key, port in result.ports.items()),
    ):
        properties.append(_element("property", name=name, value=value))
    for step in result.steps:
        suite.append(_case(result, step))
    if result.esme_output:
        output = ET.SubElement(suite, "system-out")
        output.text = _clean("\n".join(result.esme_output))
    return suite


def _case(result: CaseResult, step: StepResult) -> ET.Element:
    name = f"{step.number:02d} {step.title}" if step.number else step.title
    case = _element("testcase", classname=result.name, name=name, file=result.file, line=str(step.line))
    case.set("time", f"{step.seconds:.3f}")
    if step.failure is not None:
        failure = _element("failure", message=step.failure.what, type=step.verb)
        failure.text = _clean("\n".join(failure_lines(step.failure, f"{result.file}:{step.line}")))
        case.append(failure)
    elif step.status == "left_out":
        case.append(_element("skipped", message="left out by its condition"))
    elif step.status == "not_run":
        case.append(_element("skipped", message="the scenario ended before"))
    return case


def _broken_suite(name: str, reasons: Sequence[SimulatorError]) -> ET.Element:
    suite = _element("testsuite", name=name, tests="1", failures="0", errors="1", skipped="0", time="0.000")
    case = _element("testcase", classname=name, name="the file is right", time="0.000")
    error = _element("error", message=str(reasons[0]) if reasons else "", type="configuration")
    error.text = _clean("\n".join(map(str, reasons)))
    case.append(error)
    suite.append(case)
    return suite


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold (section 2.2): control characters, half surrogate pairs, two non-characters."""
    return "".join(one if _allowed(ord(one)) else f"\\x{ord(one):02x}" for one in text)


def _allowed(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
