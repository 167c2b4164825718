"""``motcua-simulator scenario`` as a user has it: options, exit codes, the programs that it starts and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from simulator_process import COMMAND, run

ESME = f"{sys.executable} {Path(__file__).with_name('answering_esme.py')} ${{port}}"
BINDS = f"""
esme: {{command: "{ESME}"}}
steps:
  - name: bound
    expect: {{bind: {{}}, within: 30s}}
"""


def scenario(tmp_path: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "one.yaml"
    path.write_text(text, encoding="utf-8")
    return run("scenario", str(path), *options)


def steps(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.stdout, done.stderr
    [one] = json.loads(done.stdout)["scenarios"]
    found: list[dict[str, Any]] = one["steps"]
    return found


def test_list_show_and_schema() -> None:
    listed = run("scenario", "--list").stdout
    assert "hello: Bind, a query" in listed
    assert "handset=84905123456" in listed
    shown = run("scenario", "--show", "hello").stdout
    assert shown.startswith("# The first scenario")
    assert "steps:" in shown
    assert json.loads(run("scenario", "--schema").stdout)["title"] == "Scenario of motcua-simulator"
    assert run("scenario", "--show", "nothing").returncode == 1
    assert run("scenario").returncode == 2


def test_a_shown_scenario_is_one_s_own_to_change(tmp_path: Path) -> None:
    text = run("scenario", "--show", "hello").stdout
    done = scenario(tmp_path, text, "--check")
    assert (done.returncode, done.stdout) == (0, "one: 6 steps, right\n")


def test_a_wrong_file_is_exit_code_2_and_in_the_report(tmp_path: Path) -> None:
    report = tmp_path / "reports" / "junit.xml"
    done = scenario(tmp_path, "steps:\n  - expekt: {}\n", "--junit", str(report))
    assert done.returncode == 2
    assert f"{tmp_path}/one.yaml:2 steps[1].expekt: unknown key. Did you mean 'expect'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert ET.parse(report).getroot().get("errors") == "1"
    assert run("scenario", str(tmp_path / "none.yaml")).returncode == 2
    assert run("scenario", "nothing").returncode == 2


def test_a_setting_that_nothing_has(tmp_path: Path) -> None:
    done = run("scenario", "hello", "--set", "handsett=1", "--check")
    assert (done.returncode, "no such parameter" in done.stderr) == (2, True)
    assert run("scenario", "hello", "--set", "handset", "--check").returncode == 2


def test_passed_with_report_and_json(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    done = scenario(tmp_path, BINDS, "--junit", str(report), "--json", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    [one] = json.loads(done.stdout)["scenarios"]
    assert (one["passed"], one["seed"], [step["status"] for step in one["steps"]]) == (True, 5, ["passed"])
    assert "bound" in one["esme_output"]
    root = ET.parse(report).getroot()
    assert (root.get("tests"), root.get("failures")) == ("1", "0")


def test_several_files_are_played_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(BINDS, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BINDS + "  - expect: {text: {}, within: 100ms}\n", encoding="utf-8")
    done = run("scenario", str(tmp_path / "bad.yaml"), str(tmp_path / "good.yaml"))
    assert done.returncode == 1
    assert done.stdout.index("FAILED") < done.stdout.index("passed: 1 passed")
    assert done.stdout.rstrip().endswith("1 of 2 scenarios failed: bad")


def test_an_esme_that_is_not_there(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    text = "esme: {command: no-such-program}\nsteps:\n  - wait: 1s\n"
    done = scenario(tmp_path, text, "--junit", str(report))
    assert done.returncode == 2
    assert "one.yaml:1 esme.command: there is no program 'no-such-program'" in done.stderr
    assert "no-such-program" in (ET.parse(report).getroot().findtext("testsuite/testcase/error") or "")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = scenario(tmp_path, "steps:\n  - wait: 1s\n", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "choose another port with --port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_esme_that_dies_fails_at_once_with_its_last_words(tmp_path: Path) -> None:
    text = f"""
esme:
  command: [{sys.executable}, -c, "print('cannot bind: no licence'); raise SystemExit(3)"]
steps:
  - expect: {{bind: {{}}, within: 50s}}
