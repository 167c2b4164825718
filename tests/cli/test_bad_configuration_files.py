"""Configuration files as strangers leave them: one clear line each, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.app.prepare import agency_name_faults, startup_faults
from gateway.cli import cli
from gateway.settings import ConfigFaults, load_settings, parse_settings

BIND: dict[str, Any] = {"name": "b", "host": "127.0.0.1", "system_id": "x"}


def with_password(password: Any) -> dict[str, Any]:
    return {"operators": {"one": {"binds": [{**BIND, "password": password}]}}}


@pytest.mark.parametrize("octets", [b"\xff\xfen\x00", b"node: caf\xe9\n"])
def test_a_file_that_is_not_utf8_is_one_line(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(octets)
    with pytest.raises(ConfigFaults, match="is not UTF-8"):
        load_settings(path)
    done = CliRunner().invoke(cli, ["check", "--config", str(path)])
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1


def test_a_secret_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigFaults, match="is not UTF-8 text"):
        parse_settings(with_password({"file": str(secret)}))


@pytest.mark.parametrize("password", [{"env": None}, {"file": None}, {"env": ""}, {"evn": "X"}])
def test_a_secret_without_a_name_says_how_to_write_one(password: dict[str, Any]) -> None:
    with pytest.raises(ConfigFaults, match=r"write \{env: NAME\}"):
        parse_settings(with_password(password))


@pytest.mark.parametrize(
    ("agency", "paths"),
    [
        ({"name": "UBND huyện Khánh Sơn"}, []),
        ({"name": "Ủ" * 100}, []),
        ({"name": "Ủ" * 101}, ["agencies.KS.name"]),
        ({"names": [{"name": "Ủ" * 101, "from": "2025-07-01"}]}, ["agencies.KS.names.0.name"]),
    ],
)
def test_an_agencys_name_that_no_text_takes_is_told_and_stops_nothing(agency: dict[str, Any], paths: list[str]) -> None:
    settings = parse_settings({**with_password("x"), "agencies": {"KS": agency}})
    assert [fault.path for fault in agency_name_faults(settings)] == paths
    assert startup_faults(settings) == []
