"""A command imports what it needs, not what the others need: `explain` answers at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import gateway.cli
from gateway.cli import cli

_HEAVY = ("sqlalchemy", "alembic", "twisted.internet", "rich")


@pytest.mark.parametrize(
    "arguments", [("explain", "mo", "MCKH 0101701234"), ("explain", "phone", "0905123456"), ("--version",)]
)
def test_explain_does_without_the_store_and_the_network(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys, contextlib, gateway.cli\n"
        "with contextlib.suppress(SystemExit): gateway.cli.main()\n"
        f"print(sorted(name for name in {_HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_module_with_a_command_is_listed() -> None:
    folder = Path(gateway.cli.__file__).parent
    with_commands = {path.stem for path in folder.glob("*.py") if "@cli." in path.read_text(encoding="utf-8")}
    assert sorted(with_commands) == cli.list_commands(None)  # type: ignore[arg-type]
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    assert all(f"\n  {name} " in shown.output for name in with_commands)
