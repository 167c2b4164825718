"""Texts for another service on our shortcode: handed on once, never answered, never charged, never in a circle."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_twisted
from inline_db import InlineDatabase
from mo_bench import CITIZEN, CODE, Bench
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.web.client import ResponseFailed
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from gateway.mo.forward import http_post
from gateway.mo.receiver import Receiver
from gateway.mo.replies import Replies
from gateway.settings import parse_settings
from gateway.smpp.pdu import DeliverSm
from gateway.store.forwards import forward_state_txn

FOREIGN = "BONG DA hom nay"
HOOK = {"url": "http://127.0.0.1/hook", "token": "hush", "retry_s": 10, "attempts": 3}


PDU = DeliverSm(source_addr_ton=1, source_addr=CITIZEN, destination_addr="8083", short_message=FOREIGN.encode())


class Hook:
    """A webhook that answers as told."""

    def __init__(self) -> None:
        self.results: list[int | Exception | Deferred[int]] = []
        self.posts: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def post(self, url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> Deferred[int]:
        self.posts.append(json.loads(body))
        self.headers.append(headers)
        result = self.results.pop(0) if self.results else 200
        if isinstance(result, Deferred):
            return result
        return fail(result) if isinstance(result, Exception) else succeed(result)


class ForwardBench(Bench):
    """A bench whose receiver forwards."""

    def restart(self) -> None:
        super().restart()
        self.hook = getattr(self, "hook", None) or Hook()
        self.receiver = Receiver(
            self.reactor,
            self.db,
            self.clock,
            self.settings,
            self.charging,
            self._lookup,
            Replies(self.registry, self.settings),
            self.woken.append,
            self.hook.post,
        )


@pytest.fixture
def db(inline_db: InlineDatabase) -> InlineDatabase:
    """On SQLite and on PostgreSQL."""
    return inline_db


def webhook(db: InlineDatabase, **queries: Any) -> ForwardBench:
    bench = ForwardBench(db, queries={"foreign_keywords": "forward", "forward": HOOK, **queries})
    bench.receiver.start()
    return bench


def state(bench: ForwardBench, mo_id: int = 1) -> tuple[str, int, str] | None:
    return bench.db.do(forward_state_txn, mo_id)


def test_a_foreign_text_goes_to_the_webhook_and_costs_nothing(db: InlineDatabase) -> None:
    bench = webhook(db)
    bench.deliver(FOREIGN)
    assert bench.answers == [0]
    assert bench.replies == []
    [post] = bench.hook.posts
    assert (post["id"], post["from"], post["to"], post["text"], post["operator"], post["attempt"]) == (
        1,
        CITIZEN,
        "8083",
        FOREIGN,
        "viettel",
        1,
    )
    assert bench.hook.headers[0]["Authorization"] == "Bearer hush"
    assert state(bench) == ("done", 1, "")
    [mo], [charge] = bench.mos, bench.charges
    assert (mo.state, mo.reason, charge.state, charge.decision) == ("ignored", "forwarded", "not_charged", "no_charge")
    bench.pass_time(60)
    assert len(bench.hook.posts) == 1


def test_our_own_keyword_is_answered_here(db: InlineDatabase) -> None:
    bench = webhook(db)
    bench.deliver(f"MCKH {CODE}")
    bench.deliver("MCKH la gi", source_addr="84905000001")
    assert bench.hook.posts == []
    assert [reply.template_id for reply in bench.replies] == ["mo_reply_status", "mo_reply_bad_syntax"]


@pytest.mark.parametrize("fault", [500, 404, ConnectionRefusedError(), TimeoutError(), RuntimeError("a fault of ours")])
def test_a_webhook_that_is_away_is_tried_again_and_in_the_end_given_up(db: InlineDatabase, fault: Any) -> None:
    bench = webhook(db)
    bench.hook.results = [fault] * 3
    bench.deliver(FOREIGN)
    assert len(bench.hook.posts) == 1
    bench.pass_time(9)
    assert len(bench.hook.posts) == 1
    bench.pass_time(3)
    assert len(bench.hook.posts) == 2
    bench.pass_time(25)  # twice as long
    assert [post["attempt"] for post in bench.hook.posts] == [1, 2, 3]
    found = state(bench)
    assert found is not None
    assert found[:2] == ("failed", 3)
    bench.pass_time(300)
    assert len(bench.hook.posts) == 3


def test_it_comes_back_in_time(db: InlineDatabase) -> None:
    bench = webhook(db)
    bench.hook.results = [503, 200]
    bench.deliver(FOREIGN)
    bench.pass_time(12)
    assert state(bench) == ("done", 2, "")


def test_a_crash_between_the_commit_and_the_post(db: InlineDatabase) -> None:
    bench = webhook(db)
    bench.hook.results = [Deferred()]  # never answered: the daemon dies
    bench.deliver(FOREIGN)
    bench.receiver.stop()
    bench.restart()
    bench.receiver.start()
    bench.pass_time(12)
    assert state(bench) == ("done", 2, "")


def test_a_crash_before_the_hand_over(db: InlineDatabase) -> None:
    bench = webhook(db)

    async def dies(recorded: Any) -> None:
        return None

    bench.receiver._responder.answer = dies  # type: ignore[method-assign]
    bench.deliver(FOREIGN)
    assert bench.mos[0].state == "received"
    bench.receiver.stop()
    bench.pass_time(1)
    bench.restart()
    bench.receiver.start()
    bench.pass_time(2)
    assert [post["id"] for post in bench.hook.posts] == [1]


def test_a_repeated_deliver_sm_is_forwarded_once(db: InlineDatabase) -> None:
    bench = webhook(db)
    bench.deliver(FOREIGN)
    bench.deliver(FOREIGN)
    bench.pass_time(5)
    assert len(bench.hook.posts) == 1


def test_a_sender_without_end_is_not_forwarded_without_end(db: InlineDatabase) -> None:
    bench = webhook(db, per_sender_per_day=3)
    for number in range(6):
        bench.deliver(f"{FOREIGN} {number}")
    bench.pass_time(5)
    assert len(bench.hook.posts) == 3
    assert [mo.reason for mo in bench.mos] == ["forwarded"] * 3 + ["too_many"] * 3


def test_by_a_bind_and_never_back_to_where_it_came_from(db: InlineDatabase) -> None:
    bench = ForwardBench(db)
    binds = {name: {"binds": [{"name": f"{name}-1", "host": "h", "system_id": "s"}]} for name in ("viettel", "partner")}
    bench.settings = parse_settings(
        {"operators": binds, "queries": {"foreign_keywords": "forward", "forward": {"operator": "partner"}}}
    )
    bench.restart()
    bench.deliver(FOREIGN)
    [message] = bench.replies
    assert (message.route, message.text, message.source_addr, message.destination_addr, message.state) == (
        "partner",
        FOREIGN,
        CITIZEN,
        "8083",
        "queued",
    )
    assert (message.mo_id, message.charge_decision, bench.woken) == (None, None, ["partner"])
    bench.receiver.on_deliver("partner", bench.settings.operators["partner"].binds[0], PDU, bench.answers.append)
    assert len(bench.replies) == 1
    assert [mo.reason for mo in bench.mos] == ["forwarded", "foreign_keyword"]


# -- limits and words of a service's own ------------------------------------------------------------------------------


def test_a_burst_is_told_once_at_no_charge_and_then_ignored(db: InlineDatabase) -> None:
    bench = Bench(db, queries={"burst_per_sender_per_minute": 5})
    for number in range(8):
        bench.deliver(f"MCKH 01017012{number:02d}")
    assert [reply.template_id for reply in bench.replies] == ["mo_reply_status"] * 5 + ["mo_reply_temporary_failure"]
    assert [reply.charge_decision for reply in bench.replies] == ["charge"] * 5 + ["no_charge"]
    assert len(bench.asked) == 5
    assert [mo.reason for mo in bench.mos][6:] == ["too_fast", "too_fast"]
    bench.pass_time(61)
    bench.deliver("MCKH 0101701299")
    assert bench.replies[-1].template_id == "mo_reply_status"


def test_an_honest_person_with_many_papers_is_answered(db: InlineDatabase) -> None:
    bench = Bench(db)
    for number in range(100):
        bench.deliver(f"MCKH 01017012{number:02d}")
        bench.pass_time(4)
    assert [reply.template_id for reply in bench.replies] == ["mo_reply_status"] * 100


def test_a_burst_of_one_sender_harms_no_other(db: InlineDatabase) -> None:
    bench = Bench(db, queries={"burst_per_sender_per_minute": 1})
    for number in range(4):
        bench.deliver(f"MCKH 01017012{number:02d}")
    bench.deliver(source_addr="84911222333")
    assert bench.replies[-1].template_id == "mo_reply_status"
    assert bench.replies[-1].destination_addr == "84911222333"


def test_a_service_may_have_words_of_its_own(db: InlineDatabase) -> None:
    service = {"templates": {"mo_reply_bad_syntax": "mo_reply_temporary_failure"}}
    bench = Bench(db, queries={"services": [service]})
    bench.deliver("MCKH")
    [reply] = bench.replies
    assert (reply.template_id, bench.mos[0].reply_kind) == ("mo_reply_temporary_failure", "mo_reply_bad_syntax")


@pytest.mark.parametrize(
    ("queries", "word"),
    [
        ({"foreign_keywords": "forward"}, "belong together"),
        ({"forward": HOOK}, "belong together"),
        ({"foreign_keywords": "forward", "forward": {}}, "either 'url' or 'operator'"),
        ({"foreign_keywords": "forward", "forward": {"operator": "gold"}}, "no operator 'gold'"),
        ({"foreign_keywords": "forward", "forward": {"url": "ftp://x"}}, "pattern"),
    ],
)
def test_faults_of_the_configuration(sqlite_store_url: str, queries: dict[str, Any], word: str) -> None:
    with pytest.raises(Exception, match=word):
        parse_settings(
            {"operators": {"one": {"binds": [{"name": "b", "host": "h", "system_id": "s"}]}}, "queries": queries}
        )


# -- real HTTP on the loopback interface ------------------------------------------------------------------------------


class _Page(Resource):
    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.silent = False

    def render_POST(self, request: Request) -> bytes | int:
        self.bodies.append(request.content.read())
        if self.silent:
            return NOT_DONE_YET
        request.setResponseCode(202)
        return b"thanks"


@pytest_twisted.ensureDeferred
async def test_a_real_webhook() -> None:
    page = _Page()
    port = reactor.listenTCP(0, Site(page), interface="127.0.0.1")
    url = f"http://127.0.0.1:{port.getHost().port}/hook"
    post = http_post(reactor)
    try:
        assert await post(url, {"Content-Type": "application/json"}, b'{"text": "x"}', 5.0) == 202
        assert page.bodies == [b'{"text": "x"}']
        page.silent = True
        with pytest.raises((TimeoutError, ResponseFailed)):
            await post(url, {}, b"{}", 0.05)
    finally:
        await port.stopListening()
    with pytest.raises(ConnectionRefusedError):
        await post(url, {}, b"{}", 5.0)
