"""The command line as a stranger uses it: explain, check, db."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import BIN, PATIENCE_S, Lab

DATA = Path(__file__).parents[1] / "data"


def gateway(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "motcua-gateway"), *arguments],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def cases(name: str) -> list[Mapping[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_known_query_is_read_as_expected() -> None:
    rows = cases("mo_cases.csv")
    done = gateway("explain", "mo", "-", "--json", given="".join(row["input_text"] + "\n" for row in rows))
    got = [(entry["result"], entry["code"] or "") for entry in objects(done)]
    assert got == [(row["expected_result"], row["expected_code"]) for row in rows]


def test_every_known_number_is_judged_as_expected() -> None:
    rows = cases("phone_cases.csv")
    for day in sorted({row["recorded_at"] for row in rows}):
        todays = [row for row in rows if row["recorded_at"] == day]
        given = "".join(row["raw"] + "\n" for row in todays)
        found = objects(gateway("explain", "phone", "-", "--recorded-at", day, "--json", given=given))
        assert len(found) == len(todays)
        for entry, row in zip(found, todays, strict=True):
            assert (entry["result"], entry["e164"] or "") == (row["expected_result"], row["expected_e164"]), row
            if row["reason_or_flag"]:
                assert row["reason_or_flag"] in (entry["reason"], *entry["flags"]), row


def test_a_text_with_its_segments() -> None:
    options = ["--agency", "TP Nha Trang", "--code", "0101701234", "--due", "2026-11-23"]
    [found] = objects(gateway("explain", "text", "apology_due_tomorrow", *options, "--json"))
    assert found["coding"] == "gsm7"
    assert found["segments"] == 2
    assert "vao ngay 23/11/2026" in found["text"]


def test_a_text_that_begins_with_a_dash_is_a_text() -> None:
    [found] = objects(gateway("explain", "mo", "-MCKH 0101701234", "--json"))
    assert found["result"] in ("OK", "ERR_KEYWORD")


def test_an_unknown_template_is_named() -> None:
    done = gateway("explain", "text", "no_such_template")
    assert done.returncode == 1
    assert "no_such_template" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"nodes": "x"}, "nodes"),
        ({"operators": {}}, "operators"),
        ({"lease_s": -1}, "lease_s"),
    ],
)
def test_a_fault_of_the_configuration_is_one_line_with_its_path(lab: Lab, change: dict[str, Any], path: str) -> None:
    lab.configure()
    values = json.loads(json.dumps(change))

    settings = yaml.safe_load(lab.gateway_config.read_text(encoding="utf-8")) | values
    lab.gateway_config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    for command in ("check", "run"):
        done = gateway(command, "--config", str(lab.gateway_config))
        assert done.returncode == 1
        assert [line for line in done.stderr.splitlines() if line.startswith(path)], done.stderr
        assert "Traceback" not in done.stderr


def test_check_tries_everything_and_tells_each_fault(lab: Lab) -> None:
    lab.configure(bind={"password": "wrong"})
    lab.start_simulator()
    bad = lab.run("motcua-gateway", "check", "--config", str(lab.gateway_config), check=False)
    assert bad.returncode == 1
    assert "operators.viettel.binds.0" in bad.stdout
    assert "ESME_RINVPASWD" in bad.stdout
    assert "sources.nha-trang: ok" in bad.stdout
    lab.configure()
    good = lab.run("motcua-gateway", "check", "--config", str(lab.gateway_config))
    assert "ok" in good.stdout


def test_check_names_an_unreachable_smsc_and_a_missing_view(lab: Lab) -> None:
    lab.configure()

    settings = yaml.safe_load(lab.gateway_config.read_text(encoding="utf-8"))
    settings["sources"]["nha-trang"]["view"] = "no_such_view"
    lab.gateway_config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = lab.run("motcua-gateway", "check", "--config", str(lab.gateway_config), check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert any(line.startswith("operators.viettel.binds.0") and "127.0.0.1" in line for line in lines), lines
    assert any(line.startswith("sources.nha-trang") and "no_such_view" in line for line in lines), lines


def test_check_tells_a_port_that_cannot_be_listened_on_at_once(lab: Lab) -> None:
    """And a port that two binds share is no fault, though both are tried."""
    lab.configure()
    settings = yaml.safe_load(lab.gateway_config.read_text(encoding="utf-8"))
    [bind] = settings["operators"]["viettel"]["binds"]
    del bind["host"], bind["port"]
    quick = {"session_init_timeout_s": 1}
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1], free.getsockname()[1], free.getsockname()[1]]
        free.close()
        settings["operators"]["viettel"]["binds"] = [
            bind | quick | {"name": name, "listen": {"port": port, "interface": "127.0.0.1", "allow": ["127.0.0.1"]}}
            for name, port in zip(("one", "two", "three"), ports, strict=True)
        ]
        lab.gateway_config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        done = lab.run("motcua-gateway", "check", "--config", str(lab.gateway_config), check=False)
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("operators.viettel.binds.")]
    cannot = [line for line in faults if "cannot listen" in line]
    assert len(cannot) == 1
    assert cannot[0].startswith(f"operators.viettel.binds.0.listen: cannot listen on 127.0.0.1:{ports[0]}: ")
    assert "choose another port" in cannot[0]
    assert [line for line in faults if "binds.1.listen: no operator connected" in line]
    assert [line for line in faults if "binds.2.listen: no operator connected" in line]


def test_db_upgrade_and_current(lab: Lab) -> None:
    lab.configure()
    config = ("--config", str(lab.gateway_config))
    assert lab.run("motcua-gateway", "db", "current", *config, check=False).returncode == 1
    assert "->" in lab.run("motcua-gateway", "db", "upgrade", *config).stdout
    assert "current" in lab.run("motcua-gateway", "db", "current", *config).stdout
    assert "already" in lab.run("motcua-gateway", "db", "upgrade", *config).stdout
