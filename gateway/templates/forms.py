"""Texts as operators register them, and what can be known of them before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from gateway.errors import TemplateError
from gateway.settings import NoticeSettings
from gateway.smpp.text import fold
from gateway.templates.registry import Registry, fewest_parts, longest_parts
from gateway.templates.rendering import measure
from gateway.templates.schema import PLACEHOLDER, Template


def registered(template: Template, brandname: str, shortcode: str, price_vnd: float | None) -> dict[str, Any]:
    """One text in the operators' form: placeholders numbered from 1, each with its greatest length."""
    numbers = {name: at for at, name in enumerate(template.names, start=1)}
    numbered = PLACEHOLDER.sub(lambda found: f"{{{numbers[found[1]]}}}", template.text)
    described = []
    for name, at in numbers.items():
        placeholder = template.placeholder(name)
        most = placeholder.max if placeholder else 0
        described.append(f"{{{at}}} {name}: {most}")
    most_parts = longest_parts(template, "fold")
    return {
        "id": template.id,
        "version": template.version,
        "valid_from": template.valid_from.isoformat(),
        "valid_to": template.valid_to.isoformat() if template.valid_to else "",
        "sender": brandname if template.sender == "brandname" else shortcode,
        "text": fold(numbered),
        "text_accents": numbered,
        "placeholders": "; ".join(described),
        "segments": fewest_parts(template, "fold"),
        "segments_most": most_parts,
        "segments_accents": longest_parts(template, "keep"),
        "cost_vnd": None if price_vnd is None else most_parts * price_vnd,
        "document": template.document,
    }


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a text."""

    fault: bool
    text: str

    def __str__(self) -> str:
        return f"{'fault' if self.fault else 'note'}: {self.text}"


def lint(registry: Registry, notices: NoticeSettings, agency_names: Mapping[str, str], day: date) -> list[Remark]:
    """Everything that can be said of the texts without a dossier.

    Args:
        agency_names: code → short name of the configuration; each must fit into every text that holds one.
    """
    return [
        *_wanted(registry, notices, day),
        *_names(registry, notices, agency_names, day),
        *_lengths(registry, notices),
        *_gaps(registry),
    ]


def _current(registry: Registry, notices: NoticeSettings, day: date) -> Iterator[Template]:
    """The texts of the enabled notices."""
    for kind in notices.enabled:
        try:
            yield registry.get(kind.value, registry.version_for(kind.value, notices.template_version, day))
        except TemplateError:
            continue


def _wanted(registry: Registry, notices: NoticeSettings, day: date) -> Iterator[Remark]:
    for kind in notices.enabled:
        try:
            version = registry.version_for(kind.value, notices.template_version, day)
            template = registry.get(kind.value, version)
        except TemplateError as error:
            yield Remark(True, str(error))
            continue
        if not template.valid_on(day):
            yield Remark(False, f"{kind.value} ({template.version}) is not in force on {day}, and is used all the same")
    wanted = [kind.value for kind in notices.enabled]
    for fault in registry.faults(
        wanted, notices.template_version, accents=notices.accents, max_parts=notices.max_parts, day=day
    ):
        if fault.path == "notices.max_parts":
            yield Remark(True, str(fault))


def _names(registry: Registry, notices: NoticeSettings, agency_names: Mapping[str, str], day: date) -> Iterator[Remark]:
    for template in _current(registry, notices, day):
        for name in template.names:
            placeholder = template.placeholder(name)
            if placeholder is None or placeholder.field != "agency_name" or placeholder.overflow == "shorten":
                continue
            for code, agency in agency_names.items():
                length = measure(agency, notices.accents)
                if length > placeholder.max:
                    yield Remark(
                        True,
                        f"{template.id} ({template.version}): the name of agency {code} has {length} characters, the registered "
                        f"maximum is {placeholder.max}. Set a short name under agencies.{code}.name",
                    )


def _lengths(registry: Registry, notices: NoticeSettings) -> Iterator[Remark]:
    """Texts that may be refused when every value is at its greatest length."""
    for template in registry:
        parts = longest_parts(template, notices.accents)
        allowed = min(notices.max_parts, template.max_parts or notices.max_parts)
        if template.sender == "shortcode" or parts <= allowed:
            continue
        yield Remark(
            False,
            f"{template.id} ({template.version}) may take {parts} parts with the longest values, {allowed} are allowed: such a "
            "message is refused, and listed with its reason",
        )


def _gaps(registry: Registry) -> Iterator[Remark]:
    """Days on which a text was not in force between two versions of it."""
    by_id: dict[str, list[Template]] = {}
    for template in registry:
        by_id.setdefault(template.id, []).append(template)
    for found in by_id.values():
        ordered = sorted(found, key=lambda template: template.valid_from)
        for one, following in pairwise(ordered):
            if one.valid_to is not None and (following.valid_from - one.valid_to).days > 1:
                yield Remark(True, f"{one.id} has no text between {one.valid_to} and {following.valid_from}")
