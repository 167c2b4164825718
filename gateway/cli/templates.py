"""``motcua-gateway templates``: the texts as operators register them, and whether they fit."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from gateway.cli import cli, load_or_exit
from gateway.cli.tables import FORMATS, Column, write
from gateway.clock import VIETNAM
from gateway.errors import TemplateError
from gateway.settings import GatewaySettings, NoticeSettings
from gateway.templates import forms
from gateway.templates.registry import Registry


@cli.group("templates")
def templates_group() -> None:
    """The texts of the messages."""


_config = click.option(
    "--config", "config_path", type=click.Path(path_type=Path), default=None, help="Take settings from this file."
)
_files = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="Texts of this folder; default: the shipped ones.",
)


@templates_group.command("export")
@_config
@_files
@click.option("--version", "version", default=None, help="Only this version, such as rollout_2017; default: all.")
@click.option("--id", "template_id", default=None, help="Only this text, such as result_ready.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Default: print.")
def templates_export(
    config_path: Path | None,
    directory: Path | None,
    version: str | None,
    template_id: str | None,
    form: str,
    output: Path | None,
) -> None:
    """The form that operators register: sender, text with {n} for each placeholder, greatest lengths, segments."""
    settings = load_or_exit(config_path) if config_path else None
    notices = settings.notices if settings else NoticeSettings()
    registry = _registry(directory)
    shown = [
        template
        for template in registry
        if (version is None or template.version == version) and (template_id is None or template.id == template_id)
    ]
    if not shown:
        known = ", ".join(sorted({template.version for template in registry}))
        raise click.UsageError(f"no text has that id and version; versions: {known}")
    price = _price(settings)
    rows = [forms.registered(template, notices.brandname, _shortcode(settings), price) for template in shown]
    columns = [
        Column("id", "Mã mẫu"),
        Column("version", "Phiên bản"),
        Column("valid_from", "Từ ngày"),
        Column("valid_to", "Đến ngày"),
        Column("sender", "Tên gửi"),
        Column("text", "Nội dung đăng ký"),
        Column("text_accents", "Nội dung có dấu"),
        Column("placeholders", "Tham số (độ dài tối đa)"),
        Column("segments", "Số SMS ít nhất"),
        Column("segments_most", "Số SMS nhiều nhất"),
        Column("segments_accents", "Số SMS nhiều nhất, có dấu"),
        Column("cost_vnd", "Chi phí nhiều nhất (đồng)"),
        Column("document", "Văn bản"),
    ]
    write(columns, rows, form, output, "Mẫu tin nhắn")


@templates_group.command("lint")
@_config
@_files
@click.option("--at", "at_text", default=None, help="The day that is asked about; default: today.")
def templates_lint(config_path: Path | None, directory: Path | None, at_text: str | None) -> None:
    """Refuse a text that cannot fit, has a gap in its dates, or that the configuration wants and nobody has written.

    Exit status 1 when there are faults.
    """
    try:
        day = date.fromisoformat(at_text) if at_text else datetime.now(VIETNAM).date()
    except ValueError as error:
        raise click.UsageError(f"--at: '{at_text}' is no day. Write 2026-03-01") from error
    settings = load_or_exit(config_path) if config_path else None
    registry = _registry(directory)
    notices = (settings.notices if settings else NoticeSettings()).on(day)
    names = {code: agency.name for code, agency in settings.agencies.items() if agency.name} if settings else {}
    found = forms.lint(registry, notices, names, day)
    for remark in found:
        click.echo(str(remark))
    faults = sum(remark.fault for remark in found)
    click.echo(
        f"{len(list(registry))} texts, {faults} fault{'' if faults == 1 else 's'}, {len(found) - faults} other remarks"
    )
    if faults:
        raise SystemExit(1)


def _registry(directory: Path | None) -> Registry:
    try:
        return Registry.load(directory) if directory else Registry.load()
    except TemplateError as error:
        for fault in str(error).split("; "):
            click.echo(f"fault: {fault}")
        raise SystemExit(1) from error


def _price(settings: GatewaySettings | None) -> float | None:
    """The dearest operator's price: what a message may cost."""
    prices: list[Any] = [operator.price_per_part_vnd for operator in settings.operators.values()] if settings else []
    return max(prices) if prices and None not in prices else None


def _shortcode(settings: GatewaySettings | None) -> str:
    services = settings.queries.services if settings else ()
    return services[0].shortcodes[0] if services else "8083"
