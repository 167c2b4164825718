"""The demonstration's day, scene by scene. The gateway and the simulator are processes of their own; this one only moves the
business clock, changes dossiers in the agencies' databases, lets handsets send, and looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import time

import sqlalchemy as sa

from demo.agencies import CaseFile
from demo.books import BookedMessage, Books, totals_by_agency
from demo.check import Finding, check
from demo.counter import Counter
from demo.processes import Daemon, DemoError, wait_for
from demo.province import EXAMPLE_CODE, EXAMPLE_PHONE
from demo.record import Record
from demo.screen import Screen
from demo.setup import Setup
from demo.smsc import SHORTCODE, Smsc
from gateway.model import MessageKind, MessageState

#: The whole demonstration ends within a minute of its start, whatever happens.
LIMIT_S = 56.0
THROTTLED = 0x58  # ESME_RTHROTTLED, SMPP 3.4 §5.1.3


class Story:
    """One run.

    Args:
        setup: the folder, filled.
        daemons: simulator and gateway, not started.
    """

    def __init__(self, setup: Setup, simulator: Daemon, gateway: Daemon, screen: Screen) -> None:
        self.setup = setup
        self.province = setup.province
        self.counter = Counter(setup.province)
        self.screen = screen
        self.smsc = Smsc(setup.control_url)
        self.books = Books(setup.folder / "store.sqlite3")
        self._throttled = 0  # refusals told so far
        self._simulator = simulator
        self._gateway = gateway

    def play(self) -> bool:
        """Everything; True when the check at the end finds nothing."""
        self._start()
        self._morning()
        self._second_thoughts()
        self._sending()
        self._queries()
        self._apology()
        self._evening()
        return self._report()

    # -- scenes -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._simulator.start()
        self._gateway.start()
        wanted = {"viettel": 1, "mobifone": 1, "vinaphone": 2}
        self._wait("the gateway's binds to three operators", lambda: self.smsc.sessions() == wanted)
        self._wait("the first reading of both agencies' databases", lambda: self._read(self.books.sources_read) == 2)
        self.screen.line(
            "Đã kết nối 3 nhà mạng và 2 cơ sở dữ liệu", "bound to three operators, both databases are read"
        )

    def _morning(self) -> None:
        self._clock(time(8, 5))
        self.screen.scene("Các cơ quan xử lý hồ sơ", "the agencies' software works")
        moves = self.counter.morning(self.setup.moment(time(8, 5)))
        self._wait("the poller to see the morning's changes", self._seen)
        states = self.books.message_states()
        self.screen.line(
            f"{moves} hồ sơ đổi trạng thái; {states[MessageState.HELD]} thông báo chờ 10 phút, "
            f"{states[MessageState.REJECTED]} bị từ chối vì số điện thoại",
            "dossiers moved, notices held for ten minutes, rejected for their numbers",
        )

    def _second_thoughts(self) -> None:
        self._clock(time(8, 9))
        self.screen.scene("Bấm nhầm, sửa lại; dân đã đến lấy; rút hồ sơ", "mistakes taken back within the hold")
        self.counter.second_thoughts(self.setup.moment(time(8, 9)))
        self._wait("the poller to see the corrections", self._seen)
        cancelled = self.books.message_states()[MessageState.CANCELLED]
        self.screen.line(f"{cancelled} thông báo đã hủy trước khi gửi", "notices cancelled before they left")

    def _sending(self) -> None:
        self._clock(time(8, 20))
        self.screen.scene("Hết thời gian chờ: gửi tin", "the hold is over: messages leave")
        self._settle("the morning's messages to end")
        self._tell_troubles()

    def _queries(self) -> None:
        self._clock(time(9, 30))
        self.screen.scene("Người dân nhắn tin tra cứu đến 8083", "citizens text 8083")
        asked = list(self._questions())
        for phone, text in asked:
            self.smsc.send(phone, text)
        self._wait("every query to be answered and charged", lambda: self.books.open_queries() == 0)
        self._settle("the replies to end")
        inboxes = {phone: [each for each in self.smsc.inbox(phone) if each.sender == SHORTCODE] for phone, _ in asked}
        for phone, text in asked:  # the first question's reply is the first one, and so on
            replies = inboxes[phone]
            answer = replies.pop(0).text if replies else "(không đến máy · none reaches the handset)"
            self.screen.exchange(text, phone, answer)

    def _questions(self) -> Iterator[tuple[str, str]]:
        yield EXAMPLE_PHONE, f"MCKH {EXAMPLE_CODE}"
        viettel, vinaphone = self._asker("viettel"), self._asker("vinaphone")
        yield viettel.applicant.mobile, f"mckh {viettel.code.lower()}"  # a national code
        yield vinaphone.applicant.mobile, f"Mckh  {vinaphone.code} gửi 8083"  # late
        ready = next(f for _, f in self.province.all_files() if f.role == "ready" and f.applicant.carrier == "MobiFone")
        yield ready.applicant.mobile, f"MCKH {ready.code}"
        yield EXAMPLE_PHONE, "MCKH 0101709999"  # no such dossier
        yield viettel.applicant.mobile, "MCKH 010170123"  # a digit short: not charged
        yield vinaphone.applicant.mobile, "Hồ sơ của tôi xong chưa?"  # taken with the query: refunded
        yield self.setup.poor.applicant.mobile, f"MCKH {self.setup.poor.code}"  # no money left

    def _asker(self, carrier: str) -> CaseFile:
        return self.province.of_role("tu_phap", f"asks_{carrier}")[0]

    def _apology(self) -> None:
        self._clock(time(17, 30))
        self.screen.scene("Tin xin lỗi tự động lúc 17 giờ 30", "the 17:30 apology")
        self._wait(
            "the apology job to run for each agency",
            lambda: self.books.apology_runs().count("done") == len(self.province.agencies),
        )
        self._settle("the apologies to end")
        count = sum(self.books.message_states((MessageKind.APOLOGY_DUE_TOMORROW,)).values())
        self.screen.line(f"{count} hồ sơ hẹn trả ngày mai chưa có kết quả", "dossiers due tomorrow without a result")
        self._tell_throttling()

    def _evening(self) -> None:
        self._clock(time(17, 40))
        self.screen.scene("Có kết quả sau khi đã xin lỗi: vẫn báo", "a result after the apology is still told")
        self.counter.evening(self.setup.moment(time(17, 40)))
        self._wait("the poller to see the evening's results", self._seen)
        self._clock(time(17, 51))
        self._settle("the evening's messages to end")

    def _report(self) -> bool:
        self.smsc.flush()
        messages, queries = self.books.messages(), self.books.queries()
        record = Record.read(self.setup.folder / "simulator-record.jsonl")
        self.screen.scene("Hộp thư của vài người dân", "a few citizens' inboxes")
        for owner, phone in self._owners(messages):
            self.screen.inbox(owner, phone, self.smsc.inbox(phone))
        self.screen.totals(totals_by_agency(messages))
        conflicts = ", ".join(f"{what} {number}" for what, number in self.books.conflicts().items())
        self.screen.line(f"Mâu thuẫn trạng thái: {conflicts or '—'}", "state conflicts, listed for the agencies")
        self.screen.charges(queries)
        findings: list[Finding] = check(self.counter.expected(), messages, queries, record)
        self.screen.findings(findings)
        return not any(finding.problems for finding in findings)

    # -- looking ------------------------------------------------------------------------------------------------

    def _owners(self, messages: list[BookedMessage]) -> Iterator[tuple[str, str]]:
        yield "Nguyễn Thị Lan (hồ sơ mẫu · the letter's example)", EXAMPLE_PHONE
        reached = {(each.source, each.code) for each in messages if each.state is MessageState.DELIVERED}
        shown = (
            ("mixed_up", "bấm nhầm bước, đã sửa · put at the wrong step first"),
            ("evening", "xin lỗi rồi có kết quả · apology, then the result"),
        )
        for role, what in shown:
            for source, file in self.province.all_files():
                if file.role == role and (source, file.code) in reached:
                    yield f"{file.applicant.name} ({what})", file.applicant.mobile
                    break
        late = self._asker("vinaphone")
        yield f"{late.applicant.name} (trễ hạn · late)", late.applicant.mobile

    def _tell_troubles(self) -> None:
        record = self._record()
        again = sum(each.possible_duplicate for each in self.books.messages())
        self.screen.line(
            f"Viettel đứt kết nối {record.links_cut()} lần giữa chừng, đã nối lại; {again} tin chưa rõ được gửi lại một lần",
            "the link was cut in mid-flow; what nobody answered for was sent once more, if no receipt came",
        )
        self._tell_throttling()

    def _tell_throttling(self) -> None:
        throttled = self._record().refused()[THROTTLED]
        self.screen.line(
            f"MobiFone quá tải, từ chối {throttled - self._throttled} lần (ESME_RTHROTTLED): cổng chậm lại, giữ nguyên thứ tự",
            "throttled: the bind paused, kept the order and found the operator's pace",
        )
        self._throttled = throttled

    def _record(self) -> Record:
        self.smsc.flush()
        return Record.read(self.setup.folder / "simulator-record.jsonl")

    def _seen(self) -> bool:
        states = self.books.dossier_states()
        return all(states.get(key) == stage.state for key, stage in self.counter.stages.items())

    @staticmethod
    def _read(look: Callable[[], int]) -> int:
        """A look into a store that may not be there yet."""
        try:
            return look()
        except sa.exc.OperationalError:
            return 0

    # -- waiting ------------------------------------------------------------------------------------------------

    def _clock(self, at: time) -> None:
        self.setup.set_clock(at)
        self.screen.hour = f"{at:%H:%M}"

    def _settle(self, what: str) -> None:
        """Until no message that may leave now is on its way."""

        def done() -> bool:
            return self.books.unfinished() == 0

        with self._spinner():
            self._wait(what, done)
        states = self.books.message_states()
        self.screen.line(
            f"đến máy {states[MessageState.DELIVERED]}, không đến {states[MessageState.UNDELIVERED]}, "
            f"từ chối {states[MessageState.REJECTED]}, hủy {states[MessageState.CANCELLED]}",
            "delivered, undelivered, rejected, cancelled so far",
        )

    @contextmanager
    def _spinner(self) -> Iterator[None]:
        if not self.screen.console.is_terminal:
            yield
            return
        with self.screen.console.status("đang gửi · sending"):
            yield

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        left_s = LIMIT_S - self.screen.elapsed_s
        if left_s <= 0:
            raise DemoError(f"no time left for {what}")
        wait_for(what, condition, left_s, (self._simulator, self._gateway))
