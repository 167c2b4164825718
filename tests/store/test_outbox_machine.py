"""The outbox's whole life as a machine: nodes, an SMSC that knows the truth, and hypothesis as fate.

Nodes claim, submit, lose answers, stall, crash and come back; receipts come early, late, twice. After every step the
store must not claim more than the SMSC knows, nothing final may change, and no part may have left twice unless its
message is marked as a possible duplicate. At the end time passes, and every message must have ended with a reason.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from inline_db import InlineDatabase
from messages import outcome, receipt
from outbox_driver import LEASE, Outbox

from gateway.model import ClaimedMessage, MessageState, PartState
from gateway.store import doubt, migrate, nodes, outbox
from gateway.store.schema import message

ACCEPTED, REJECTED, UNKNOWN, PENDING = PartState.ACCEPTED, PartState.REJECTED, PartState.UNKNOWN, PartState.PENDING

#: What becomes of a submit; most are taken.
FATES = st.sampled_from(["taken"] * 5 + ["taken_but_lost"] * 2 + ["never_seen", "refused"])


@dataclass
class Held:
    """What one life of a node has of a message."""

    message: ClaimedMessage
    unsent: list[int]


@dataclass
class Life:
    """One life of a node."""

    name: str
    number: int
    held: dict[int, Held] = field(default_factory=dict)

    @property
    def incarnation(self) -> str:
        return f"i{self.number}"

    @property
    def node(self) -> str:
        return nodes.node_id(self.name, self.incarnation)


class OutboxMachine(RuleBasedStateMachine):
    """See the module."""

    folder: Path  # with a migrated template
    lost = Bundle("lost")  # submits whose answer was lost: (node, message, part, SMSC's id or None)

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(dir=self.folder)) / "store.sqlite3"
        shutil.copyfile(self.folder / "template.sqlite3", self.path)
        self.box = Outbox(InlineDatabase(f"sqlite:///{self.path}"))
        self.lives = {name: Life(name, 1) for name in ("one", "two")}
        self.ids: list[int] = []
        self.parts: dict[int, int] = {}
        self.left: dict[tuple[int, int], int] = {}  # how often a part may have left
        self.at_smsc: dict[tuple[int, int], list[str]] = {}  # the truth: ids that the SMSC gave
        self.refused: set[int] = set()
        self.receipted: set[tuple[int, int]] = set()
        self.final: dict[int, tuple[str, str]] = {}

    @initialize()
    def begin(self) -> None:
        for life in self.lives.values():
            self._register(life)
        for parts, reply in ((3, False), (1, False), (2, False), (1, True), (2, True)):
            self._add(parts, reply)

    def _register(self, life: Life) -> None:
        self.box.db.do(nodes.register_node_txn, life.name, life.incarnation, self.box.now, self.box.now + LEASE)

    def _handset(self, number: int) -> str:
        return f"8490{number:07d}"

    # -- what happens ---------------------------------------------------------------------------------------------

    @rule(parts=st.integers(min_value=1, max_value=3), reply=st.booleans())
    def add(self, parts: int, reply: bool) -> None:
        self._add(parts, reply)

    def _add(self, parts: int, reply: bool) -> None:
        number = len(self.ids) + 1
        mo: dict[str, Any] = {"mo_id": number, "priority": 0} if reply else {}
        (made,) = self.box.add(str(number), parts=parts, destination_addr=self._handset(number), **mo)
        assert made == number
        self.ids.append(made)
        self.parts[made] = parts

    @rule(name=st.sampled_from(["one", "two"]), limit=st.sampled_from([2, 5, 9]))
    def claim(self, name: str, limit: int) -> None:
        life = self.lives[name]
        self._register(life)
        for item in self.box.claim(limit, node=life.node).messages:
            unsent = [part for part in range(1, item.parts + 1) if part not in item.parts_done]
            assert unsent, "a message whose parts the SMSC has is not claimed"
            for part in unsent:
                if self.left.get((item.id, part)):
                    assert item.possible_duplicate, "what may have left leaves again only when marked"
                    assert item.mo_id is None, "a reply never does"
            life.held[item.id] = Held(item, unsent)

    @rule(target=lost, name=st.sampled_from(["one", "two"]), fates=st.lists(FATES, min_size=1, max_size=5))
    def submit(self, name: str, fates: list[str]) -> Any:
        """Parts leave, in order; the SMSC takes, refuses or never sees each; the answer comes or is lost."""
        life, lost = self.lives[name], []
        for fate in fates:
            held = next((held for _, held in sorted(life.held.items()) if held.unsent), None)
            if held is None:
                break
            number, part = held.message.id, held.unsent.pop(0)
            self.left[number, part] = self.left.get((number, part), 0) + 1
            given = None
            if fate.startswith("taken"):
                given = f"S{number}-{part}-{self.left[number, part]}"
                self.at_smsc.setdefault((number, part), []).append(given)
            if fate == "refused":
                self.refused.add(number)
                held.unsent.clear()
                self._record(life, outcome(number, REJECTED, part, reason="status:ESME_RINVDSTADR", command_status=11))
            elif fate in ("taken_but_lost", "never_seen"):
                lost.append((life.node, number, part, given))
                self._record(life, outcome(number, UNKNOWN, part, reason="no_answer"))
            else:
                self._record(life, outcome(number, ACCEPTED, part, smsc_message_id=given))
            if not held.unsent:
                del life.held[number]
        return multiple(*lost)

    @rule(name=st.sampled_from(["one", "two"]))
    def give_back(self, name: str) -> None:
        """Drain, or a bind that is out for long."""
        life = self.lives[name]
        for number in list(life.held):
            self._record(life, outcome(number, PENDING, life.held[number].unsent[0], reason="no_bind"))
        life.held.clear()

    @rule(submit=consumes(lost))
    def answer_late(self, submit: tuple[str, int, int, str | None]) -> None:
        node, number, part, given = submit
        if given is not None:
            self.box.record(outcome(number, ACCEPTED, part, smsc_message_id=given), node=node)

    @rule(data=st.data(), twice=st.booleans())
    def receive(self, data: st.DataObject, twice: bool) -> None:
        if not self.at_smsc:
            return
        number, part = data.draw(st.sampled_from(sorted(self.at_smsc)))
        given = data.draw(st.sampled_from(self.at_smsc[number, part]))
        item = receipt(given, destination_addr=self._handset(number), done_at=self.box.now)
        self.receipted.add((number, part))
        self.box.receive(*([item] * (1 + twice)))

    @rule(name=st.sampled_from(["one", "two"]))
    def crash(self, name: str) -> None:
        """SIGKILL and start: what was in hand is in doubt."""
        life = self.lives[name] = Life(name, self.lives[name].number + 1)
        self._register(life)

    @rule()
    def lapse(self) -> None:
        """Everybody stalls beyond the lease; somebody else notices."""
        self.box.later(seconds=30)
        self.box.lapse()
        for life in self.lives.values():
            # the lease is asked before anything leaves: what is in hand is given back
            for number, held in list(life.held.items()):
                self._record(life, outcome(number, PENDING, held.unsent[0], reason="lease_lapsed"))
            life.held.clear()

    @rule()
    def wait_for_doubt(self) -> None:
        self.box.later(minutes=16)
        before = self.box.now - timedelta(minutes=15)
        for number in self.box.db.do(doubt.resend_doubtful_txn, before, self.box.now, self.box.now, 100):
            assert self.box.see(number).possible_duplicate

    @rule()
    def rematch(self) -> None:
        self.box.rematch()

    def _record(self, life: Life, result: Any) -> None:
        self.box.record(result, node=life.node)

    # -- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_made_up(self) -> None:
        rows = self.box.db.do(
            lambda conn: conn.execute(sa.select(message.c.id, message.c.state, message.c.reason)).all()
        )
        for number, state, reason in rows:
            parts = range(1, self.parts[number] + 1)
            if number in self.final:
                assert (state, reason) == self.final[number], "what has ended stays as it is"
            elif MessageState(state).final:
                self.final[number] = (state, reason)
            if state in ("accepted", "delivered"):
                assert all((number, part) in self.at_smsc for part in parts), "accepted without the SMSC"
            if state == "delivered":
                assert all((number, part) in self.receipted for part in parts), "delivered without its receipts"
            if state == "rejected":
                assert number in self.refused, "rejected without a refusal"
            if state == "undelivered":
                assert reason == "in_doubt", "there are no receipts of failure here"

    @invariant()
    def nobody_has_what_another_has(self) -> None:
        one, two = (set(life.held) for life in self.lives.values())
        assert not one & two, "claimed twice"

    def teardown(self) -> None:
        """Time alone ends everything."""
        if self.ids:
            self.box.later(days=1)
            self.box.lapse()
            self.box.db.do(lambda conn: conn.exec_driver_sql("UPDATE message SET expires_at = not_before"))
            for _ in range(3):
                self.box.later(days=4)
                self.box.db.do(outbox.expire_pending_txn, self.box.now, self.box.now, 1000)
                self.box.db.do(doubt.close_doubtful_txn, self.box.now, self.box.now, 1000)
                self.box.db.do(doubt.close_unreceipted_txn, self.box.now, self.box.now, 1000)
            self.nothing_is_made_up()
            assert set(self.final) == set(self.ids), "not everything has ended"
            assert all(state == "delivered" or reason for state, reason in self.final.values()), "no reason"
        self.box.db.close()
        shutil.rmtree(self.path.parent)


def test_outbox_machine(tmp_path: Path) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path}/template.sqlite3")
    OutboxMachine.folder = tmp_path
    OutboxMachine.TestCase.settings = settings(
        max_examples=40,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,  # the same histories every time; without this line others
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    OutboxMachine.TestCase("runTest").runTest()
