"""Which service a text is for."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.app.prepare import startup_faults
from gateway.mo.services import Services
from gateway.model import QueryResult
from gateway.settings import QuerySettings, parse_settings

TWO = [
    {"name": "mckh", "keyword": "MCKH", "shortcodes": ["8083", "9029"], "reply_deadline_s": 5},
    {"name": "tthue", "keyword": "TTHUE", "shortcodes": ["8083"], "reply_deadline_s": 12, "digits": [8]},
]


def services(**values: Any) -> Services:
    return Services(QuerySettings.model_validate({"services": TWO, **values}))


@pytest.mark.parametrize(
    ("destination", "text", "service", "result", "code"),
    [
        ("8083", "MCKH 0101701234", "mckh", QueryResult.OK, "0101701234"),
        ("9029", "mckh 0101701234", "mckh", QueryResult.OK, "0101701234"),
        ("8083", "TTHUE 01017012", "tthue", QueryResult.OK, "01017012"),
        ("8083", "TTHUE 0101701234", "tthue", QueryResult.ERR_CODE_LENGTH, "0101701234"),
        ("8083", "MCKH", "mckh", QueryResult.ERR_NO_CODE, ""),
        ("8083", "STOP", "mckh", QueryResult.ERR_KEYWORD, ""),
        ("9029", "TTHUE 01017012", "mckh", QueryResult.ERR_KEYWORD, ""),
        ("8083", "", "mckh", QueryResult.ERR_EMPTY, ""),
        ("8083", None, "mckh", QueryResult.ERR_KEYWORD, ""),
        ("+8083", "MCKH 0101701234", "mckh", QueryResult.OK, "0101701234"),
        ("848083", "MCKH 0101701234", "mckh", QueryResult.OK, "0101701234"),
    ],
)
def test_shortcode_and_keyword_choose_the_service(
    destination: str, text: str | None, service: str, result: QueryResult, code: str
) -> None:
    asked = services().judge(destination, text)
    assert asked.service is not None
    assert (asked.service.name, asked.result, asked.code, asked.ignore_reason) == (service, result, code, "")


@pytest.mark.parametrize("text", ["STOP", "", None, "HCKH 0101701234"])
def test_foreign_keywords_may_be_left_to_others(text: str | None) -> None:
    asked = services(foreign_keywords="ignore").judge("8083", text)
    assert (asked.service, asked.ignore_reason) == (None, "foreign_keyword")
    ours = services(foreign_keywords="ignore").judge("8083", "MCKH 12")
    assert (ours.result, ours.ignore_reason) == (QueryResult.ERR_CODE_LENGTH, "")


def test_another_shortcode_is_never_ours() -> None:
    asked = services().judge("8100", "MCKH 0101701234")
    assert (asked.service, asked.ignore_reason) == (None, "foreign_shortcode")


def test_the_longest_deadline() -> None:
    assert services().longest_deadline_s == 12
    assert services().by_name("tthue") is not None
    assert services().by_name("gone") is None
    assert services().by_name(None) is None


@pytest.mark.parametrize(
    ("template", "word"),
    [("no_such", "no template 'no_such'"), ("apology_due_tomorrow", "takes 2 parts"), ("mo_reply_unknown_code", "")],
)
def test_templates_of_a_services_own_are_checked_at_the_start(template: str, word: str) -> None:
    bind = {"name": "b", "host": "h", "system_id": "s"}
    service = {"templates": {"mo_reply_bad_syntax": template}}
    settings = parse_settings({"operators": {"one": {"binds": [bind]}}, "queries": {"services": [service]}})
    found = [(fault.path, fault.what) for fault in startup_faults(settings)]
    assert [path for path, _ in found] == (["queries.services.0.templates.mo_reply_bad_syntax"] if word else [])
    assert all(word in what for _, what in found)
