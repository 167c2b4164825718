"""From a software's own status words to our states.

Words are compared in NFC, case-folded, with white space collapsed: what an official sees as the same word is the same.
The profiles are those of facts published by the systems themselves; ``sources.NAME.statuses`` adds and overrides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from gateway.model import DossierState

S = DossierState

#: TrangThaiHoSo of the national integration guides: codes and names.
NATIONAL: dict[str, DossierState] = {
    "1": S.REGISTERED,
    "2": S.RECEIVED,
    "3": S.NOT_ACCEPTED,
    "4": S.PROCESSING,
    "5": S.AWAITING_SUPPLEMENT,
    "6": S.AWAITING_PAYMENT,
    "7": S.WITHDRAWN,
    "8": S.STOPPED,
    "9": S.RESULT_READY,
    "10": S.RETURNED,
    "Mới đăng ký": S.REGISTERED,
    "Được tiếp nhận": S.RECEIVED,
    "Không được tiếp nhận": S.NOT_ACCEPTED,
    "Đang xử lý": S.PROCESSING,
    "Yêu cầu bổ sung giấy tờ": S.AWAITING_SUPPLEMENT,
    "Yêu cầu thực hiện nghĩa vụ tài chính": S.AWAITING_PAYMENT,
    "Công dân yêu cầu rút hồ sơ": S.WITHDRAWN,
    "Dừng xử lý": S.STOPPED,
    "Đã xử lý xong": S.RESULT_READY,
    "Đã trả kết quả": S.RETURNED,
}

#: Phần mềm Một cửa điện tử of Khánh Hòa (letters 1263/STTTT-CNTT, 998/UBND and the guidance of April 2020).
KHANH_HOA_2017: dict[str, DossierState] = {
    "Đã tiếp nhận": S.RECEIVED,
    "Chờ bổ sung": S.AWAITING_SUPPLEMENT,
    "Dừng tính bổ sung hồ sơ": S.AWAITING_SUPPLEMENT,
    "Dừng tính chờ thực hiện nghĩa vụ tài chính": S.AWAITING_PAYMENT,
    "Trả kết quả": S.RESULT_READY,
    "Giao trả hồ sơ": S.RESULT_READY,  # handed over to the post: the view says so in return_by_post
}

#: HTTT giải quyết TTHC of Thừa Thiên Huế, in force from 2024-03-04.
HUE_2024: dict[str, DossierState] = {
    "Hướng dẫn hoàn thiện hồ sơ": S.REGISTERED,
    "Hướng dẫn hoàn thiện hồ sơ (lần 1)": S.REGISTERED,
    "Hướng dẫn hoàn thiện hồ sơ (từ lần 2)": S.REGISTERED,
    "Yêu cầu chỉnh sửa, bổ sung hồ sơ": S.AWAITING_SUPPLEMENT,
    "Yêu cầu chỉnh sửa, bổ sung hồ sơ (lần 1)": S.AWAITING_SUPPLEMENT,
    "Yêu cầu chỉnh sửa, bổ sung hồ sơ (từ lần 2)": S.AWAITING_SUPPLEMENT,
    "Trả kết quả": S.RESULT_READY,
}

#: Cổng Dịch vụ công of Điện Biên (letter of UBND huyện Tuần Giáo, 2019-09-20): the slips of Thông tư 01/2018 by their names.
DIEN_BIEN_2019: dict[str, DossierState] = {
    "Chờ tiếp nhận": S.REGISTERED,
    "Đã tiếp nhận": S.RECEIVED,
    "Đang giải quyết": S.PROCESSING,
    "Yêu cầu bổ sung, hoàn thiện hồ sơ": S.AWAITING_SUPPLEMENT,
    "Hướng dẫn bổ sung, hoàn thiện hồ sơ": S.REGISTERED,  # an online file, before it is accepted
    "Từ chối nhận hồ sơ": S.NOT_ACCEPTED,
    "Từ chối giải quyết hồ sơ": S.NOT_ACCEPTED,
    "Trả kết quả": S.RESULT_READY,
    "Đã trả kết quả": S.RETURNED,
}

#: dossierStatus of OpenCPS v2 (DossierTerm.java).
OPENCPS: dict[str, DossierState] = {
    "new": S.REGISTERED,
    "receiving": S.REGISTERED,
    "processing": S.PROCESSING,
    "interoperating": S.PROCESSING,
    "waiting": S.AWAITING_SUPPLEMENT,
    "pausing": S.PROCESSING,  # the clock stands; the view says so in clock_stopped
    "correcting": S.PROCESSING,
    "cancelling": S.PROCESSING,  # asked for, not yet granted
    "releasing": S.RESULT_READY,
    "posting": S.RESULT_READY,
    "denied": S.NOT_ACCEPTED,
    "unresolved": S.STOPPED,
    "cancelled": S.WITHDRAWN,
    "done": S.RETURNED,
    # dossierStatusText, which views like to show in place of the constants
    "mới đăng ký": S.REGISTERED,
    "chờ tiếp nhận": S.REGISTERED,
    "đang xử lý": S.PROCESSING,
    "liên thông": S.PROCESSING,
    "chờ bổ sung": S.AWAITING_SUPPLEMENT,
    "tạm dừng": S.PROCESSING,
    "yêu cầu sửa đổi": S.PROCESSING,
    "yêu cầu hủy/rút": S.PROCESSING,
    "chờ trả kết quả": S.RESULT_READY,
    "chuyển bưu chính": S.RESULT_READY,
    "từ chối": S.NOT_ACCEPTED,
    "không giải quyết": S.STOPPED,
    "đã hủy": S.WITHDRAWN,
    "hoàn thành": S.RETURNED,
}

PROFILES: dict[str, dict[str, DossierState]] = {
    "national": NATIONAL,
    "khanh_hoa_2017": KHANH_HOA_2017,
    "hue_2024": HUE_2024,
    "dien_bien_2019": DIEN_BIEN_2019,
    "opencps": OPENCPS,
}

#: The step "Trả kết quả" makes the result ready of a dossier in one of these. The other states say more than the step:
#: an ended dossier has no result to fetch, and a result announced in place of a supplement is what F24 complains of.
_STEP_DECIDES = frozenset({S.REGISTERED, S.RECEIVED, S.PROCESSING, S.RESULT_READY})


def normalise_word(word: str) -> str:
    """The form in which status words and step names are compared."""
    return unicodedata.normalize("NFC", " ".join(word.split())).casefold()


class StatusMap:
    """One source's words."""

    def __init__(self, profiles: Iterable[str], own: Mapping[str, DossierState], result_steps: Iterable[str]) -> None:
        self._states: dict[str, DossierState] = {}
        for name in profiles:
            self._states.update({normalise_word(word): state for word, state in PROFILES[name].items()})
        self._states.update({normalise_word(word): state for word, state in own.items()})
        self._result_steps = frozenset(normalise_word(step) for step in result_steps)

    def state(self, status: str, step_name: str) -> tuple[DossierState | None, str]:
        """The state of a dossier, and what its row says against itself ("" as a rule).

        None when the status word is not mapped. The step decides only where the status leaves it open.
        """
        state = self._states.get(normalise_word(status))
        if state is None or normalise_word(step_name) not in self._result_steps:
            return state, ""
        if state in _STEP_DECIDES:
            return S.RESULT_READY, ""
        if state in (S.AWAITING_SUPPLEMENT, S.AWAITING_PAYMENT):
            return state, f"status '{status}' at the step '{step_name}'"
        return state, ""
