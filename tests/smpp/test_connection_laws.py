"""Laws of a session under any history: every token comes back once, windows hold, and no octets break the core."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smpp_wire import read_pdus

from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.events import (
    Event,
    LateResponse,
    RequestExpired,
    RequestReceived,
    ResponseReceived,
    SessionClosed,
)
from gateway.smpp.pdu import BindTransceiver, DeliverSm, EnquireLink, Pdu, SubmitSm, Unbind, encode, make_response
from gateway.smpp.session import Role

SUBMIT = SubmitSm(destination_addr="84905123456", short_message=b"hello")
DELIVER = DeliverSm(source_addr="84905123456", short_message=b"MCKH 0101701234")
LIMITS = SessionSettings(
    window=4, incoming_window=3, response_timeout_s=10.0, enquire_link_interval_s=25.0, linger_s=2.0
)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["send", "unbind", "lose", "take"]), st.sampled_from(["esme", "smsc"])),
        st.tuples(st.just("carry"), st.sampled_from(["esme", "smsc"]), st.integers(1, 400)),
        st.tuples(st.just("answer"), st.sampled_from(["esme", "smsc"]), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 12)),
    ),
    max_size=80,
)


class End:
    """One end, with the wire that leads away from it and what its owner knows."""

    def __init__(self, role: Role, request: Pdu) -> None:
        self.connection = Connection(role, LIMITS, 0.0)
        self.request = request
        self.wire = bytearray()
        self.asked: list[Pdu] = []
        self.given = 0
        self.returned: list[Any] = []
        self.late: list[Any] = []
        self.closed = 0

    def note(self, events: list[Event]) -> None:
        for event in events:
            assert not self.closed, "SessionClosed is the last event"
            if isinstance(event, ResponseReceived | RequestExpired):
                self.returned.append(event.token)
            elif isinstance(event, LateResponse):
                self.late.append(event.token)
            elif isinstance(event, RequestReceived):
                self.asked.append(event.pdu)
            elif isinstance(event, SessionClosed):
                self.closed += 1
                self.returned += [*event.unanswered, *event.never_sent]


class World:
    """Two ends bound to each other over a wire that carries octets when told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends = {"esme": End(Role.ESME, SUBMIT), "smsc": End(Role.SMSC, DELIVER)}
        esme, smsc = self.ends["esme"].connection, self.ends["smsc"].connection
        esme.bind(BindTransceiver(system_id="motcua"), 0.0)
        [event] = smsc.receive_data(esme.data_to_send(), 0.0)
        assert isinstance(event, RequestReceived)
        smsc.send_response(make_response(event.pdu))
        esme.receive_data(smsc.data_to_send(), 0.0)

    def other(self, name: str) -> End:
        return self.ends["smsc" if name == "esme" else "esme"]

    def step(self, what: str, name: str, amount: int = 0) -> None:
        if what == "wait":
            self.now += amount
            for end in self.ends.values():
                end.note(end.connection.on_tick(self.now))
            return
        end = self.ends[name]
        connection = end.connection
        if what == "send" and connection.bound and connection.window.free:
            connection.send_request(end.request, self.now, end.given)
            end.given += 1
        elif what == "unbind" and connection.bound:
            connection.unbind(self.now)
        elif what == "lose":
            end.note(connection.connection_lost("cut"))
        elif what == "take":
            end.wire += connection.data_to_send()
        elif what == "carry":
            end.wire += connection.data_to_send()
            octets = bytes(end.wire[:amount])
            del end.wire[:amount]
            there = self.other(name)
            there.note(there.connection.receive_data(octets, self.now))
        elif what == "answer" and end.asked and not connection.closed:
            request = end.asked.pop(amount % len(end.asked))
            connection.send_response(make_response(request), request)

    def check(self) -> None:
        for end in self.ends.values():
            assert len(end.connection.window) <= LIMITS.window
            assert len(end.connection.unanswered_incoming) <= LIMITS.incoming_window

    def finish(self) -> None:
        for end in self.ends.values():
            end.note(end.connection.connection_lost("the end"))
            assert end.closed == 1
            assert sorted(end.returned) == list(range(end.given))
            assert len(set(end.late)) == len(end.late)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_every_token_comes_back_once_under_any_history(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    for step in steps:
        world.step(*step)
        world.check()
    world.finish()


@settings(max_examples=300)
@given(st.integers(0, 400), st.integers(0, 7), st.integers(1, 64))
def test_a_flipped_bit_never_raises_and_what_is_written_stays_smpp(position: int, bit: int, piece: int) -> None:
    world = World()
    connection = world.ends["esme"].connection
    stream = bytearray(
        b"".join(
            encode(pdu)
            for pdu in (
                DELIVER._replace(sequence_number=1),
                EnquireLink(2),
                DELIVER._replace(sequence_number=3, short_message=b"x" * 200),
                Unbind(4),
            )
        )
    )
    stream[position % len(stream)] ^= 1 << bit
    events: list[Event] = []
    for start in range(0, len(stream), piece):
        events += connection.receive_data(bytes(stream[start : start + piece]), 1.0)
    read_pdus(connection.data_to_send())
    assert sum(isinstance(event, SessionClosed) for event in events) == connection.closed
