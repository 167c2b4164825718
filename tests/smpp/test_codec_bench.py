"""The codec's benchmark runs, compares equal work, and has not become absurd."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "bench" / "codec.py"


def _run(*options: str) -> str:
    command = [sys.executable, str(PROGRAM), "--rounds", "3", "--milliseconds", "2", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_json_has_the_two_ratios_and_each_pdu() -> None:
    result = json.loads(_run("--json"))
    # The target is ten; half of it leaves room for a busy machine and still notices a lost order of magnitude.
    assert result["encode_ratio"] > 5
    assert result["decode_ratio"] > 5
    assert len(result["pdus"]) == 4
    assert all(pdu[way]["ours_us"] < pdu[way]["smpplib_us"] for pdu in result["pdus"].values() for way in pdu)


def test_the_table_names_the_noise() -> None:
    table = _run()
    assert "submit_sm" in table
    assert "noise of this machine" in table
