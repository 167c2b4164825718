"""The shipped texts, and what the registry refuses."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.errors import TemplateError
from gateway.model import MessageKind, ReplyKind
from gateway.smpp.text import fold, is_gsm7, septets
from gateway.templates.registry import Registry, fewest_parts, longest_parts
from gateway.templates.schema import PLACEHOLDER, TemplateFile

VERBATIM: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "templates.yaml").read_text(encoding="utf-8")
)["templates"]
REGISTRY = Registry.load()
VERSIONS = ("rollout_2017", "pilot_2016")


@pytest.mark.parametrize("given", VERBATIM, ids=lambda given: f"{given['id']}-{given['version']}")
def test_texts_of_the_letters_are_verbatim(given: dict[str, Any]) -> None:
    template = REGISTRY.get(given["id"], given["version"])
    assert template.version == given["version"]
    assert template.text == given["text"]
    assert list(template.names) == given["placeholders"]
    assert template.fixed_characters == given["fixed_characters"]
    assert template.document == given["document"]
    assert template.sender == ("shortcode" if given["direction"] == "MT-reply" else "brandname")
    outside = PLACEHOLDER.split(given["unaccented"])[::2]
    assert [fold(piece) for piece in PLACEHOLDER.split(template.text)[::2]] == outside


@pytest.mark.parametrize("version", VERSIONS)
def test_every_kind_of_message_has_a_text(version: str) -> None:
    wanted = {kind.value for kind in MessageKind} - {MessageKind.MO_REPLY.value} | {kind.value for kind in ReplyKind}
    for template_id in wanted:
        assert REGISTRY.get(template_id, version).id == template_id


@pytest.mark.parametrize("kind", list(ReplyKind), ids=lambda kind: kind.value)
@pytest.mark.parametrize("version", VERSIONS)
def test_each_reply_fits_one_segment_with_its_placeholders_at_their_maximum(kind: ReplyKind, version: str) -> None:
    template = REGISTRY.get(kind.value, version)
    assert template.max_parts == 1
    assert template.sender == "shortcode"
    values = {found.field: found.choices[0] if found.choices else "x" * found.max for found in template.placeholders}
    rendered = REGISTRY.render(kind.value, version, values)
    assert rendered.parts == 1
    assert septets(rendered.text) <= 160
    assert longest_parts(template, "fold") == 1


def test_the_result_by_post_asks_nobody_to_come() -> None:
    text = REGISTRY.get("result_by_post", "rollout_2017").text
    assert "bưu chính" in text
    assert not any(word in text for word in ("Mời", "đến Bộ phận", "Một cửa", "đến nhận"))


def test_no_text_has_room_for_personal_data() -> None:
    known = {
        "code",
        "agency_name",
        "due_date",
        "step",
        "status",
        "reason",
        "keyword",
        "shortcode",
        "request_no",
        "violations",
    }
    assert {found.field for template in REGISTRY for found in template.placeholders} <= known


def test_every_text_can_be_folded_without_loss() -> None:
    for template in REGISTRY:
        fixed = PLACEHOLDER.sub("", template.text)
        assert is_gsm7(fold(fixed))
        assert "?" not in fold(fixed)
        assert longest_parts(template, "fold") <= 3


def test_validity() -> None:
    assert REGISTRY.valid_version("result_ready", date(2016, 9, 18)) is None
    assert REGISTRY.valid_version("result_ready", date(2016, 9, 19)) == "pilot_2016"
    assert REGISTRY.valid_version("result_ready", date(2017, 8, 14)) == "pilot_2016"
    assert REGISTRY.valid_version("result_ready", date(2017, 8, 15)) == "rollout_2017"
    assert REGISTRY.valid_version("result_ready", date(2030, 1, 1)) == "rollout_2017"
    assert REGISTRY.valid_version("mo_reply_finished", date(2030, 1, 1)) == "replies_1"


def test_unknown_id_and_version_say_what_there_is() -> None:
    with pytest.raises(TemplateError, match=r"no template 'result_redy' in version 'rollout_2017'.*result_ready"):
        REGISTRY.get("result_redy", "rollout_2017")
    with pytest.raises(TemplateError, match=r"no template version 'rollout_2018'\. Known: pilot_2016, rollout_2017"):
        REGISTRY.get("result_ready", "rollout_2018")


class TestFaultsOfTheConfiguration:
    KINDS = ("result_ready", "supplement_needed", "apology_due_tomorrow")

    def test_none_by_default(self) -> None:
        assert REGISTRY.faults([kind.value for kind in MessageKind if kind != "mo_reply"], "rollout_2017") == []

    def test_a_text_that_cannot_fit(self) -> None:
        (fault,) = REGISTRY.faults(self.KINDS, "rollout_2017", max_parts=1)
        assert fault.path == "notices.max_parts"
        assert "apology_due_tomorrow (rollout_2017) takes 2 parts, 1 are allowed" in str(fault)
        assert "Set it to 2" in str(fault)

    def test_diacritics_take_more(self) -> None:
        (fault,) = REGISTRY.faults(self.KINDS, "rollout_2017", accents="keep", max_parts=3)
        assert "Set it to 4 or set notices.accents to fold" in str(fault)

    def test_unknown_version_and_kind(self) -> None:
        (fault,) = REGISTRY.faults(self.KINDS, "rollout_2018")
        assert fault.path == "notices.template_version"
        (fault,) = REGISTRY.faults(["mo_reply"], "rollout_2017")
        assert fault.path == "notices.enabled"


def file(version: str = "v1", **changes: Any) -> TemplateFile:
    values: dict[str, Any] = {
        "version": version,
        "valid_from": date(2020, 1, 1),
        "placeholders": [{"name": "Mã", "field": "code", "max": 10}],
        "templates": [{"id": "result_ready", "text": "Hồ sơ {Mã}"}],
    }
    return TemplateFile.model_validate(values | changes)


class TestLint:
    def test_a_good_file(self) -> None:
        assert Registry([file()]).render("result_ready", "v1", {"code": "1"}).text == "Ho so 1"

    @pytest.mark.parametrize(
        ("templates", "fault"),
        [
            ([{"id": "a", "text": "{Tên}"}], "unknown placeholder {Tên}"),
            ([{"id": "a", "text": "{Mã"}], "a brace without its partner"),
            ([{"id": "a", "text": "{{Mã}}"}], "a brace without its partner"),
            ([{"id": "a", "text": "x" * 151 + "{Mã}", "max_parts": 1}], "may take 2 parts when folded, 1 are allowed"),
            ([{"id": "a", "text": "x" * 1600}], "may take 11 parts when folded, 10 are allowed"),
            ([{"id": "a", "text": "漢"}], "a character that cannot be written without diacritics"),
            ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], "template a stands twice in version v1"),
            ([{"id": "a", "text": "x", "valid_to": "2019-01-01"}], "ends before it begins"),
        ],
    )
    def test_faults(self, templates: list[dict[str, Any]], fault: str) -> None:
        with pytest.raises(TemplateError) as raised:
            Registry([file(templates=templates)])
        assert fault in str(raised.value)

    def test_every_fault_is_named(self) -> None:
        with pytest.raises(TemplateError, match=r"\{A\}.*\{B\}"):
            Registry([file(templates=[{"id": "a", "text": "{A}"}, {"id": "b", "text": "{B}"}])])

    def test_overlapping_validity(self) -> None:
        until = file(valid_to=date(2020, 12, 31))
        Registry([until, file("v2", valid_from=date(2021, 1, 1))])
        with pytest.raises(TemplateError, match="valid in both v1 and v2 on 2020-12-31"):
            Registry([until, file("v2", valid_from=date(2020, 12, 31))])

    def test_an_own_placeholder_of_a_template_wins(self) -> None:
        own = [{"name": "mã", "field": "code", "max": 3}]
        registry = Registry([file(templates=[{"id": "a", "text": "{Mã}", "placeholders": own}])])
        with pytest.raises(TemplateError, match="4 characters, the registered maximum is 3"):
            registry.render("a", "v1", {"code": "1234"})

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ("version: [", "broken.yaml cannot be read"),
            ("version: v1\nvalid_from: 2020-01-01\nplaceholders: []\n", "broken.yaml: templates: Field required"),
            ("version: v1\nvalid_from: 2020-01-01\nplaceholders: []\ntemplates: []\nx: 1", "x: Extra inputs"),
            ("- 1", "broken.yaml"),
        ],
    )
    def test_a_broken_file(self, tmp_path: Path, content: str, fault: str) -> None:
        (tmp_path / "broken.yaml").write_text(content, encoding="utf-8")
        with pytest.raises(TemplateError) as raised:
            Registry.load(tmp_path)
        assert fault in str(raised.value)


@pytest.mark.parametrize(
    "placeholder",
    [
        {"kind": "choice"},
        {"choices": ["a"]},
        {"kind": "date", "overflow": "shorten"},
        {"overflow": "shorten", "max": 9},
    ],
)
def test_a_placeholder_that_makes_no_sense(placeholder: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Mã: "):
        file(placeholders=[{"name": "Mã", "field": "code", "max": 20} | placeholder])


def test_a_text_may_forbid_diacritics() -> None:
    registry = Registry([file(templates=[{"id": "a", "text": "Hồ sơ {Mã}", "accents": "fold"}])])
    assert registry.render("a", "v1", {"code": "1"}, "keep").coding == "gsm7"


def test_fewest_and_longest() -> None:
    template = REGISTRY.get("apology_due_tomorrow", "rollout_2017")
    assert (fewest_parts(template, "fold"), longest_parts(template, "fold")) == (2, 3)
    assert (fewest_parts(template, "keep"), longest_parts(template, "keep")) == (4, 6)
