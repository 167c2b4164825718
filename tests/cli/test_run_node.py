"""``run --node``: the node's name on the command line, in place of the file's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.app import daemon
from gateway.cli import cli
from gateway.settings import GatewaySettings

CONFIG = """
node: from-the-file
operators:
  viettel: {licence_parts_per_s: 1, binds: [{name: v, host: localhost, system_id: motcua}]}
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[GatewaySettings]:
    """The settings with which the daemon would have run."""
    seen: list[GatewaySettings] = []
    monkeypatch.setattr(daemon, "run_daemon", lambda settings: seen.append(settings) or 0)
    return seen


def run(folder: Path, *options: str, **environment: str) -> Any:
    config = folder / "gateway.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return CliRunner().invoke(cli, ["run", "--config", str(config), *options], env=environment)


def test_the_file_names_the_node_unless_told_otherwise(tmp_path: Path, started: list[GatewaySettings]) -> None:
    assert run(tmp_path).exit_code == 0
    assert run(tmp_path, "--node", "node-2").exit_code == 0
    assert run(tmp_path, MOTCUA_NODE="node-3").exit_code == 0
    assert [settings.node for settings in started] == ["from-the-file", "node-2", "node-3"]
    assert {settings.operators["viettel"].licence_parts_per_s for settings in started} == {1}


@pytest.mark.parametrize("name", ["", "a/b", "node 1", "x" * 41])
def test_a_name_that_the_store_cannot_have_is_refused(
    tmp_path: Path, started: list[GatewaySettings], name: str
) -> None:
    refused = run(tmp_path, "--node", name)
    assert refused.exit_code == 2
    assert "letters, digits" in refused.output
    assert started == []
