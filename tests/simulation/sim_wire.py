"""What is judged while it happens: each submit_sm as it leaves, each acknowledgement as it arrives."""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sim_plan import CLOCK_ERROR_S, PORTS

from gateway.clock import VIETNAM
from gateway.smpp.constants import TlvTag
from gateway.smpp.pdu import SubmitSm, decode
from gateway.smpp.pdu import tlv as tlv_of
from gateway.store.batch import id_key

if TYPE_CHECKING:
    from sim_operator import Operator, Outgoing
    from sim_world import Node, World

#: How long it may take until the night has begun everywhere, in seconds.
NIGHTFALL_S = 3.0
_SUBMIT_SM = 0x00000004


class Wire:
    """Looks at what the gateway's processes write, and at the store in the same moment."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._second: dict[int, deque[float]] = defaultdict(deque)
        self.submits = 0
        world.network.on_written = self._written
        for operator in world.operators.values():
            operator.on_acknowledged = self._acknowledged

    def _written(self, life: str, port: int, data: bytes) -> None:
        offset = 0
        while offset < len(data):
            length, command_id = struct.unpack_from(">II", data, offset)
            if command_id == _SUBMIT_SM:
                pdu = decode(data[offset : offset + length])
                assert isinstance(pdu, SubmitSm)
                self._left(life, port, pdu)
            offset += length

    def _left(self, life: str, port: int, pdu: SubmitSm) -> None:
        world = self._world
        self.submits += 1
        now, name = world.reactor.seconds(), next(o for o, p in PORTS.items() if p == port)
        rows = self._meant(pdu)
        parts = 1 if tlv_of(pdu, TlvTag.MESSAGE_PAYLOAD) is None or not rows else rows[0].parts
        second = self._second[port]
        if parts > world.licence[name]:
            second.clear()  # longer than a second's licence: it leaves alone
        second.extend([now] * parts)
        while second[0] <= now - 1.0:
            second.popleft()
        if len(second) > max(parts, world.licence[name]):
            world.violated(
                "licence (6)", f"{len(second)} parts to {name} within a second, licensed {world.licence[name]}"
            )
        self._claimed(life, rows)
        if not world.history.seen[
            "weather/commits_without_answer"
        ]:  # which leave claims that nobody knows of for a while
            self._within_window(next(node for node in world.nodes if node.name == life), name)

    def _meant(self, pdu: SubmitSm) -> list[Any]:
        """The messages that a submit_sm may be of."""
        query = "SELECT id, state, node, kind, parts, state_at FROM message WHERE "
        reference = tlv_of(pdu, TlvTag.USER_MESSAGE_REFERENCE)
        if reference is not None:
            return self._world.disk.rows(query + "id = :id", id=int.from_bytes(reference, "big") >> 4)
        return self._world.disk.rows(
            query + "destination_addr = :to AND source_addr = :source",
            to=pdu.destination_addr, source=pdu.source_addr,
        )  # fmt: skip

    def _claimed(self, life: str, rows: list[Any]) -> None:
        """Claim before send (2); what is cancelled, blocked or expired never leaves; nobody is woken."""
        world = self._world
        sender = next(node for node in world.nodes if node.name == life)
        gateway = sender.gateway
        assert gateway is not None
        mine = [row for row in rows if row.state == "sending" and row.node == gateway.lease.node]
        # Its other part failed a moment ago, which ended the message; the claim came before both.
        half_failed = [row for row in rows if row.state in ("undelivered", "expired", "rejected") and row.parts > 1]
        if not mine and not half_failed:
            states = [(row.id, row.state, row.node) for row in rows]
            world.violated("claim before send (2)", f"{life} sent what it holds no claim on: {states}")
        if len(mine) == 1 and mine[0].kind != "mo_reply":
            self._hours(mine[0], sender.clock.error)

    def _hours(self, row: Any, clock_error: timedelta) -> None:
        """When a notice may be claimed. It leaves at once, or some seconds later when its bind has to pause."""
        stored = datetime.fromisoformat(row.state_at).replace(tzinfo=UTC)
        # By the node's clock, which may have been set since.
        moments = [self._world.business_of(moment).astimezone(VIETNAM) for moment in (stored, stored - clock_error)]
        slack = timedelta(seconds=CLOCK_ERROR_S + NIGHTFALL_S)
        if all((local + slack).hour < 7 or (local - slack).hour >= 21 for local in moments):
            self._world.violated(
                "night (domain 6)", f"message {row.id} ({row.kind}) was claimed at {moments[1]:%H:%M:%S}"
            )
        if row.kind == "apology_due_tomorrow" and all((local - slack).hour >= 20 for local in moments):
            self._world.violated("the apology's hours", f"message {row.id} was claimed at {moments[1]:%d %H:%M:%S}")

    def in_doubt(self, node: Node) -> None:
        """A crash leaves at most one window in doubt (2); one long message is always let in."""
        for name in node.settings.operators:
            self._within_window(node, name)

    def _within_window(self, node: Node, name: str) -> None:
        if node.gateway is None:
            return
        claimed = self._world.disk.rows(
            "SELECT count(*) AS n FROM message m WHERE state = 'sending' AND node = :node AND route = :route",
            node=node.gateway.lease.node,
            route=name,
        )[0].n
        window = sum(bind.window for bind in node.settings.operators[name].binds)
        if self._world.history.seen["weather/commits_without_answer"]:
            window *= 2  # a claim without an answer, which is given back with the next one
        if claimed > window + 1:
            self._world.violated(
                "one window in doubt (2)", f"{node.name} had {claimed} claims of {name}, window {window}"
            )

    def _acknowledged(self, operator: Operator, outgoing: Outgoing, status: int) -> None:
        """Persist before acknowledging (4)."""
        if status:
            return
        rows = self._world.disk.rows
        if outgoing.kind == "mo":
            there = rows(
                "SELECT 1 FROM mo WHERE route = :r AND smsc_message_id = :k UNION ALL "
                "SELECT 1 FROM mo_part WHERE route = :r AND smsc_message_id = :k",
                r=operator.name, k=outgoing.key,
            )  # fmt: skip
        elif outgoing.kind == "receipt":
            there = rows(
                "SELECT 1 FROM waiting_receipt WHERE route = :r AND smsc_message_id = :k UNION ALL "
                "SELECT 1 FROM message_part WHERE route = :r AND (smsc_message_id IN (:k, :g) OR id_key = :i) "
                "AND receipt_stat IS NOT NULL "
                "UNION ALL SELECT 1 FROM message_part p JOIN part_key k ON k.message_id = p.message_id AND k.part = p.part "
                "WHERE k.route = :r AND k.id_key = :i AND p.receipt_stat IS NOT NULL",
                r=operator.name, k=outgoing.key, g=outgoing.given, i=id_key(outgoing.given),
            )  # fmt: skip
        else:
            return  # an intermediate receipt or an orphan need not leave a trace
        if not there:
            self._world.violated("persist before acknowledge (4)", f"{outgoing.kind} {outgoing.key} of {operator.name}")