"""
    done = scenario(tmp_path, text)
    assert done.returncode == 1
    assert "the ESME ended by itself with exit code 3" in done.stdout
    assert "cannot bind: no licence" in done.stdout


def test_an_esme_that_is_never_ready(tmp_path: Path) -> None:
    text = f"""
esme:
  command: [{sys.executable}, -u, -c, "import time; print('loading'); time.sleep(60)"]
  ready: {{output: "^listening", within: 1s}}
  stop_within: 200ms
steps:
  - wait: 1s
"""
    done = scenario(tmp_path, text)
    assert done.returncode == 1
    assert "the ESME was not ready within 1 s" in done.stdout
    assert "the ESME wrote: loading" in done.stdout


def test_an_esme_that_is_ready_by_its_output_and_its_binds(tmp_path: Path) -> None:
    text = BINDS.replace("steps:", "", 1).replace(
        "esme: {", "esme: {ready: {output: '^bound', binds: 1}, env: {COLOUR: blue}, ", 1
    )
    done = scenario(tmp_path, text.replace("  - name: bound", "steps:\n  - name: bound"), "--json")
    assert [step["status"] for step in steps(done)] == ["passed"]
    assert steps(done)[0]["seconds"] < 0.5


def test_an_esme_that_ignores_sigterm_is_killed_by_its_id(tmp_path: Path) -> None:
    code = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid()); time.sleep(120)"
    text = f"""
esme:
  command: [{sys.executable}, -u, -c, "{code}"]
  ready: {{output: "[0-9]+"}}
  stop_within: 300ms
steps:
  - expect: {{output: {{matches: "(?P<pid>[0-9]+)"}}}}
    save: {{line: text}}
"""
    done = scenario(tmp_path, text, "--json")
    assert done.returncode == 0, done.stdout
    [one] = json.loads(done.stdout)["scenarios"]
    pid = int(one["esme_output"][0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return
    raise AssertionError(f"process {pid} still runs")


def test_an_esme_is_killed_and_started_again(tmp_path: Path) -> None:
    text = (
        BINDS
        + """
  - esme: kill
  - expect: {links: {exactly: 0}}
  - esme: start
  - expect: {links: {exactly: 1}, within: 30s}
  - esme: restart
  - expect: {bind: {}, since: now, within: 30s}
  - esme: stop
  - expect: {links: {exactly: 0}}
"""
    )
    done = scenario(tmp_path, text)
    assert done.returncode == 0, done.stdout


def test_commands(tmp_path: Path) -> None:
    text = f"""
parameters: {{python: "{sys.executable}"}}
steps:
  - run: ["${{python}}", -c, "print('so 42')"]
    save: {{told: output}}
  - run: {{command: ["${{python}}", -c, "import sys; sys.exit('${{told}}' != 'so 42')"]}}
  - run: {{command: ["${{python}}", -c, "raise SystemExit(4)"], exit: 4}}
  - run: {{command: ["${{python}}", -c, "import os; print(os.environ['COLOUR'])"], env: {{COLOUR: blue}}, output: blue}}
"""
    done = scenario(tmp_path, text, "--json")
    assert [step["status"] for step in steps(done)] == ["passed"] * 4, done.stdout


def test_commands_that_fail(tmp_path: Path) -> None:
    def told(run_section: str) -> str:
        done = scenario(tmp_path, f"steps:\n  - run: {run_section}\n")
        assert done.returncode == 1
        return done.stdout

    assert "exit code 4, 0 was expected" in told(f'["{sys.executable}", -c, "raise SystemExit(4)"]')
    assert "there is no program 'nowhere'" in told("nowhere --fast")
    slow = f'{{command: ["{sys.executable}", -c, "import time; time.sleep(60)"], within: 300ms}}'
    assert "not over within 0.3 s" in told(slow)
    words = f'{{command: ["{sys.executable}", -c, "print(1)"], output: {{contains: "2"}}}}'
    assert "its output is '1', expected to contain '2'" in told(words)


def test_ctrl_c_ends_the_esme_first(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(BINDS + "  - expect: {text: {}, within: 60s}\n", encoding="utf-8")
    process = subprocess.Popen([*COMMAND, "scenario", str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "✓" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(20) == 130
    process.stdout.close()
    assert "interrupted" in rest
