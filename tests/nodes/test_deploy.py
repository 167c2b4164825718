"""The files in deploy/ are what they say: they parse, fit each other, and the gateway takes the configuration."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import postgres_server
import pytest
import sqlalchemy as sa
import yaml
from lab import BIN, PATIENCE_S

from gateway.settings import GatewaySettings, parse_settings

DEPLOY = Path(__file__).parents[2] / "deploy"
TRIO = DEPLOY / "three-nodes"
UNIT = DEPLOY / "motcua-gateway@.service"
#: Steps of a stop that may each take drain_timeout_s, and what the last of them takes besides, see Gateway.stop.
STOP_STEPS, STOP_REST_S = 5, 5.0


def secrets() -> dict[str, str]:
    lines = (TRIO / "secrets.env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((TRIO / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def settings(monkeypatch: pytest.MonkeyPatch) -> GatewaySettings:
    for name, value in secrets().items():
        monkeypatch.setenv(name, value)
    return parse_settings(yaml.safe_load((TRIO / "gateway.yaml").read_text(encoding="utf-8")))


def unit() -> dict[str, list[str]]:
    """Keys of all sections, with their values in order."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_the_gateway_takes_the_configuration_of_the_three_nodes() -> None:
    command = [str(BIN / "motcua-gateway"), "check", "--offline", "--config", str(TRIO / "gateway.yaml")]
    done = subprocess.run(
        command, env={**os.environ, **secrets()}, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_store_is_named_by_both_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    url = sa.make_url(settings(monkeypatch).store.url)
    arguments = url.get_dialect()().create_connect_args(url)[1]
    assert arguments["host"] == "pg-1,pg-2"
    assert arguments["port"] == "5432,5432"
    assert arguments["target_session_attrs"] == "read-write"
    assert {"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"} <= set(arguments)


def test_three_gateways_with_names_of_their_own_and_time_to_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    services = compose()["services"]
    gateways = [services[f"gateway-{number}"] for number in (1, 2, 3)]
    names = [gateway["environment"]["MOTCUA_NODE"] for gateway in gateways]
    assert len(set(names)) == 3
    needed = STOP_STEPS * settings(monkeypatch).drain_timeout_s + STOP_REST_S
    for stop in (*(gateway["stop_grace_period"] for gateway in gateways), *unit()["TimeoutStopSec"]):
        assert seconds(stop) >= needed
    pattern = GatewaySettings.model_fields["node"].metadata[0].pattern
    assert all(re.fullmatch(pattern, name) for name in names)


def test_every_image_is_official_or_our_own_and_every_file_is_there() -> None:
    described = compose()
    images = {service["image"] for service in described["services"].values()}
    assert images == {"postgres:17", "motcua-gateway:local"}
    for service in described["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (TRIO / source).is_file() if source.startswith("./") else source in described["volumes"]
        for other in service.get("depends_on", {}):
            assert other in described["services"]
    built = (TRIO / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (.*) \S+$", built, re.MULTILINE):
        for source in line.split():
            assert (DEPLOY.parent / source).exists(), source


def test_the_primary_s_script_sets_it_up(postgres_admin: sa.URL, tmp_path: Path) -> None:
    """What it does to a server, and that commits will wait for the standby that standby.sh makes."""
    script = (TRIO / "primary-init.sh").read_text(encoding="utf-8")
    mine = f"motcua_{uuid.uuid4().hex[:12]}"
    script = script.replace("ROLE motcua", f"ROLE {mine}").replace(
        "DATABASE motcua OWNER motcua", f"DATABASE {mine} OWNER {mine}"
    )
    script = script.replace("ROLE replication", f"ROLE {mine}_r")
    setting = "ALTER SYSTEM SET synchronous_standby_names = 'pg_2';"
    assert setting in script
    (tmp_path / "script.sh").write_text(script.replace(setting, ""), encoding="utf-8")  # the server is others', too
    (tmp_path / "pg_hba.conf").write_text("", encoding="utf-8")
    environment = {
        **os.environ,
        **secrets(),
        "PGHOST": str(postgres_admin.host),
        "PGPORT": str(postgres_admin.port or 5432),
        "PGDATA": str(tmp_path),
    }
    with postgres_server.connect(postgres_admin) as connection:
        try:
            command = ["sh", str(tmp_path / "script.sh")]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
            assert done.returncode == 0, done.stderr
            roles = connection.execute(
                "SELECT rolname, rolreplication FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY 1", (mine,)
            ).fetchall()
            owner = connection.execute(
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", (mine,)
            ).fetchall()
        finally:
            connection.execute(f'DROP DATABASE IF EXISTS "{mine}"')
            connection.execute(f'DROP ROLE IF EXISTS "{mine}", "{mine}_r"')
    assert roles == [(mine, False), (f"{mine}_r", True)]
    assert owner == [(mine,)]
    assert "host replication replication all scram-sha-256" in (tmp_path / "pg_hba.conf").read_text(encoding="utf-8")
    assert "application_name=pg_2" in (TRIO / "standby.sh").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", sorted(path.name for path in TRIO.glob("*.sh")))
def test_shell_scripts_parse(script: str) -> None:
    done = subprocess.run(["sh", "-n", str(TRIO / script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_unit_starts_a_node_of_the_instances_name() -> None:
    keys = unit()
    assert keys["ExecStart"][0].endswith("run --config /etc/motcua/gateway.yaml --node %i")
    assert keys["Restart"] == ["always"]
    sections = configparser.ConfigParser(strict=False, interpolation=None)
    sections.read_string(UNIT.read_text(encoding="utf-8"))
    assert sections.sections() == ["Unit", "Service", "Install"]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """Where systemd is installed; the program's path is this machine's, because systemd looks whether it is there."""
    text = UNIT.read_text(encoding="utf-8")
    assert "/opt/motcua/.venv/bin/" in text
    instance = tmp_path / "motcua-gateway@node-1.service"
    instance.write_text(text.replace("/opt/motcua/.venv/bin", str(BIN)), encoding="utf-8")
    program = shutil.which("systemd-analyze")
    if program is None:
        assert "[Service]" in text  # nothing to ask here; the other tests read the unit themselves
        return
    done = subprocess.run(
        [program, "verify", "--man=no", str(instance)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if instance.name in line]
    assert complaints == []
