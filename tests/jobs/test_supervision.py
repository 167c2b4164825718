"""Supervision of supplement requests: what breaks the rules, what is blocked, what a release lets out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agency_database import ROW, AgencyDatabase, InlineSourceDatabase, a_dossier
from inline_db import InlineDatabase
from poll_world import NOW, World, a_book, poll, stamp
from twisted.internet.task import Clock

from gateway.dossiers.source import Source
from gateway.jobs.supervision import supervise
from gateway.model import Dossier, DossierState
from gateway.settings import AgencySettings, SourceSettings
from gateway.settings_notices import SupervisionSettings
from gateway.store.decisions import StoredDossier, SupplementRequest
from gateway.store.dossier_rows import requests_of, requests_text
from gateway.store.schema import message, supplement_violation

ON = SupervisionSettings(enabled=True)


def request(reason: str = "Thiếu bản sao", components: str = "CCCD; Đơn", signed: str = "1", **extra: str) -> Dossier:
    values = {"reason": reason, "supplement_components": components, "supplement_signed": signed, **extra}
    return a_dossier(
        state=DossierState.AWAITING_SUPPLEMENT,
        at_one_stop_shop=True,
        extra=tuple((name, value) for name, value in values.items() if value),
    )


def stored(dossier: Dossier, *requests: SupplementRequest) -> StoredDossier:
    return StoredDossier(dossier, "x", None, NOW, NOW, requests=requests)


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (request(), ()),
        (request(reason=""), ("no_reason",)),
        (request(components=" ; "), ("no_components",)),
        (request(signed="0"), ("unsigned",)),
        (request(reason="", components="", signed=""), ("no_reason", "no_components", "unsigned")),
    ],
)
def test_f40_a_first_request(new: Dossier, found: tuple[str, ...]) -> None:
    made = supervise(stored(a_dossier()), new, ON, judge=True)
    assert made.requests[0].violations == found
    assert (made.violation is not None) is bool(found)
    assert not made.blocked  # the request that breaks the rules is still told to the citizen
    assert supervise(
        stored(a_dossier()), new, SupervisionSettings(enabled=True, block="present_too"), judge=True
    ).blocked is bool(found)


@pytest.mark.parametrize(
    ("second", "repeated"),
    [
        (request("thiếu  bản sao.", "đơn; cccd", supplement_no="2"), True),
        (request("Thiếu bản chính", "CCCD; Đơn", supplement_no="2"), False),
        (request("Thiếu bản sao", "CCCD", supplement_no="2"), False),
    ],
)
def test_f41_later_requests_are_compared_with_all_earlier_ones(second: Dossier, repeated: bool) -> None:
    first = supervise(stored(a_dossier()), request(supplement_no="1"), ON, judge=True)
    made = supervise(stored(request(supplement_no="1"), *first.requests), second, ON, judge=True)
    assert ("repeated" in made.requests[-1].violations) is repeated
    assert made.again


def test_requests_without_numbers_are_counted() -> None:
    first = supervise(stored(a_dossier()), request(), ON, judge=True).requests
    assert [item.number for item in first] == [1]
    assert supervise(stored(request(), *first), request(), ON, judge=True).requests == first
    changed = supervise(stored(request(), *first), request("Khác"), ON, judge=True)
    assert [item.number for item in changed.requests] == [1, 2]
    back = supervise(stored(a_dossier(), *first), request(), ON, judge=True)  # it left the state in between
    assert [item.number for item in back.requests] == [1, 2]
    assert back.requests[-1].violations == ("repeated",)


def test_f44_guidance_before_acceptance_is_supervised_too() -> None:
    guidance = a_dossier(state=DossierState.REGISTERED, extra=(("reason", "Bổ sung đơn"),))
    assert supervise(None, guidance, ON, judge=True).violation is not None
    off = SupervisionSettings(enabled=True, guidance=False)
    assert supervise(None, guidance, off, judge=True).requests == ()


def test_history_and_what_is_off_are_not_judged() -> None:
    assert supervise(None, request(reason=""), ON, judge=False).violation is None
    assert supervise(None, request(reason=""), SupervisionSettings(), judge=True).requests == ()


def test_a_release_counts_for_what_was_seen() -> None:
    bad = SupplementRequest(1, "x", (), False, ("unsigned",))
    worse = SupplementRequest(2, "y", (), False, ("unsigned",))
    third = request(supplement_no="3")
    assert supervise(stored(a_dossier(), bad, worse), third, ON, judge=True).blocked
    for released, blocked in (("1", True), ("2", False)):
        made = supervise(
            stored(a_dossier(), bad, worse), request(supplement_no="3", supplement_released_no=released), ON, judge=True
        )
        assert made.blocked is blocked


def test_requests_survive_the_store() -> None:
    requests = (
        SupplementRequest(1, "thiếu", ("cccd", "đơn"), True),
        SupplementRequest(2, "", (), False, ("unsigned",)),
    )
    assert requests_of(requests_text(requests)) == requests
    assert requests_text(()) == ""


# --- from the view to the outbox -----------------------------------------------------------------------------------

COLUMNS = {
    **dict.fromkeys(ROW, "TEXT"),
    **dict.fromkeys(
        ("reason", "supplement_no", "supplement_components", "supplement_signed", "supplement_released_no"), "TEXT"
    ),
}


def test_from_the_view_to_the_outbox_and_back(inline_db: InlineDatabase, tmp_path: Path) -> None:
    world = World(inline_db)
    agency = AgencyDatabase(tmp_path / "agency.sqlite3", COLUMNS)
    agency.add()
    contacts = {"KS": AgencySettings(contacts=("0912 345 678", "02583822382"))}
    book = a_book(contacts, hold_s=0, supervision={"enabled": True})
    source = Source(Clock(), "ks", SourceSettings(url=agency.url), InlineSourceDatabase)  # type: ignore[arg-type]
    poller = world.poller(source, book)
    assert poll(poller) == "read"
    seconds = 0

    def change(**values: Any) -> list[tuple[str, str, str, str]]:
        nonlocal seconds
        seconds += 10
        world.reactor.advance(10)
        agency.change("0101701234", updated_at=stamp(NOW + timedelta(seconds=seconds)), **values)
        before = len(world.messages)
        assert poll(poller) == "read"
        return [(kind, occasion, state, row.destination_addr) for (_, kind, occasion, state), row in
                list(zip(world.messages, world.rows(message), strict=True))[before:]]  # fmt: skip

    asked = {"reason": "Thiếu bản sao", "supplement_components": "CCCD", "supplement_signed": "0"}
    # the first request is not signed: the citizen is told, and so are the contacts
    assert change(status="Chờ bổ sung", at_one_stop_shop=1, supplement_no="1", **asked) == [
        ("supplement_needed", "1", "queued", "84905123456"),
        ("supervision_notice", "1.1.1", "queued", "84912345678"),
        ("supervision_notice", "1.1.2", "rejected", ""),  # a landline
    ]
    # the second is right, and blocked by the first
    second = {"reason": "Thiếu bản chính", "supplement_signed": "1", "supplement_no": "2"}
    assert change(**second) == [("supplement_needed", "2", "blocked", "84905123456")]
    [row] = world.rows(supplement_violation)
    assert (row.request_no, row.what, row.detail, row.told, row.released_at) == (
        1,
        "unsigned",
        "Thiếu bản sao",
        2,
        None,
    )
    # the supervisor releases it: what is still called for goes out
    assert change(supplement_released_no="1") == [("supplement_needed", "3", "queued", "84905123456")]
    assert [row.released_at is not None for row in world.rows(supplement_violation)] == [True]
    assert change(step_name="Khác") == []
    # a third that repeats the second is recorded; a release of the past does not cover it
    assert [kind for kind, *_ in change(supplement_no="3")] == [
        "supplement_needed",
        "supervision_notice",
        "supervision_notice",
    ]
    assert [row.what for row in world.rows(supplement_violation)] == ["unsigned", "repeated"]
    assert [state for _, _, state, _ in change(supplement_no="4", reason="Lại thiếu")] == ["blocked"]
