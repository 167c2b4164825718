"""Templates filled."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import TemplateError
from gateway.smpp.text import count_parts, is_gsm7, septets
from gateway.templates.registry import Registry
from gateway.templates.rendering import measure, shorten

REGISTRY = Registry.load()
ROLLOUT = "rollout_2017"
AGENCY = "UBND huyện Khánh Sơn"
VALUES = {
    "code": "0101701234",
    "agency_name": AGENCY,
    "due_date": "25/08/2017",
    "step": "Thẩm định",
    "status": "Đúng hạn",
}


def rendered(template_id: str, accents: Literal["fold", "keep"] = "fold", version: str = ROLLOUT, **values: str) -> str:
    return REGISTRY.render(template_id, version, VALUES | values, accents).text


def test_result_ready() -> None:
    made = REGISTRY.render("result_ready", ROLLOUT, VALUES)
    assert made.text == (
        "TB: Ho so cua quy ong/ba (MS: 0101701234) da duoc giai quyet xong."
        " Moi ong/ba den Bo phan Mot cua UBND huyen Khanh Son de nhan ket qua"
    )
    assert (made.coding, made.parts, made.template_id, made.version) == ("gsm7", 1, "result_ready", ROLLOUT)


def test_result_ready_with_diacritics() -> None:
    made = REGISTRY.render("result_ready", ROLLOUT, VALUES, "keep")
    assert made.text == (
        "TB: Hồ sơ của quý ông/bà (MS: 0101701234) đã được giải quyết xong."
        " Mời ông/bà đến Bộ phận Một cửa UBND huyện Khánh Sơn để nhận kết quả"
    )
    assert (made.coding, made.parts) == ("ucs2", 2)


def test_supplement() -> None:
    assert rendered("supplement_needed") == (
        "TB: Ho so cua quy ong/ba (MS: 0101701234) can bo sung theo quy dinh."
        " Moi ong/ba den Bo phan Mot cua UBND huyen Khanh Son de nhan thong bao"
    )


def test_apology_takes_two_segments() -> None:
    made = REGISTRY.render("apology_due_tomorrow", ROLLOUT, VALUES)
    assert made.text == (
        "TB: Ho so cua quy ong/ba (MS: 0101701234) chua co ket qua vao ngay 25/08/2017. Ong/ba co the den Bo phan Mot cua"
        " UBND huyen Khanh Son nhan Thong bao xin loi, hen lai thoi gian tra ket qua hoac den nhan ket qua khi co tin nhan"
        " tiep theo"
    )
    assert made.parts == 2


def test_pilot() -> None:
    assert rendered("apology_due_tomorrow", version="pilot_2016") == (
        "Thong bao: Ho so cua quy Ong/Ba (0101701234) chua co ket qua vao ngay 25/08/2017. UBND huyen Khanh Son chan thanh"
        " xin loi. Ong/Ba vui long den nhan ket qua khi co tin nhan tiep theo"
    )


@pytest.mark.parametrize("version", [ROLLOUT, "pilot_2016"])
def test_reply(version: str) -> None:
    assert rendered("mo_reply_status", version=version) == (
        "Ho so cua quy Ong/Ba (0101701234) hien dang o buoc Tham dinh, trang thai ho so: Dung han."
    )


@pytest.mark.parametrize(
    "name", ["code", "Mã số biên nhận", "mã số BIÊN NHẬN", unicodedata.normalize("NFD", "Mã số biên nhận")]
)
def test_values_by_any_of_their_names(name: str) -> None:
    values = {name: "0101701234", "Tên cơ quan": AGENCY, "Tên thủ tục": "is not looked at"}
    assert REGISTRY.render("result_ready", ROLLOUT, values).text == rendered("result_ready")


def test_common_texts_serve_every_version() -> None:
    for version in (ROLLOUT, "pilot_2016"):
        made = REGISTRY.render("mo_reply_unknown_code", version, {"code": "0101701234"})
        assert made.text.startswith("Khong tim thay ho so co ma so 0101701234.")
        assert made.version == "replies_1"


class TestValues:
    def test_decomposed_input_is_the_same(self) -> None:
        assert rendered("result_ready", "keep", agency_name=unicodedata.normalize("NFD", AGENCY)) == rendered(
            "result_ready", "keep"
        )

    def test_what_looks_like_a_placeholder_is_not_filled_again(self) -> None:
        text = rendered("result_ready", agency_name="UBND {Mã số biên nhận} {0}")
        assert "Mot cua UBND {Ma so bien nhan} {0} de nhan" in text

    def test_line_ends_and_control_characters_become_blanks(self) -> None:
        assert "Mot cua UBND huyen Khanh Son de" in rendered(
            "result_ready", agency_name="  UBND\r\nhuyện\tKhánh\u00a0\u200bSơn\x00 \u202e"
        )

    @pytest.mark.parametrize(
        ("given", "shown"), [("Đúng hạn", "Dung han"), ("trễ hạn", "Tre han"), ("TRE HAN", "Tre han")]
    )
    def test_status_has_two_values(self, given: str, shown: str) -> None:
        assert rendered("mo_reply_status", status=given).endswith(f"trang thai ho so: {shown}.")

    def test_an_empty_step_has_words(self) -> None:
        assert "o buoc dang giai quyet, trang" in rendered("mo_reply_status", step=" ")

    @pytest.mark.parametrize(
        ("template_id", "values", "message"),
        [
            ("result_ready", {"code": ""}, r"code \(\{Mã số biên nhận\}\) has no value"),
            ("result_ready", {"agency_name": " \u200b\n"}, r"agency_name .* has no value"),
            ("result_ready", {"agency_name": "x" * 101}, r"101 characters, the registered maximum is 100.*agencies\.<code>\.name"),
            ("result_ready", {"code": "1" * 41}, "41 characters, the registered maximum is 40"),
            ("apology_due_tomorrow", {"due_date": "2017-08-25"}, "is no date. Write dd/mm/yyyy"),
            ("apology_due_tomorrow", {"due_date": "31/02/2017"}, "is no date"),
            ("apology_due_tomorrow", {"due_date": ""}, "due_date .* has no value"),
            ("mo_reply_status", {"status": "Quá hạn"}, "is not one of Đúng hạn, Trễ hạn"),
            ("online_refused", {}, "reason .* has no value"),
        ],
    )  # fmt: skip
    def test_refused(self, template_id: str, values: dict[str, str], message: str) -> None:
        with pytest.raises(TemplateError, match=message):
            rendered(template_id, **values)

    def test_too_many_parts(self) -> None:
        with pytest.raises(TemplateError, match="takes 2 parts, 1 are allowed"):
            REGISTRY.render("apology_due_tomorrow", ROLLOUT, VALUES, "fold", 1)
        with pytest.raises(TemplateError, match="takes 4 parts, 3 are allowed"):
            REGISTRY.render("apology_due_tomorrow", ROLLOUT, VALUES, "keep", 3)


class TestShortening:
    def test_a_long_step_leaves_the_reply_in_one_segment(self) -> None:
        made = REGISTRY.render("mo_reply_status", ROLLOUT, VALUES | {"step": "Thẩm định hồ sơ " * 20})
        assert made.parts == 1
        assert septets(made.text) in range(155, 161)  # as much as fits
        assert "..., trang thai ho so: Dung han." in made.text

    def test_a_step_that_fits_is_whole(self) -> None:
        step = "x" * (160 - 62 - 10 - 8)
        made = REGISTRY.render("mo_reply_status", ROLLOUT, VALUES | {"step": step})
        assert step in made.text
        assert septets(made.text) == 160

    def test_a_long_code_takes_room_from_the_step(self) -> None:
        code = "000.00.01.H32-200401-1234567"
        made = REGISTRY.render("mo_reply_status", ROLLOUT, VALUES | {"code": code, "step": "y" * 90})
        assert f"({code})" in made.text
        assert (made.parts, septets(made.text)) == (1, 160)

    def test_extension_characters_count_twice(self) -> None:
        made = REGISTRY.render("mo_reply_status", ROLLOUT, VALUES | {"step": "{}" * 50})
        assert made.parts == 1
        assert "..., trang thai" in made.text

    def test_with_diacritics_the_setting_decides(self) -> None:
        made = REGISTRY.render("mo_reply_status", ROLLOUT, VALUES, "keep")
        assert (made.coding, made.parts) == ("ucs2", 2)
        assert made.text.endswith("hiện đang ở bước Thẩm định, trạng thái hồ sơ: Đúng hạn.")

    def test_a_reason_is_cut_visibly(self) -> None:
        made = REGISTRY.render("online_refused", ROLLOUT, VALUES | {"reason": "Thiếu bản sao giấy khai sinh, " * 10})
        assert made.parts <= 3
        assert "..." in made.text

    @given(st.text(alphabet="aạ😀{ .,"), st.integers(4, 60), st.sampled_from(["fold", "keep"]))
    def test_laws(self, text: str, room: int, accents: Literal["fold", "keep"]) -> None:
        short = shorten(text, room, accents)
        assert measure(short, accents) <= room
        assert short == text or (short.endswith("...") and text.startswith(short[:-3]))
        short.encode("utf-16-be")  # no character is cut in two


@given(
    st.sampled_from(["result_ready", "supplement_needed", "apology_due_tomorrow", "mo_reply_status", "online_refused"]),
    st.sampled_from([ROLLOUT, "pilot_2016"]),
    st.fixed_dictionaries(
        {"agency_name": st.text(max_size=120), "step": st.text(max_size=200), "reason": st.text(max_size=200)}
    ),
    st.sampled_from(["fold", "keep"]),
    st.integers(1, 6),
)
def test_whatever_the_values_the_text_fits_or_is_refused(
    template_id: str, version: str, values: dict[str, str], accents: Literal["fold", "keep"], max_parts: int
) -> None:
    try:
        made = REGISTRY.render(template_id, version, VALUES | values, accents, max_parts)
    except TemplateError:
        return
    assert made.parts == count_parts(made.text, made.coding) <= max_parts
    assert made.coding == "ucs2" or is_gsm7(made.text)
    assert accents == "keep" or made.coding == "gsm7"
    assert "0101701234" in made.text
    assert "\n" not in made.text


@given(st.text(max_size=300), st.sampled_from(["0101701234", "000.00.01.H32-200401-1234567"]))
def test_a_reply_is_never_refused_for_its_step(step: str, code: str) -> None:
    made = REGISTRY.render("mo_reply_status", ROLLOUT, VALUES | {"step": step, "code": code}, "fold", 1)
    assert made.parts == 1
