"""Status words and steps into our states."""

from __future__ import annotations

import unicodedata

import pytest

from gateway.dossiers.statuses import NATIONAL, PROFILES, StatusMap
from gateway.model import DossierState

S = DossierState
DEFAULT = StatusMap(("national", "khanh_hoa_2017"), {}, ("Trả kết quả",))


@pytest.mark.parametrize(("code", "state"), [(str(n), state) for n, state in enumerate(DossierState, 1)])
def test_national_codes(code: str, state: DossierState) -> None:
    assert DEFAULT.state(code, "Thẩm định") == (state, "")


def test_every_national_name_means_its_code() -> None:
    names = [word for word in NATIONAL if not word.isdigit()]
    assert len(names) == 10
    assert [NATIONAL[name] for name in names] == [NATIONAL[str(n)] for n in range(1, 11)]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Chờ bổ sung", S.AWAITING_SUPPLEMENT),
        ("CHỜ BỔ SUNG", S.AWAITING_SUPPLEMENT),
        ("  chờ  bổ sung ", S.AWAITING_SUPPLEMENT),
        (unicodedata.normalize("NFD", "Chờ bổ sung"), S.AWAITING_SUPPLEMENT),
        ("Đang xử lý", S.PROCESSING),
        ("Đã trả kết quả", S.RETURNED),
        ("Được tiếp nhận", S.RECEIVED),
        ("Dừng xử lý", S.STOPPED),
        ("Chua biet", None),
        ("", None),
    ],
)
def test_khanh_hoa_words(word: str, state: DossierState | None) -> None:
    assert DEFAULT.state(word, "Thẩm định")[0] == state


@pytest.mark.parametrize("status", ["Đang xử lý", "Được tiếp nhận", "9", "1"])
def test_the_step_makes_the_result_ready(status: str) -> None:
    assert DEFAULT.state(status, "TRẢ KẾT QUẢ") == (S.RESULT_READY, "")


@pytest.mark.parametrize("status", ["Đã trả kết quả", "7", "8", "3"])
def test_an_ended_dossier_has_no_result_to_fetch(status: str) -> None:
    assert DEFAULT.state(status, "Trả kết quả")[0] == NATIONAL[status]


def test_a_supplement_at_the_result_step_is_a_supplement_and_a_contradiction() -> None:
    state, contradiction = DEFAULT.state("Chờ bổ sung", "Trả kết quả")
    assert state is S.AWAITING_SUPPLEMENT  # F24: the result text must not go out in its place
    assert "Chờ bổ sung" in contradiction


def test_own_words_win() -> None:
    own = StatusMap(("national",), {"Hoàn thành": S.RETURNED, "đang xử lý": S.RECEIVED}, ("Phát hành",))
    assert own.state("hoàn thành", "x")[0] is S.RETURNED
    assert own.state("Đang xử lý", "x")[0] is S.RECEIVED
    assert own.state("Đang xử lý", "phát hành")[0] is S.RESULT_READY
    assert own.state("Chờ bổ sung", "x")[0] is None  # its profile is not asked for


def test_no_profile_has_a_word_that_means_two_things() -> None:
    for name, words in PROFILES.items():
        folded = {word.casefold(): state for word, state in words.items()}
        assert len(folded) == len(words), name


@pytest.mark.parametrize(
    ("profile", "word", "state"),
    [
        ("hue_2024", "Hướng dẫn hoàn thiện hồ sơ (từ lần 2)", S.REGISTERED),
        ("hue_2024", "Yêu cầu chỉnh sửa, bổ sung hồ sơ (lần 1)", S.AWAITING_SUPPLEMENT),
        ("hue_2024", "Trả kết quả", S.RESULT_READY),
        ("dien_bien_2019", "Yêu cầu bổ sung, hoàn thiện hồ sơ", S.AWAITING_SUPPLEMENT),
        ("dien_bien_2019", "Từ chối giải quyết hồ sơ", S.NOT_ACCEPTED),
        ("opencps", "waiting", S.AWAITING_SUPPLEMENT),
        ("opencps", "chờ bổ sung", S.AWAITING_SUPPLEMENT),
        ("opencps", "posting", S.RESULT_READY),
        ("opencps", "hoàn thành", S.RETURNED),
        ("opencps", "yêu cầu hủy/rút", S.PROCESSING),
    ],
)
def test_words_of_the_other_profiles(profile: str, word: str, state: DossierState) -> None:
    assert StatusMap((profile,), {}, ()).state(word, "")[0] is state
