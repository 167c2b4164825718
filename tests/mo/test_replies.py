"""The words of the one reply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mo_bench import CODE, START, ShortRegistry, dossier

from gateway.errors import TemplateError
from gateway.mo.replies import Replies, is_late, reply_kind
from gateway.model import ChargeDecision, DossierState, IncomingMo, MoState, QueryResult, ReplyKind
from gateway.settings import parse_settings
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
        ({"state": DossierState.AWAITING_PAYMENT, "clock_stopped": True}, ReplyKind.CLOCK_STOPPED),
        ({"state": DossierState.RESULT_READY}, ReplyKind.RESULT_READY),
        ({"state": DossierState.RESULT_READY, "clock_stopped": True}, ReplyKind.RESULT_READY),
        # nobody is asked to come for a result that the post brings
        ({"state": DossierState.RESULT_READY, "return_by_post": True}, ReplyKind.STATUS),
        ({"state": DossierState.RETURNED, "clock_stopped": True}, ReplyKind.FINISHED),
        ({"state": DossierState.WITHDRAWN}, ReplyKind.WITHDRAWN),
        ({"state": DossierState.NOT_ACCEPTED}, ReplyKind.REFUSED),
        ({"state": DossierState.STOPPED}, ReplyKind.REFUSED),
    ],
)
def test_every_state_has_its_reply(values: dict[str, Any], expected: ReplyKind) -> None:
    assert reply_kind(dossier(**values)) is expected


def message_of(registry: ShortRegistry, **values: Any) -> Any:
    settings = parse_settings(
        {
            "operators": {"viettel": {"binds": [{"name": "v", "host": "h", "system_id": "s"}]}},
            "agencies": {"KS": {"name": "Khánh Sơn"}},
        }
    )
    mo = IncomingMo("viettel", "v", "84905123456", "8083", "", b"", 0, "", START, "key")
    recorded = RecordedMo(1, True, MoState.RECEIVED, mo, "mckh", QueryResult.OK, CODE, 1, 0)
    return Replies(registry, settings).message(
        recorded,
        ReplyKind.STATUS,
        dossier(**values),
        ChargeDecision.CHARGE,
        service=settings.queries.services[0],
        business_now=START,
    )


def test_a_long_step_is_cut_so_that_the_reply_stays_one_segment() -> None:
    step = "Chuyên viên thụ lý hồ sơ tổng hợp ý kiến các phòng ban liên quan và trình lãnh đạo Sở ký duyệt kết quả " * 3
    reply = message_of(ShortRegistry(), step_name=step)
    assert len(reply.text) == 160
    assert reply.text.startswith(f"mo_reply_status|{CODE}|Chuyên viên thụ lý")
    assert reply.text.endswith("...|Đúng hạn")


@pytest.mark.parametrize("length", [0, 1, 100, 123, 124, 125, 126, 127, 500])
def test_any_length_of_step_fits(length: int) -> None:
    reply = message_of(ShortRegistry(), step_name="x" * length)
    assert len(reply.text) <= 160
    assert ("..." in reply.text) is (length > 124)


def test_the_reply_names_the_agency_as_configured_for_reports() -> None:
    reply = message_of(ShortRegistry())
    assert (reply.agency_code, reply.agency_name, reply.template_version) == ("KS", "Khánh Sơn", "rollout_2017")


def test_a_text_that_never_fits_is_the_callers_to_handle() -> None:
    registry = ShortRegistry()
    registry.broken = "mo_reply_status"
    with pytest.raises(TemplateError):
        message_of(registry)
    with pytest.raises(TemplateError):
        message_of(registry, step_name="")
