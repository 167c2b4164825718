"""From a plan to a message, with the shipped texts and the numbering plan."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from agency_database import a_dossier

from gateway.dossiers.phone import judge_phone
from gateway.errors import TemplateError
from gateway.jobs.notices import Composer, vietnam_date
from gateway.model import Dossier, MessageKind, MessageState, NewMessage
from gateway.mt.router import Router
from gateway.settings import AgencySettings, NoticeSettings, OperatorSettings
from gateway.settings_notices import agency_name
from gateway.store.decisions import NoticePlan
from gateway.templates.registry import Registry

K = MessageKind
NOW = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
REGISTRY = Registry.load()
BIND = {"name": "b", "host": "127.0.0.1", "system_id": "x"}
OPERATORS = {
    "viettel": OperatorSettings.model_validate({"carriers": ["Viettel"], "binds": [BIND]}),
    "mobifone": OperatorSettings.model_validate({"carriers": ["Mobifone"], "binds": [BIND]}),
}


def compose(
    dossier: Dossier,
    kind: MessageKind = K.RESULT_READY,
    ported_to: str | None = None,
    agencies: dict[str, AgencySettings] | None = None,
    **notices: Any,
) -> NewMessage:
    composer = Composer(NoticeSettings(**notices), agencies or {}, REGISTRY, judge_phone, Router(OPERATORS).route)
    return composer(dossier, NoticePlan(kind, "1", MessageState.HELD, "hold", NOW, None), ported_to)


@pytest.mark.parametrize(
    ("kind", "version", "text"),
    [
        (
            K.RESULT_READY,
            "rollout_2017",
            "TB: Ho so cua quy ong/ba (MS: 0101701234) da duoc giai quyet xong. Moi ong/ba den Bo phan Mot cua "
            "UBND huyen Khanh Son de nhan ket qua",
        ),
        (
            K.SUPPLEMENT_NEEDED,
            "rollout_2017",
            "TB: Ho so cua quy ong/ba (MS: 0101701234) can bo sung theo quy dinh. Moi ong/ba den Bo phan Mot cua "
            "UBND huyen Khanh Son de nhan thong bao",
        ),
        (
            K.APOLOGY_DUE_TOMORROW,
            "rollout_2017",
            "TB: Ho so cua quy ong/ba (MS: 0101701234) chua co ket qua vao ngay 04/03/2026. Ong/ba co the den Bo phan "
            "Mot cua UBND huyen Khanh Son nhan Thong bao xin loi, hen lai thoi gian tra ket qua hoac den nhan ket qua khi "
            "co tin nhan tiep theo",
        ),
        (
            K.RESULT_READY,
            "pilot_2016",
            "Thong bao: Ho so cua quy Ong/Ba (0101701234) da duoc giai quyet xong. Moi Ong/Ba den Bo phan Mot cua "
            "UBND huyen Khanh Son de nhan ket qua",
        ),
    ],
)
def test_texts_of_the_letters(kind: MessageKind, version: str, text: str) -> None:
    made = compose(a_dossier(), kind, template_version=version)
    assert (made.text, made.coding, made.source_addr) == (text, "gsm7", "MotcuaSMS")
    assert (made.state, made.reason, made.destination_addr, made.route) == (
        MessageState.HELD,
        "hold",
        "84905123456",
        "mobifone",
    )
    assert (made.template_id, made.template_version) == (kind.value, version)


def test_accents_are_kept_when_asked_for() -> None:
    made = compose(a_dossier(), accents="keep")
    assert "đã được giải quyết xong" in made.text
    assert (made.coding, made.parts) == ("ucs2", 2)


def test_an_agencys_short_name() -> None:
    made = compose(a_dossier(), agencies={"KS": AgencySettings(name="Khánh Sơn")})
    assert "Mot cua Khanh Son de" in made.text
    assert made.agency_name == "Khánh Sơn"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phone_raw": ""}, "phone:MISSING"),
        ({"phone_raw": "02583822382"}, "phone:LANDLINE"),
        ({"phone_raw": "0905"}, "phone:TOO_SHORT"),
        ({"phone_raw": "0912345678"}, "route:VinaPhone"),
    ],
)
def test_what_cannot_be_sent_is_rejected_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    made = compose(a_dossier(**changes))
    assert made.state is MessageState.REJECTED
    assert made.reason.startswith(reason)
    assert (made.destination_addr, made.route, made.text, made.parts) == ("", "", "", 0)
    assert (made.agency_code, made.receipt_code, made.occasion) == ("KS", "0101701234", "1")


def test_a_text_that_does_not_fit_is_rejected_with_its_reason() -> None:
    made = compose(a_dossier(agency_name="Ủy ban nhân dân " * 20))
    assert made.state is MessageState.REJECTED
    assert made.reason.startswith("template:template result_ready (rollout_2017)")


def test_a_ported_number() -> None:
    assert compose(a_dossier(), ported_to="viettel").route == "viettel"


def test_an_old_number_is_read_by_the_plan_of_its_day() -> None:
    old = {"phone_raw": "0838253345", "received_at": datetime(2017, 1, 10, 1, 0, tzinfo=UTC)}
    assert compose(a_dossier(**old)).reason == "phone:LANDLINE_OLD_CODE"
    corrected = compose(a_dossier(**old, phone_recorded_at=date(2026, 3, 2)))
    assert not corrected.reason.startswith("phone:")


def test_dates_as_letters_write_them() -> None:
    assert vietnam_date(datetime(2026, 3, 3, 17, 0, tzinfo=UTC)) == "04/03/2026"
    assert vietnam_date(None) == ""


def test_an_apology_of_a_dossier_that_lost_its_date_is_not_sent_with_a_gap() -> None:
    assert compose(a_dossier(due_at=None), K.APOLOGY_DUE_TOMORROW).reason.startswith("template:")


# --- names, texts and contacts by date -----------------------------------------------------------------------------


def test_the_name_of_an_agency_is_that_of_the_day_on_which_the_message_leaves() -> None:
    agencies = {
        "KS": AgencySettings.model_validate(
            {
                "names": [{"name": "UBND huyện Khánh Sơn", "to": "2025-06-30"}],
                "succeeded_by": {"agency": "XKS", "from": "2025-07-01"},
            }
        ),
        "XKS": AgencySettings(name="UBND xã Khánh Sơn"),
    }

    def name(day: date, code: str = "KS") -> str:
        return agency_name(agencies, code, "in the view", day)

    assert name(date(2025, 6, 30)) == "UBND huyện Khánh Sơn"
    assert name(date(2025, 7, 1)) == "UBND xã Khánh Sơn"
    assert name(date(2025, 7, 1), "NT") == "in the view"
    assert agency_name({"KS": AgencySettings()}, "KS", "in the view", date(2025, 7, 1)) == "in the view"
    gone = {"KS": AgencySettings.model_validate({"name": "Cũ", "succeeded_by": {"agency": "không có"}})}
    assert agency_name(gone, "KS", "in the view", date(2026, 1, 1)) == "Cũ"


def test_two_names_for_one_day_are_refused() -> None:
    names = [{"name": "A", "to": "2025-07-01"}, {"name": "B", "from": "2025-07-01"}]
    with pytest.raises(ValueError, match="both hold on 2025-07-01"):
        AgencySettings.model_validate({"names": names})


def test_a_dated_version_is_the_text_in_force_on_the_day() -> None:
    registry = Registry.load()
    assert registry.version_for("result_ready", "dated", date(2017, 8, 14)) == "pilot_2016"
    assert registry.version_for("result_ready", "dated", date(2017, 8, 15)) == "rollout_2017"
    assert registry.version_for("result_ready", "pilot_2016", date(2026, 1, 1)) == "pilot_2016"
    with pytest.raises(TemplateError, match="no version of the text result_ready is in force on 2016-01-01"):
        registry.version_for("result_ready", "dated", date(2016, 1, 1))
    assert registry.faults(["result_ready", "receipt_issued"], "dated") == []


def test_accents_are_no_startup_fault_with_the_default_parts() -> None:
    notices = NoticeSettings(accents="keep")
    kinds = [kind.value for kind in notices.enabled]
    assert Registry.load().faults(kinds, notices.template_version, accents="keep", max_parts=notices.max_parts) == []
