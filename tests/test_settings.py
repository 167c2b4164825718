"""Settings: the sample loads, faults name their path and remedy, secrets stay secret, the page is up to date."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.model import ChargeDecision, DossierState, MessageKind
from gateway.settings import BindMode, ConfigFaults, StatusAction, load_settings, parse_settings
from gateway.settings_docs import render

ROOT = Path(__file__).resolve().parent.parent
MINIMAL: dict[str, Any] = {
    "operators": {"one": {"binds": [{"name": "one-1", "host": "127.0.0.1", "system_id": "motcua"}]}}
}


def with_value(path: str, value: Any) -> dict[str, Any]:
    """MINIMAL with one value set at a dotted path."""
    values = deepcopy(MINIMAL)
    place: Any = values
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return values


def faults_of(values: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigFaults) as caught:
        parse_settings(values)
    return [(fault.path, str(fault)) for fault in caught.value.faults]


@pytest.fixture(name="_secrets")
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOTCUA_VIETTEL_PASSWORD", "MOTCUA_VINAPHONE_PASSWORD"):
        monkeypatch.setenv(name, "secret1")
    for name in ("MOTCUA_SO_TU_PHAP_URL", "MOTCUA_NHA_TRANG_URL"):
        monkeypatch.setenv(name, "sqlite://")


@pytest.fixture(name="sample")
def sample_values(_secrets: None, tmp_path: Path) -> Path:
    """The sample configuration, with the one secret file moved to where a test may write."""
    password = tmp_path / "mobifone.password"
    password.write_text("secret2\n", encoding="utf-8")
    text = (ROOT / "config" / "gateway.yaml").read_text(encoding="utf-8")
    assert "/etc/motcua/mobifone.password" in text
    path = tmp_path / "gateway.yaml"
    path.write_text(text.replace("/etc/motcua/mobifone.password", str(password)), encoding="utf-8")
    return path


def test_the_sample_loads(sample: Path) -> None:
    settings = load_settings(sample)
    assert list(settings.operators) == ["viettel", "vinaphone", "mobifone"]
    assert settings.operators["mobifone"].binds[0].password == "secret2"
    assert settings.operators["vinaphone"].binds[0].mode is BindMode.PAIR
    assert settings.sources["so_tu_phap"].statuses["Chờ bổ sung"] is DossierState.AWAITING_SUPPLEMENT
    assert settings.notices.apology.at == time(17, 30)
    assert settings.notices.holidays[date(2026, 1, 10)] is False
    assert settings.charging.profiles["viettel"].outcome_statuses[0x0401] == "insufficient_balance"
    assert settings.agencies["H32.21"].same_day_exempt is False


def test_the_sample_maps_every_state_of_a_dossier(sample: Path) -> None:
    settings = load_settings(sample)
    for source in settings.sources.values():
        assert set(source.statuses.values()) == set(DossierState)


def test_the_sample_without_its_secrets_names_each(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOTCUA_VIETTEL_PASSWORD", "MOTCUA_SO_TU_PHAP_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigFaults) as caught:
        load_settings(ROOT / "config" / "gateway.yaml")
    lines = {fault.path: str(fault) for fault in caught.value.faults}
    assert "MOTCUA_VIETTEL_PASSWORD is not set" in lines["operators.viettel.binds.0.password"]
    assert "MOTCUA_SO_TU_PHAP_URL is not set" in lines["sources.so_tu_phap.url"]
    assert "mobifone.password cannot be read" in lines["operators.mobifone.binds.0.password"]


def test_defaults_follow_the_letters() -> None:
    settings = parse_settings(MINIMAL)
    assert settings.notices.brandname == "MotcuaSMS"
    assert settings.notices.template_version == "rollout_2017"
    assert settings.notices.enabled == (
        MessageKind.RESULT_READY,
        MessageKind.SUPPLEMENT_NEEDED,
        MessageKind.APOLOGY_DUE_TOMORROW,
    )
    assert settings.notices.hold_s == 600
    assert settings.notices.same_day_exempt is True
    assert (settings.notices.apology.at, settings.notices.apology.until) == (time(17, 30), time(20, 0))
    assert settings.queries.services[0].shortcodes == ("8083",)
    assert settings.charging.decisions.unknown_code is ChargeDecision.CHARGE
    assert settings.charging.decisions.bad_syntax is ChargeDecision.NO_CHARGE
    assert settings.charging.tariff[0].amount_vnd == 1000


@pytest.mark.parametrize(
    ("path", "value", "fault_path", "word"),
    [
        ("operator", {}, "operator", "unknown key"),
        ("operators.one.licence", 5, "operators.one.licence", "unknown key"),
        (
            "operators.one.binds.0",
            {"name": "x", "system_id": "m"},
            "operators.one.binds.0.host",
            "required and missing",
        ),
        ("operators.one.binds.0.port", 0, "operators.one.binds.0.port", "greater than or equal to 1"),
        ("operators.one.binds.0.mode", "transciever", "operators.one.binds.0.mode", "transceiver"),
        ("operators.one.binds.0.interface_version", 0x33 + 0x10, "operators.one.binds.0.interface_version", "0x34"),
        ("operators.one.binds.0.reconnect_max_s", 0.5, "operators.one.binds.0", "reconnect_max_s is below"),
        ("operators.one.binds.0.password", {"env": "NOT_SET_ANYWHERE"}, "operators.one.binds.0.password", "NOT_SET"),
        ("operators.one.binds.0.password", {"key": "x"}, "operators.one.binds.0.password", "{env: NAME}"),
        ("operators.one.charging", "gold", "(whole file)", "no profile 'gold'"),
        ("operators", {}, "operators", "at least 1"),
        ("sources.a.url", None, "sources.a.url", "string"),
        ("sources.a", {"url": "sqlite://", "view": "x; DROP"}, "sources.a.view", "pattern"),
        ("sources.a", {"url": "sqlite://", "statuses": {"Xong": "done"}}, "sources.a.statuses.Xong", "result_ready"),
        ("notices.brandname", "MotcuaSMS-KH", "notices.brandname", "at most 11"),
        ("notices.hold_s", -1, "notices.hold_s", "greater than or equal to 0"),
        ("queries.services", [{"national_code": "("}], "queries.services.0.national_code", "not a regular expression"),
    ],
)
def test_a_fault_names_its_path_and_what_is_wrong(path: str, value: Any, fault_path: str, word: str) -> None:
    found = faults_of(with_value(path, value))
    assert [line for at, line in found if at == fault_path and word in line], found


def test_every_fault_is_reported_at_once() -> None:
    values = with_value("operators.one.binds.0.port", "many")
    values["notices"] = {"hold_s": "long"}
    assert {path for path, _ in faults_of(values)} == {"operators.one.binds.0.port", "notices.hold_s"}


def test_bind_names_are_unique() -> None:
    values = deepcopy(MINIMAL)
    values["operators"]["two"] = deepcopy(values["operators"]["one"])
    assert "used twice: one-1" in faults_of(values)[0][1]


def test_only_one_default_operator() -> None:
    values = deepcopy(MINIMAL)
    values["operators"]["one"]["default"] = True
    values["operators"]["two"] = {"default": True, "binds": [{"name": "b", "host": "h", "system_id": "s"}]}
    assert "only one may have 'default: true'" in faults_of(values)[0][1]


def test_secrets_do_not_show() -> None:
    values = with_value("operators.one.binds.0.password", "hush-hush")
    values["store"] = {"url": "postgresql+psycopg://u:hush-hush@h/d"}
    assert "hush-hush" not in repr(parse_settings(values))


def test_values_of_secrets_do_not_show_in_faults() -> None:
    values = with_value("operators.one.binds.0.password", "x" * 65)
    assert "xxxxx" not in "".join(line for _, line in faults_of(values))


def test_status_actions_are_read_by_number(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    values = yaml.safe_dump(MINIMAL)
    path.write_text(values.replace("system_id: motcua", "system_id: motcua\n      status_actions: {0x0412: park}"))
    assert load_settings(path).operators["one"].binds[0].status_actions == {0x0412: StatusAction.PARK}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("operators:\n  a: 1\n  a: 2\n", ":3", "the key 'a' stands twice"),
        ("operators: [\n", ":", ""),
        ("a: 1\n\tb: 2\n", ":2", ""),
        ("", "", "is empty or not a mapping"),
        ("- a\n", "", "is empty or not a mapping"),
    ],
)
def test_what_is_not_a_configuration(tmp_path: Path, text: str, where: str, what: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigFaults) as caught:
        load_settings(path)
    fault = caught.value.faults[0]
    assert fault.path.startswith(f"{path}{where}")
    assert what in fault.what


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults) as caught:
        load_settings(tmp_path / "none.yaml")
    assert "cannot be read" in str(caught.value)


def test_settings_are_frozen() -> None:
    settings = parse_settings(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        settings.node = "other"  # type: ignore[misc]


def test_the_settings_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m gateway.settings_docs > docs/settings.md"
