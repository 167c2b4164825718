"""`explain text -`: each line of JSON is held to what the options allow, and a wrong one does not stop the others."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from gateway.cli import cli

_GOOD = '{"template": "result_ready", "code": "0101701234", "agency": "UBND huyện Khánh Sơn"}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"template": "result_ready", "code": "1", "agency_name": "A"}', "unknown key 'agency_name'"),
        ('{"template": "result_ready", "code": "1", "agency": "A", "accents": "bold"}', "'bold'"),
        ('{"template": "result_ready", "code": "1", "agency": "A", "max_parts": "x"}', "max_parts: 'x'"),
        ('{"template": "result_ready", "code": "1", "agency": "A", "max_parts": 0}', "max_parts: 0"),
        ('{"template": "result_ready", "max_parts": true}', "max_parts: True"),
        ('{"template": ', "not JSON"),
        ('{"template": "result_ready"} {}', "not JSON"),
    ],
)
def test_a_wrong_line_is_one_error_among_the_answers(line: str, said: str) -> None:
    done = CliRunner().invoke(cli, ["explain", "text", "-", "--json"], input=f"{_GOOD}\n{line}\n{_GOOD}\n")
    first, wrong, last = map(json.loads, done.output.splitlines())
    assert first == last
    assert first["segments"] == 1
    assert said in wrong["error"]
    assert done.exit_code == 1
