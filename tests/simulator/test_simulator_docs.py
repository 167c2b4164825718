"""docs/simulator.md names everything that there is, and its examples are what the simulator takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from control_rig import Client
from pydantic import BaseModel
from simulator_rig import Rig

from simulator.behaviours.directives import _FLAGS, _READERS, parse_directive
from simulator.behaviours.faults import FaultKind
from simulator.cli import cli
from simulator.config_file import parse_settings
from simulator.control_requests import CaptureBody, FaultBody, MoBody, fault_kinds
from simulator.control_routes import ROUTES
from simulator.openapi import DESCRIPTION
from simulator.presets import presets
from simulator.settings import AccountSettings, SimulatorSettings

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
PROSE, TABLES = PAGE.split("\n## Settings\n")


def section(title: str) -> str:
    """The text under a title, up to the next one."""
    return PROSE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def commands(group: click.Group, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command as it is typed."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        words = (*before, name)
        found += commands(command, words) if isinstance(command, click.Group) else [words]
    return found


@pytest.mark.parametrize("words", commands(cli), ids=" ".join)
def test_every_command_is_shown(words: tuple[str, ...]) -> None:
    shown = " ".join(words)
    assert re.search(rf"(motcua-simulator |`){shown}\b", PROSE), f"'{shown}' does not appear in docs/simulator.md"


def options(group: click.Group) -> list[tuple[str, str]]:
    found = []
    for words in commands(group):
        command: click.Command = group
        for word in words:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        found += [(" ".join(words), option) for parameter in command.params for option in parameter.opts[:1]]
    return [(words, option) for words, option in found if option.startswith("--")]


@pytest.mark.parametrize(
    ("words", "option"), [one for one in options(cli) if one[0] in ("run", "mo", "load esme", "load smsc")]
)
def test_the_options_of_the_main_commands_are_shown(words: str, option: str) -> None:
    left_to_help = {
        "--help",
        "--wait",
        "--config",
        "--from",
        "--to",
        "--count",
        "--control-port",
        "--interface-version",
    }
    assert option in PROSE or option in left_to_help, f"{words} {option} does not appear in docs/simulator.md"


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_is_in_the_table_with_what_it_takes(kind: FaultKind) -> None:
    (row,) = re.findall(rf"^\| `{kind.value}` \|.*$", section("Faults"), re.MULTILINE)
    takes = next(one["takes"] for one in fault_kinds()["faults"] if one["fault"] == kind.value)
    wanted = {"--by" if word == "by_s" else f"--{word}" for word in takes}
    assert set(re.findall(r"--\w+", row.split("|")[3])) == wanted - {"--status"}
    assert "--status" in row or "--status" not in wanted


@pytest.mark.parametrize("name", [*_READERS, *_FLAGS])
def test_every_directive_is_in_the_table(name: str) -> None:
    rows = re.findall(rf"^\| `({name}(?:=[^`]+)?)` \|", section("Directives"), re.MULTILINE)
    assert rows
    for row in rows:
        assert parse_directive(f"#sim {row}#") is not None


@pytest.mark.parametrize("text", re.findall(r"^    (#sim .*?#)", PROSE, re.MULTILINE))
def test_directives_in_examples_can_be_read(text: str) -> None:
    assert parse_directive(text) is not None


def keys(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


def test_every_setting_is_in_the_tables() -> None:
    def look(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            assert f"| `{name}` |" in TABLES, name
            for inner in re.findall(r"simulator\.settings\.(\w+)", str(field.annotation)):
                import simulator.settings

                found = getattr(simulator.settings, inner, None)
                if isinstance(found, type) and issubclass(found, BaseModel):
                    look(found)

    look(SimulatorSettings)


BLOCKS = re.findall(r"```yaml\n(.*?)```", PROSE, re.DOTALL)


def examples() -> list[dict[str, Any]]:
    """YAML examples that are settings: a whole file, or what stands in an account."""
    read = [yaml.safe_load(block) for block in BLOCKS]
    return [
        one for one in read if isinstance(one, dict) and set(one) <= keys(SimulatorSettings) | keys(AccountSettings)
    ]


@pytest.mark.parametrize("values", examples(), ids=lambda values: "+".join(values))
def test_yaml_examples_are_settings(values: dict[str, Any]) -> None:
    whole = values if set(values) & {"accounts"} else {"accounts": {"example": values}}
    parse_settings(whole)


def test_there_are_examples_of_every_part_of_an_account() -> None:
    shown = set().union(*examples())
    assert keys(AccountSettings) - shown <= {"congestion_state", "charging"}  # in prose, and in config/simulator.yaml
    assert "congestion_state: true" in PROSE


@pytest.mark.parametrize("section", ["receipts", "disturbances", "mo"])
def test_every_key_of_a_part_is_in_an_example(section: str) -> None:
    model = {"receipts": AccountSettings().receipts, "disturbances": AccountSettings().disturbances}
    wanted = (
        keys(type(model[section])) if section in model else {"number_form", "long_message", "id_tlv", "retry", "keep_s"}
    )
    shown = set().union(*(one[section] for one in examples() if section in one))
    assert wanted <= shown


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.template}")
def test_every_path_is_in_the_page_and_in_openapi(route: Any) -> None:
    path = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), route.template)
    assert route.method.lower() in DESCRIPTION["paths"][route.template]
    if route.template not in ("/page", "/page/{file}"):
        assert re.search(rf"`{route.method} {re.escape(path)}[`?]", PROSE) or f"`{route.method} {path}` " in PROSE


@pytest.mark.parametrize(
    ("model", "schema"), [(MoBody, "MoRequest"), (FaultBody, "FaultRequest"), (CaptureBody, "CaptureRequest")]
)
def test_every_member_of_a_body_is_in_the_page_and_in_openapi(model: type[BaseModel], schema: str) -> None:
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert names == set(DESCRIPTION["components"]["schemas"][schema]["properties"])
    for name in names:
        assert f'"{name}"' in PROSE, name


def test_every_counter_is_in_the_page() -> None:
    text = Client(Rig(charging={})).get("/metrics").text
    names = set(re.findall(r"^# TYPE motcua_simulator_(\w+) ", text, re.MULTILINE))
    assert len(names) > 15
    for name in names:
        assert f"| `{name}` |" in PROSE, name


@pytest.mark.parametrize("name", presets())
def test_a_preset_that_is_named_is_there(name: str) -> None:
    parse_settings({"accounts": {name: {"preset": name}}})
    named = re.findall(r"(?:preset:|--preset|presets) ([a-z][\w-]+)`", section("Accounts") + section("Ten minutes"))
    assert len(named) >= 2
    assert set(named) <= set(presets())


def test_links_within_the_page_lead_somewhere() -> None:
    titles = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(#([\w-]+)\)", PAGE):
        assert target in titles, target
