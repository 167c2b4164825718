"""What is wrong with a scenario's file is told before anything is played: line, path, and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from simulator.errors import ConfigFaults
from simulator.scenario.library import shipped
from simulator.scenario.load import Case, Given, load
from simulator.scenario.reference import rewrite
from simulator.scenario.schema import schema
from simulator.scenario.values import parse_duration
from simulator.scenario.yaml_lines import parse, read


def cases(text: str, **settings: str) -> list[Case]:
    return load(parse("test.yaml", text), "test", Given(settings))


def faults(text: str, **settings: str) -> list[str]:
    with pytest.raises(ConfigFaults) as caught:
        cases(text, **settings)
    return [str(fault) for fault in caught.value.faults]


STEP = "steps:\n  - expect: {bind: {}}\n"
WRONG = {
    "a misspelt key": ("steps:\n  - expekt: {bind: {}}\n", "test.yaml:2 steps[1].expekt: unknown key. Did you mean 'expect'?"),
    "a misspelt key, deep": (
        "steps:\n  - mo:\n      from: '84905123456'\n      to: '8083'\n      txt: x\n",
        "test.yaml:5 steps[1].mo.txt: unknown key. Did you mean 'text'?",
    ),
    "a key that resembles nothing": ("zzz: 1\n" + STEP, "test.yaml:1 zzz: unknown key. Here may stand: parameters, matrix"),
    "a required key": ("steps:\n  - mo: {to: '8083'}\n", "test.yaml:2 steps[1].mo.from: is required and missing"),
    "no steps": ("about: x\n", "steps: is required and missing"),
    "two things in a step": (
        "steps:\n  - expect: {bind: {}}\n    wait: 1s\n",
        "test.yaml:2 steps[1]: does exactly one of mo, fault, clear, balance, outage, run, esme, wait, expect, never; there are 2",
    ),
    "two kinds in an expectation": ("steps:\n  - expect: {bind: {}, text: {}}\n", "expects exactly one of bind"),
    "a duration": ("steps:\n  - wait: 5 parsecs\n", "test.yaml:2 steps[1].wait: '5 parsecs' is no duration: write 500ms, 5s, 2m"),
    "a regular expression": ("steps:\n  - expect: {text: {matches: '('}}\n", "steps[1].expect.text.matches: not a regular expression"),
    "a status": ("steps:\n  - expect: {submit_sm: {status: ESME_OK}}\n", "'ESME_OK' is not a command_status"),
    "a fault that takes no time": ("steps:\n  - fault: {kind: cut, for: 3s}\n", "'cut' happens at once: it takes no seconds"),
    "an unknown fault": ("steps:\n  - fault: explode\n", "test.yaml:2 steps[1].fault.kind: Input should be 'throttle'"),
    "an unknown account": (STEP + "  - fault: {kind: cut, account: nobody}\n", "there is no account 'nobody'. It is one of: smsc"),
    "an unknown step": (STEP + "  - expect: {text: {}, since: before}\n", "no earlier step is named 'before'"),
    "an unset variable": ("steps:\n  - wait: ${patience}\n", "test.yaml:2 steps[1].wait: nobody sets ${patience}"),
    "a variable that is saved later": (
        "steps:\n  - run: 'echo ${code}'\n  - expect: {text: {matches: '(?P<code>x)'}}\n",
        "test.yaml:2 steps[1].run: nobody sets ${code}",
    ),
    "what only the run knows": ("seed: ${port}\n" + STEP, "test.yaml:1 seed: ${port} is known only in the run"),
    "a built-in's name": ("parameters: {port: 1}\n" + STEP, "'port' is told by the run"),
    "a parameter without a value": (
        "parameters: {who: {about: the handset}}\n" + STEP,
        "has no default (the handset). Give it with --set who=",
    ),
    "a parameter of several values": ("parameters: {a: [1, 2]}\n" + STEP, "several to go through belong into 'matrix'"),
    "a value that does not fit": (
        "parameters: {count: many}\nsteps:\n  - expect: {text: {}, at_least: '${count}'}\n",
        "test.yaml:3 steps[1].expect.at_least: 'many' is no whole number",
    ),
    "the simulator's settings": (
        "simulator:\n  accounts:\n    acc:\n      receipts: {dely: 1}\n" + STEP,
        "test.yaml:4 simulator.accounts.acc.receipts.dely: unknown key. Did you mean 'delay'?",
    ),
    "a preset": ("preset: nobody\n" + STEP, "there is no preset 'nobody'"),
    "a key twice": ("about: a\nabout: b\n" + STEP, "the key 'about' stands twice"),
    "YAML": ("about: [\n", "test.yaml:2: "),
    "an ESME that nobody starts": ("steps:\n  - esme: kill\n", "the scenario does not start the ESME"),
    "output of an ESME that nobody starts": ("steps:\n  - expect: {output: {}}\n", "the scenario does not start the ESME"),
    "a matrix of unequal points": ("matrix: [{a: 1}, {b: 2}]\n" + STEP, "every combination needs the same names: a, b"),
    "a huge matrix": (
        "matrix: {a: &n [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], b: *n, c: *n}\n" + STEP,
        "more than 1000 combinations",
    ),
    "counting what counts itself": ("steps:\n  - expect: {links: {exactly: 1}, exactly: 2}\n", "'links' says itself how many"),
    "at_most without a time": ("steps:\n  - expect: {text: {}, at_most: 2}\n", "`for` goes with at_most alone"),
    "a field that a message does not have": ("steps:\n  - expect: {once: {by: colour, count: 1}}\n", "'colour' is no field of text"),
    "a match without a group": ("steps:\n  - expect: {once: {match: abc, count: 1}}\n", "match needs a group"),
    "repeating an expectation": ("steps:\n  - expect: {bind: {}}\n    times: 3\n", "times is for actions"),
    "an alias in its own anchor": ("about: &a [*a]\n" + STEP, "an alias stands inside its own anchor"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place_and_a_remedy(name: str) -> None:
    text, expected = WRONG[name]
    told = faults(text)
    assert any(expected in fault for fault in told), told
    assert all(fault.rstrip().endswith((".", "?", "describes it", "tabs")) or ". " in fault for fault in told)


def test_all_faults_are_told_at_once() -> None:
    told = faults("steps:\n  - wait: x\n  - fault: y\n  - zzz: 1\n")
    assert [fault.split(":")[1].split()[0] for fault in told] == ["2", "3", "4"]


def test_numbers_of_handsets_stay_what_they_are() -> None:
    [case] = cases("steps:\n  - mo: {from: 0702123456, to: 8083, text: 12:30:45}\n")
    assert case.scenario.steps[0].mo is not None
    mo = case.scenario.steps[0].mo
    assert (mo.phone, mo.to, mo.text) == ("0702123456", "8083", "12:30:45")


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("5s", 5.0), ("2m", 120.0), ("1.5", 1.5), (3, 3), (" 7 s ", 7.0)]
)
def test_durations(written: str | int, seconds: float) -> None:
    assert parse_duration(written) == seconds


def test_parameters_and_their_order() -> None:
    text = "parameters: {a: 1, b: 'x${a}', c: {default: '${b}y', about: z}}\nsteps:\n  - wait: ${a}\n    name: ${c}\n"
    [case] = cases(text)
    assert (case.scenario.steps[0].wait, case.scenario.steps[0].name) == (1.0, "x1y")
    [case] = cases(text, a="7")
    assert (case.scenario.steps[0].wait, case.scenario.steps[0].name) == (7.0, "x7y")


def test_a_literal_dollar_and_a_format() -> None:
    [case] = cases("parameters: {n: 42}\nsteps:\n  - run: ['echo', '$${n}', '${n:06d}', '$n']\n")
    assert case.step(0, {}).run is not None
    run = case.step(0, {}).run
    assert run is not None
    assert run.command == ("echo", "${n}", "000042", "$n")
    assert "cannot be written: 'x' is no number" in faults("parameters: {n: x}\nsteps:\n  - wait: '${n:d}'\n")[0]


def test_a_matrix_is_one_case_for_each_combination() -> None:
    text = "matrix: {a: [1, 2], b: [x, y]}\nsteps:\n  - wait: ${a}\n    name: ${b}\n"
    assert [case.name for case in cases(text)] == [
        "test [a=1, b=x]",
        "test [a=1, b=y]",
        "test [a=2, b=x]",
        "test [a=2, b=y]",
    ]
    assert [case.name for case in cases(text, a="2")] == ["test [a=2, b=x]", "test [a=2, b=y]"]
    points = "matrix: [{a: 1, b: x}, {a: 2, b: y}]\nsteps:\n  - wait: ${a}\n    name: ${b}\n"
    assert [case.scenario.steps[0].name for case in cases(points)] == ["x", "y"]


def test_the_port_is_a_free_one_only_where_the_scenario_starts_the_esme() -> None:
    def port(text: str, given: Given) -> int:
        [case] = load(parse("test.yaml", text), "test", given)
        return next(iter(case.scenario.simulator.accounts.values())).port

    assert port(STEP, Given({})) == 2775
    assert port("esme: {command: ./esme}\n" + STEP, Given({})) == 0
    assert port(STEP, Given({}, esme=("./esme",))) == 0
    assert port("simulator: {accounts: {a: {port: 3000}}}\nesme: {command: ./esme}\n" + STEP, Given({})) == 3000
    assert port("simulator: {accounts: {a: {port: 3000}}}\n" + STEP, Given({}, port=4000)) == 4000
    two = "simulator: {accounts: {a: {port: 1}, b: {port: 2}}}\n" + STEP
    with pytest.raises(ConfigFaults, match="--port is for one account"):
        load(parse("test.yaml", two), "test", Given({}, port=4000))


def test_a_configuration_file_and_a_preset_lie_beneath(tmp_path: Path) -> None:
    (tmp_path / "simulator.yaml").write_text(
        "accounts:\n  acc: {port: 2776, tps: 7, receipts: {delay: 3, form: tlv}}\n", encoding="utf-8"
    )
    path = tmp_path / "one.yaml"
    path.write_text(
        "config: simulator.yaml\nsimulator: {accounts: {acc: {receipts: {delay: 0.5}}}}\n" + STEP, encoding="utf-8"
    )
    [case] = load(read(path), "one", Given({}))
    account = case.scenario.simulator.accounts["acc"]
    assert (account.port, account.tps, account.receipts.form, account.receipts.delay.fixed) == (2776, 7, "tlv", 0.5)
    [case] = cases("preset: vinaphone\n" + STEP)
    assert case.scenario.simulator.accounts["smsc"].message_ids.form == "hex"


def test_every_shipped_scenario_is_right_says_what_it_finds_and_fits_the_schema() -> None:
    assert len(shipped()) >= 10
    validator = jsonschema.Draft202012Validator(schema())
    for name, document in shipped().items():
        assert load(document, name, Given({}))
        assert document.text.startswith("# ")
        head = document.text.split("about:")[0]
        assert "Bugs that it finds:" in head, name
        assert "It needs an ESME" in head, name
        assert document.value["about"]
        assert not list(validator.iter_errors(document.value)), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": [{"expekt": {}}]},
        {"steps": [{"mo": {"to": "8083"}}]},
        {"steps": []},
        {"steps": [{"wait": "1s"}], "simulator": {"acounts": {}}},
        {"steps": [{"fault": {"kind": "explode"}}], "about": ["no"]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(wrong: object) -> None:
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(wrong))


def test_the_schema_is_json_and_valid_itself() -> None:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    assert json.loads(json.dumps(made))["title"] == "Scenario of motcua-simulator"


def test_the_reference_in_the_guide_is_the_model() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert rewrite(page) == page, "run: python -m simulator.scenario.reference docs/simulator.md"
    for name in shipped():
        assert f"| `{name}` |" in page


def test_the_examples_of_the_guide_are_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    section = page.partition("## Scenarios")[2].partition("### Reference")[0]
    whole = section.partition("```yaml\n")[2].partition("```")[0]
    assert cases(whole)
    lines = [
        line.strip() for line in section.splitlines() if line.startswith(("    - expect:", "    - never:", "    - mo:"))
    ]
    lines += [
        line.strip()
        for line in section.splitlines()
        if re.match(r"    - (fault|clear|balance|outage|run|esme|wait):", line)
    ]
    assert len(lines) >= 25
    head = "parameters: {id: 1}\nesme: {command: x}\nsteps:\n  - {name: the query, wait: 0}\n"
    assert cases(head + "".join(f"  {line}\n" for line in lines))
