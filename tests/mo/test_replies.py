"""The words of the one reply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mo_bench import CODE, START, dossier, registry

from gateway.mo.charging.decisions import FOUND_REPLIES
from gateway.mo.replies import Replies, is_late, reply_kind
from gateway.model import ChargeDecision, DossierState, IncomingMo, MoState, NewMessage, QueryResult, ReplyKind
from gateway.settings import QuerySettings, parse_settings
from gateway.store.inbox import RecordedMo

DUE = datetime(2026, 3, 12, 10, 0, tzinfo=UTC)  # 17:00 in Vietnam
MIDNIGHT = datetime(2026, 3, 11, 17, 0, tzinfo=UTC)  # 12 March, 00:00 in Vietnam
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("values", "now", "expected"),
    [
        ({"due_at": DUE}, DUE - SECOND, False),
        ({"due_at": DUE}, DUE, False),
        ({"due_at": DUE}, DUE + SECOND, True),
        ({"due_at": DUE, "clock_stopped": True}, DUE + SECOND, False),
        ({"due_at": None}, DUE, False),
        ({"due_at": MIDNIGHT}, MIDNIGHT + SECOND, False),
        ({"due_at": MIDNIGHT}, MIDNIGHT + timedelta(hours=24), False),
        ({"due_at": MIDNIGHT}, MIDNIGHT + timedelta(hours=24) + SECOND, True),
        ({"due_at": DUE, "state": DossierState.AWAITING_SUPPLEMENT}, DUE + SECOND, True),
        ({"due_at": DUE, "state": DossierState.RESULT_READY}, DUE + SECOND, False),
        ({"due_at": DUE, "state": DossierState.RETURNED}, DUE + SECOND, False),
        # what ended is judged by the time at which it ended, whenever the citizen asks
        ({"due_at": DUE, "state": DossierState.RESULT_READY, "finished_at": DUE}, DUE + timedelta(days=9), False),
        ({"due_at": DUE, "state": DossierState.RESULT_READY, "finished_at": DUE + SECOND}, DUE + SECOND, True),
        ({"due_at": MIDNIGHT, "state": DossierState.RESULT_READY, "finished_at": DUE}, DUE + SECOND, False),
        (
            {"due_at": MIDNIGHT, "state": DossierState.RESULT_READY, "finished_at": MIDNIGHT + timedelta(days=1)},
            DUE + timedelta(days=9),
            True,
        ),
        ({"due_at": DUE, "state": DossierState.RESULT_READY, "finished_at": MIDNIGHT}, DUE + timedelta(days=9), False),
    ],
)
def test_late_is_judged_now_against_the_promise(values: dict[str, Any], now: datetime, expected: bool) -> None:
    assert is_late(dossier(**values), now) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": DossierState.REGISTERED}, ReplyKind.STATUS),
        ({"state": DossierState.RECEIVED}, ReplyKind.STATUS),
        ({"state": DossierState.PROCESSING}, ReplyKind.STATUS),
        ({"state": DossierState.AWAITING_SUPPLEMENT}, ReplyKind.STATUS),
        ({"state": DossierState.AWAITING_PAYMENT, "clock_stopped": True}, ReplyKind.STATUS),
        ({"state": DossierState.RESULT_READY}, ReplyKind.STATUS),
        ({"state": DossierState.RESULT_READY, "clock_stopped": True}, ReplyKind.STATUS),
        ({"state": DossierState.RETURNED, "clock_stopped": True}, ReplyKind.FINISHED),
        ({"state": DossierState.WITHDRAWN}, ReplyKind.WITHDRAWN),
        ({"state": DossierState.NOT_ACCEPTED}, ReplyKind.REFUSED),
        ({"state": DossierState.STOPPED}, ReplyKind.REFUSED),
    ],
)
def test_every_state_has_its_reply(values: dict[str, Any], expected: ReplyKind) -> None:
    assert reply_kind(dossier(**values), QuerySettings()) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"state": DossierState.RESULT_READY}, ReplyKind.RESULT_READY),
        ({"state": DossierState.RESULT_READY, "clock_stopped": True}, ReplyKind.RESULT_READY),
        # nobody is asked to come for a result that the post brings
        ({"state": DossierState.RESULT_READY, "return_by_post": True}, ReplyKind.STATUS),
        ({"state": DossierState.AWAITING_PAYMENT, "clock_stopped": True}, ReplyKind.CLOCK_STOPPED),
        ({"state": DossierState.PROCESSING}, ReplyKind.STATUS),
        ({"state": DossierState.WITHDRAWN, "clock_stopped": True}, ReplyKind.WITHDRAWN),
    ],
)
def test_templates_of_their_own_where_the_province_wants_them(values: dict[str, Any], expected: ReplyKind) -> None:
    own = QuerySettings(result_ready_template="own", clock_stopped_template="own")
    assert reply_kind(dossier(**values), own) is expected


def message_of(kind: ReplyKind = ReplyKind.STATUS, destination_addr: str = "8083", **values: Any) -> NewMessage:
    settings = parse_settings(
        {
            "operators": {"viettel": {"binds": [{"name": "v", "host": "h", "system_id": "s"}]}},
            "agencies": {"KS": {"name": "Khánh Sơn"}},
            "notices": {"accents": "keep"},
        }
    )
    mo = IncomingMo("viettel", "v", "84905123456", destination_addr, "", b"", 0, "", START, "key")
    recorded = RecordedMo(1, True, MoState.RECEIVED, mo, "mckh", QueryResult.OK, CODE, 1, 0)
    return Replies(registry(), settings).message(
        recorded,
        kind,
        dossier(**values) if kind in FOUND_REPLIES else None,
        ChargeDecision.CHARGE,
        service=settings.queries.services[0],
        business_now=START,
    )


LONG = "Chuyên viên thụ lý hồ sơ tổng hợp ý kiến các phòng ban liên quan và trình lãnh đạo Sở ký duyệt kết quả " * 3


@pytest.mark.parametrize("kind", ReplyKind)
@pytest.mark.parametrize("code", [CODE, "000.00.01.H32-200401-0001"])
@pytest.mark.parametrize("step", ["Thẩm định", "", LONG])
def test_every_reply_is_one_unaccented_segment(kind: ReplyKind, code: str, step: str) -> None:
    reply = message_of(kind, receipt_code=code, step_name=step, agency_code="XX", agency_name=LONG)
    assert (reply.coding, reply.parts, reply.template_id) == ("gsm7", 1, kind.value)
    assert reply.text.isascii()
    assert len(reply.text) <= 160
    assert code in reply.text or kind not in FOUND_REPLIES


def test_the_official_text_word_for_word() -> None:
    """998/UBND: Hồ sơ của quý Ông/Bà ({Mã số biên nhận}) hiện đang ở bước {…}, trạng thái hồ sơ: {Đúng hạn/Trễ hạn}."""
    reply = message_of()
    assert reply.text == f"Ho so cua quy Ong/Ba ({CODE}) hien dang o buoc Tham dinh, trang thai ho so: Dung han."
    assert (reply.source_addr, reply.destination_addr, reply.priority) == ("8083", "84905123456", 0)


def test_a_long_step_is_cut_and_the_judgement_is_not() -> None:
    text = message_of(step_name=LONG, due_at=START - SECOND).text
    assert "Chuyen vien thu ly ho so" in text
    assert text.endswith("..., trang thai ho so: Tre han.")


def test_bad_syntax_shows_the_shortcode_however_the_smsc_writes_it() -> None:
    for destination_addr in ("8083", "+8083", "848083"):
        reply = message_of(ReplyKind.BAD_SYNTAX, destination_addr)
        assert "MCKH Ma so bien nhan, gui 8083." in reply.text
        assert reply.source_addr == destination_addr  # the reply comes from where the citizen wrote to


def test_the_reply_names_the_agency_as_configured() -> None:
    reply = message_of(ReplyKind.RESULT_READY, agency_name="UBND huyện Khánh Sơn")
    assert (reply.agency_code, reply.agency_name, reply.template_version) == ("KS", "Khánh Sơn", "replies_1")
    assert "Bo phan Mot cua Khanh Son" in reply.text


def test_the_dated_set_of_texts_is_that_of_the_day() -> None:
    settings = parse_settings(
        {
            "operators": {"viettel": {"binds": [{"name": "v", "host": "h", "system_id": "s"}]}},
            "notices": {"template_version": "dated"},
        }
    )
    mo = IncomingMo("viettel", "v", "84905123456", "8083", "", b"", 0, "", START, "key")
    recorded = RecordedMo(1, True, MoState.RECEIVED, mo, "mckh", QueryResult.OK, CODE, 1, 0)

    def version(kind: ReplyKind, day: datetime) -> str:
        reply = Replies(registry(), settings).message(
            recorded, kind, dossier(), ChargeDecision.CHARGE, service=None, business_now=day
        )
        return reply.template_version

    assert version(ReplyKind.STATUS, START) == "rollout_2017"
    assert version(ReplyKind.STATUS, datetime(2016, 12, 1, tzinfo=UTC)) == "pilot_2016"
    assert version(ReplyKind.UNKNOWN_CODE, START) == "replies_1"
