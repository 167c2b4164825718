"""Faults of texts that only a dated rule set would bring to light."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app.prepare import startup_faults
from gateway.settings import parse_settings

BASE: dict[str, Any] = {"operators": {"one": {"binds": [{"name": "b", "host": "127.0.0.1", "system_id": "x"}]}}}


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"template_version": "1999"}, "notices.template_version"),
        ({"enabled": ["mo_reply"]}, "notices.enabled"),
        ({"accents": "keep"}, None),
        ({"supervision": {"enabled": True}}, None),
        ({"enabled": ["result_by_post"], "template_version": "dated"}, None),
    ],
)
def test_a_rule_sets_texts_are_checked_before_its_day(rules: dict[str, Any], path: str | None) -> None:
    settings = parse_settings({**BASE, "notices": {"rule_sets": [{"name": "x", "from": "2030-01-01", **rules}]}})
    assert [fault.path for fault in startup_faults(settings)] == ([path] if path else [])


def test_a_rule_set_that_ends_before_it_begins_is_refused() -> None:
    values = {**BASE, "notices": {"rule_sets": [{"name": "x", "from": "2030-01-02", "to": "2030-01-01"}]}}
    with pytest.raises(Exception, match="'x' ends before it begins"):
        parse_settings(values)
