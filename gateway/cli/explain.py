"""``motcua-gateway explain``: what the gateway makes of a text, a telephone number or a template."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from gateway.cli import cli, load_or_exit
from gateway.dossiers.phone import judge_phone
from gateway.errors import TemplateError
from gateway.mo.query import parse_query
from gateway.settings import NoticeSettings, QueryServiceSettings
from gateway.templates.registry import Registry

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object (with '-': one on each line).")
optional_config = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), default=None, help="Take settings from this file."
)
#: A citizen's text may begin with a dash; only a lone "-" means standard input.
FREE_TEXT = {"ignore_unknown_options": True}


@cli.group()
def explain() -> None:
    """Show what the gateway makes of an input. A lone '-' reads several, one a line, from standard input."""


def _inputs(argument: str) -> Iterator[str]:
    """The argument itself, or each line of standard input when it is '-'. Only line feeds end a line."""
    if argument != "-":
        yield argument
        return
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").removesuffix("\n").removesuffix("\r")


def _show(values: Mapping[str, Any], as_json: bool, as_text: str) -> None:
    click.echo(json.dumps(values, ensure_ascii=False) if as_json else as_text)


@explain.command("mo", context_settings=FREE_TEXT)
@click.argument("text")
@click.option("--shortcode", default="8083", show_default=True, help="The number the text was sent to.")
@optional_config
@json_option
def explain_mo(text: str, shortcode: str, config_path: Path | None, as_json: bool) -> None:
    """What the gateway reads in a citizen's TEXT."""
    service = _service(shortcode, config_path)
    for item in _inputs(text):
        parsed = parse_query(item, service)
        values = {"result": parsed.result.value, "code": parsed.code or None}
        _show(values, as_json, f"{values['result']}  {values['code'] or ''}".rstrip())


def _service(shortcode: str, config_path: Path | None) -> QueryServiceSettings:
    if config_path is None:
        return QueryServiceSettings()
    services = load_or_exit(config_path).queries.services
    for service in services:
        if shortcode in service.shortcodes:
            return service
    known = ", ".join(code for service in services for code in service.shortcodes)
    raise click.UsageError(f"no service in {config_path} has the shortcode {shortcode}; known: {known}")


@explain.command("phone", context_settings=FREE_TEXT)
@click.argument("raw")
@click.option(
    "--recorded-at",
    type=click.DateTime(formats=["%Y-%m-%d"]),
    default=None,
    help="The day on which the number was typed in; default: not known.",
)
@json_option
def explain_phone(raw: str, recorded_at: datetime | None, as_json: bool) -> None:
    """Whether a notice can go to the telephone number RAW, and why not."""
    day: date | None = recorded_at.date() if recorded_at else None
    for item in _inputs(raw):
        verdict = judge_phone(item, day)
        values = {
            "result": verdict.result,
            "e164": verdict.e164,
            "reason": verdict.reason,
            "flags": list(verdict.flags),
            "operator": verdict.operator,
        }
        _show(values, as_json, _phone_line(values))


def _phone_line(values: Mapping[str, Any]) -> str:
    parts = [values["result"], values["e164"] or values["reason"], values["operator"], *values["flags"]]
    return "  ".join(str(part) for part in parts if part)


@explain.command("text")
@click.argument("template_id")
@click.option("--agency", default="", help="Tên cơ quan")
@click.option("--code", default="", help="Mã số biên nhận")
@click.option("--due", default="", help="Ngày hẹn trả, dd/mm/yyyy or YYYY-MM-DD")
@click.option("--step", default="", help="Tên bước giải quyết hiện tại")
@click.option("--status", default="", help="Đúng hạn or Trễ hạn")
@click.option("--reason", default="", help="Lý do")
@click.option("--version", "template_version", default=None, help="rollout_2017 (default) or pilot_2016.")
@click.option("--accents", type=click.Choice(["fold", "keep"]), default=None, help="Default: fold.")
@click.option("--max-parts", type=click.IntRange(1, 255), default=None)
@optional_config
@json_option
def explain_text(template_id: str, config_path: Path | None, as_json: bool, **options: Any) -> None:
    """The text that template TEMPLATE_ID gives, its coding and its number of segments.

    With '-', each line of standard input is a template id, or a JSON object with "template" and the options.
    """
    settings = NoticeSettings() if config_path is None else load_or_exit(config_path).notices
    registry = Registry.load()
    failed = False
    for item in _inputs(template_id):
        chosen = dict(options)
        identifier = item.strip()
        try:
            if identifier.startswith("{"):
                chosen |= _line_options(identifier)
                identifier = str(chosen.pop("template", ""))
            rendered = registry.render(
                identifier,
                chosen["template_version"] or settings.template_version,
                _values(chosen),
                accents=chosen["accents"] or settings.accents,
                max_parts=chosen["max_parts"] or settings.max_parts,
            )
        except TemplateError as error:
            failed = True
            _show({"error": str(error)}, as_json, f"error: {error}")
            continue
        values = {"text": rendered.text, "coding": rendered.coding, "segments": rendered.parts}
        _show(values, as_json, f"{values['text']}\n({values['coding']}, {values['segments']} SMS)")
    if failed:
        raise SystemExit(1)


_LINE_KEYS = ("template", "agency", "code", "due", "step", "status", "reason", "version", "accents", "max_parts")


def _line_options(line: str) -> dict[str, Any]:
    """The options in a line of JSON, held to what the command line allows.

    Raises:
        TemplateError: the line is not JSON, or holds a key or value that no option takes.
    """
    try:
        values = json.loads(line)
    except ValueError as error:
        raise TemplateError(f"not JSON: {line[:60]} ({error})") from error
    unknown = sorted(values.keys() - set(_LINE_KEYS))
    if unknown:
        raise TemplateError(f"unknown key {unknown[0]!r}. Known: {', '.join(_LINE_KEYS)}")
    if values.get("accents") not in (None, "fold", "keep"):
        raise TemplateError(f"accents: {values['accents']!r} is neither fold nor keep")
    parts = values.get("max_parts")
    if parts is not None and (type(parts) is not int or not 1 <= parts <= 255):
        raise TemplateError(f"max_parts: {parts!r} is no whole number from 1 to 255")
    if "version" in values:
        values["template_version"] = values.pop("version")
    return dict(values)


def _values(options: Mapping[str, Any]) -> dict[str, str]:
    """Placeholder values by the registry's English names; the due date also as ISO."""
    due = str(options.get("due") or "")
    try:
        due = date.fromisoformat(due).strftime("%d/%m/%Y")
    except ValueError:
        due = due.strip()
    named = {
        "agency_name": options.get("agency"),
        "code": options.get("code"),
        "due_date": due,
        "step": options.get("step"),
        "status": options.get("status"),
        "reason": options.get("reason"),
    }
    return {name: str(value) for name, value in named.items() if value}
