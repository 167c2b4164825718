"""What is judged while it happens: each submit_sm as it leaves, each acknowledgement as it arrives."""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from gateway.clock import VIETNAM
from gateway.smpp.constants import TlvTag
from gateway.smpp.pdu import SubmitSm, decode
from gateway.smpp.pdu import tlv as tlv_of

if TYPE_CHECKING:
    from sim_operator import Operator, Outgoing
    from sim_world import Node, World

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
        now, name = world.reactor.seconds(), next(o for o, p in self._ports() if p == port)
        second = self._second[port]
        second.append(now)
        while second[0] <= now - 1.0:
            second.popleft()
        if len(second) > world.licence[name]:
            world.violated(
                "licence (6)", f"{len(second)} parts to {name} within a second, licensed {world.licence[name]}"
            )
        self._claimed(life, pdu)

    def _ports(self) -> list[tuple[str, int]]:
        from sim_world import PORTS

        return list(PORTS.items())

    def _claimed(self, life: str, pdu: SubmitSm) -> None:
        """Claim before send (2); what is cancelled, blocked or expired never leaves; nobody is woken."""
        world = self._world
        gateway = next(node.gateway for node in world.nodes if node.name == life)
        assert gateway is not None
        reference = tlv_of(pdu, TlvTag.USER_MESSAGE_REFERENCE)
        if reference is not None:
            rows = world.disk.rows(
                "SELECT id, state, node, kind, not_before, parts FROM message WHERE id = :id",
                id=int.from_bytes(reference, "big") >> 4,
            )
        else:
            rows = world.disk.rows(
                "SELECT id, state, node, kind, not_before, parts FROM message WHERE destination_addr = :to AND source_addr = :source",
                to=pdu.destination_addr, source=pdu.source_addr,
            )  # fmt: skip
        mine = [row for row in rows if row.state == "sending" and row.node == gateway.lease.node]
        # Its other part failed a moment ago, which ended the message; the claim came before both.
        half_failed = [row for row in rows if row.state == "undelivered" and row.parts > 1]
        if not mine and not half_failed:
            states = [(row.id, row.state, row.node) for row in rows]
            world.violated("claim before send (2)", f"{life} sent what it holds no claim on: {states}")
        local = world.business().astimezone(VIETNAM)
        minute = local.hour * 60 + local.minute
        night = minute >= 21 * 60 + 2 or minute < 6 * 60 + 59
        for row in mine if len(mine) == 1 else ():
            # A clock that is wrong by less than a minute, and a backlog of just before 21:00, are no violation.
            if row.kind != "mo_reply" and night:
                world.violated("night (domain 6)", f"message {row.id} ({row.kind}) left at {local:%H:%M:%S}")

    def in_doubt(self, node: Node) -> None:
        """A crash leaves at most one window in doubt (2); one long message is always let in."""
        if node.gateway is None:
            return
        for name, operator in node.settings.operators.items():
            claimed = self._world.disk.rows(
                "SELECT count(*) AS n FROM message m WHERE state = 'sending' AND node = :node AND route = :route",
                node=node.gateway.lease.node,
                route=name,
            )[0].n
            window = sum(bind.window for bind in operator.binds)
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
            there = rows("SELECT 1 FROM mo WHERE route = :r AND smsc_message_id = :k", r=operator.name, k=outgoing.key)
        else:
            there = rows(
                "SELECT 1 FROM waiting_receipt WHERE route = :r AND smsc_message_id = :k UNION ALL "
                "SELECT 1 FROM message_part WHERE route = :r AND (smsc_message_id = :k OR id_key = :k) AND receipt_stat IS NOT NULL "
                "UNION ALL SELECT 1 FROM message_part p JOIN part_key k ON k.message_id = p.message_id AND k.part = p.part "
                "WHERE k.route = :r AND k.id_key = :k AND p.receipt_stat IS NOT NULL",
                r=operator.name, k=outgoing.key,
            )  # fmt: skip
        if not there:
            self._world.violated("persist before acknowledge (4)", f"{outgoing.kind} {outgoing.key} of {operator.name}")
