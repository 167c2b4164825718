"""The simulator's configuration: defaults, forms of values, faults with their paths."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.config_file import load_settings, parse_settings
from simulator.errors import ConfigFaults
from simulator.settings_docs import rewrite
from simulator.values import Delay, parse_status

ROOT = Path(__file__).parents[2]


def faults_of(values: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigFaults) as caught:
        parse_settings(values)
    return [str(fault) for fault in caught.value.faults]


def test_without_a_file_one_account_takes_anybody() -> None:
    settings = load_settings(None)
    assert list(settings.accounts) == ["any"]
    account = settings.accounts["any"]
    assert (account.port, account.system_id, account.password) == (2775, "*", "*")
    assert settings.control.host == "127.0.0.1"


def test_the_shipped_file_loads() -> None:
    settings = load_settings(ROOT / "config" / "simulator.yaml")
    assert set(settings.accounts) == {"viettel", "vinaphone", "mobifone"}
    assert settings.accounts["viettel"].charging is not None
    assert settings.accounts["viettel"].charging.balances == {"84961000000": 300}
    assert settings.accounts["vinaphone"].receipts.id_form == "decimal"


def test_the_page_has_every_setting() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert page == rewrite(page), "run: python -m simulator.settings_docs docs/simulator.md"
    assert "| `deliver_refused` | `false` |" in page


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"acounts": {}}, "acounts: unknown key. Remove it or correct its spelling; docs/simulator.md lists the keys"),
        ({"accounts": {"a": {"tsp": 5}}}, "accounts.a.tsp: unknown key."),
        (
            {"accounts": {"a": {"receipts": {"delay": {"uniform": [3, 1]}}}}},
            "accounts.a.receipts.delay: uniform: needs",
        ),
        ({"accounts": {"a": {"latency": {"fixed": 1, "normal": [1, 1]}}}}, "accounts.a.latency: give a number"),
        ({"accounts": {"a": {"statuses": {"rules": [{"destination": "(", "status": 1}]}}}}, "not a regular expression"),
        (
            {"accounts": {"a": {"statuses": {"weights": {"ESME_NONSENSE": 1}}}}},
            "'ESME_NONSENSE' is not a command_status",
        ),
        ({"accounts": {"a": {"receipts": {"weights": {"DELIVRD": 0}}}}}, "one is above 0"),
        ({"accounts": {"a": {"port": 70000}}}, "accounts.a.port:"),
        ({"accounts": {"a": {"port": 2775}, "b": {"port": 2775}}}, "accounts.b: port 2775 and system_id '*' are those"),
    ],
)
def test_a_fault_names_its_path_and_what_to_do(values: dict[str, object], expected: str) -> None:
    assert any(expected in fault for fault in faults_of(values)), faults_of(values)


def test_all_faults_are_told_at_once() -> None:
    assert len(faults_of({"nonsense": 1, "accounts": {"a": {"tps": 0, "port": -1}}})) == 3


def test_a_file_that_is_not_there_or_is_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match=r"missing\.yaml: cannot be read .* Name an existing file"):
        load_settings(tmp_path / "missing.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("accounts:\n  a: [1\nb: 2\n", encoding="utf-8")
    with pytest.raises(ConfigFaults, match=r"broken\.yaml:\d+"):
        load_settings(broken)
    broken.write_text("seed: 1\nseed: 2\n", encoding="utf-8")
    with pytest.raises(ConfigFaults, match=r"broken\.yaml:2: the key 'seed' stands twice"):
        load_settings(broken)
    broken.write_text("", encoding="utf-8")
    with pytest.raises(ConfigFaults, match="is empty"):
        load_settings(broken)
    broken.write_bytes(b"seed: \xff\xfe")
    with pytest.raises(ConfigFaults, match="is not UTF-8"):
        load_settings(broken)


@pytest.mark.parametrize(("written", "number"), [("ESME_RTHROTTLED", 0x58), ("0x58", 0x58), (88, 88), (" 1032 ", 1032)])
def test_statuses_by_name_and_number(written: str | int, number: int) -> None:
    assert parse_status(written) == number


@pytest.mark.parametrize("written", ["ESME_NONSENSE", -1, 1 << 32, True, ""])
def test_what_is_no_status(written: str | int) -> None:
    with pytest.raises(ValueError, match="command_status"):
        parse_status(written)


times = st.floats(0, 100)


@given(
    st.one_of(
        st.builds(lambda a: {"fixed": a}, times),
        st.builds(lambda a, b: {"uniform": sorted((a, b))}, times, times),
        st.builds(lambda a, b: {"normal": (a, b)}, times, times),
    ),
    st.none() | st.tuples(st.floats(0, 1), times),
    st.integers(),
)
def test_a_delay_is_never_negative_and_repeats_with_its_seed(
    form: dict[str, object], spike: tuple[float, float] | None, seed: int
) -> None:
    delay = Delay.model_validate({**form, "spike": spike})
    first = [delay.draw(random.Random(seed)) for _ in range(2)]
    assert first[0] == first[1] >= 0
    if "uniform" in form and spike is None:
        assert form["uniform"][0] <= first[0] <= form["uniform"][1]  # type: ignore[index]
