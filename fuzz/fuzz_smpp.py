"""Fuzzing of everything that a peer's octets reach: framing, decode, texts and receipts, and whole sessions.

    python fuzz/fuzz_smpp.py -runs=100000          with atheris (pip install "motcua-gateway[fuzz]"): guided by coverage
    python fuzz/fuzz_smpp.py -runs=100000 -seed=7  without it: seeded mutations of valid PDUs, not guided

Other options and corpus folders go to libFuzzer as they are (-max_total_time=600, fuzz/corpus/ ...). A finding ends the
program with a traceback; libFuzzer also writes the input to a crash-* file, which is run again by naming it.

The laws (``check``): nothing but SmppError ever comes out of a peer's octets; what was decoded is encoded to the same
octets; framing does not depend on how the stream is cut; a session answers with well-formed PDUs only, and gives every
token of ours back exactly once.
"""

from __future__ import annotations

import contextlib
import random
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports() if atheris else contextlib.nullcontext():
    from gateway.smpp.concatenation import parse_concatenation, user_data
    from gateway.smpp.connection import Connection, SessionSettings
    from gateway.smpp.constants import HEADER_OCTETS, RESPONSE_BIT
    from gateway.smpp.errors import LocalProtocolError, RecoverablePduError, UnrecoverablePduError
    from gateway.smpp.events import (
        Bound,
        Event,
        LateResponse,
        RequestExpired,
        RequestReceived,
        ResponseReceived,
        SessionClosed,
    )
    from gateway.smpp.fields import PDU_ROWS, DistributionList, Kind, SmeAddress, UnsuccessSme
    from gateway.smpp.framing import Framer
    from gateway.smpp.pdu import (
        PDU_CLASSES,
        RESPONSE_OF,
        BindTransceiver,
        BindTransceiverResp,
        DataSm,
        DeliverSm,
        Pdu,
        SubmitSm,
        Tlv,
        decode,
        encode,
        make_response,
    )
    from gateway.smpp.receipt import is_receipt, parse_receipt
    from gateway.smpp.receipt_ids import id_keys
    from gateway.smpp.segmentation import decode_text
    from gateway.smpp.session import Role

MAX_PDU_OCTETS = 4096  # small, so that mutations reach the limit
SETTINGS = SessionSettings(window=4, incoming_window=4, max_pdu_octets=MAX_PDU_OCTETS)


def check(data: bytes) -> None:
    """Hold all laws against one input; raises AssertionError, or whatever escaped, if one is broken."""
    check_decode(data)
    check_framing(data)
    for role in (Role.ESME, Role.SMSC):
        check_session(role, data)


def check_decode(data: bytes) -> None:
    """One frame; its command_length is made true, or nearly no input would get past it."""
    frame = struct.pack(">I", len(data)) + data[4:] if len(data) >= 4 else data
    try:
        pdu = decode(frame)
    except RecoverablePduError as fault:
        check_fault(fault, frame)
        return
    except UnrecoverablePduError:
        assert len(frame) < HEADER_OCTETS
        return
    if isinstance(pdu, SubmitSm | DeliverSm | DataSm):
        read_content(pdu)
    try:
        again = encode(pdu)
    except LocalProtocolError:  # a response is forgiven an over-long string, which we would not send
        assert pdu.command_id & RESPONSE_BIT
        return
    forgiven = pdu.command_id & RESPONSE_BIT and (pdu.command_status or len(frame) == HEADER_OCTETS)
    assert again == frame or forgiven


def check_fault(fault: RecoverablePduError, frame: bytes) -> None:
    """A fault names the PDU, so that it can be answered."""
    _, command_id, _, sequence_number = struct.unpack(">IIII", frame[:HEADER_OCTETS])
    assert (fault.command_id, fault.sequence_number) == (command_id, sequence_number)
    assert fault.command_status != 0


def read_content(pdu: SubmitSm | DeliverSm | DataSm) -> None:
    """What the gateway reads from a message of a peer; none of it may raise."""
    decode_text(user_data(pdu), pdu.data_coding)
    parse_concatenation(pdu)
    is_receipt(pdu, recognise_without_esm_class=True)
    receipt = parse_receipt(pdu)
    if receipt is not None:
        id_keys(receipt.message_id, "either", "receipt")


def check_framing(data: bytes) -> None:
    """However the stream is cut, the same frames come out of it, and the same fault."""
    whole, whole_fault = frames_of([data])
    cuts = data[:8]  # the input itself says where to cut
    pieces, position = [], 0
    for cut in cuts:
        pieces.append(data[position : position + cut])
        position += cut
    pieces.append(data[position:])
    assert frames_of(pieces) == (whole, whole_fault)
    assert all(HEADER_OCTETS <= len(frame) <= MAX_PDU_OCTETS for frame in whole)


def frames_of(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    framer, frames = Framer(MAX_PDU_OCTETS), []
    for piece in pieces:
        try:
            frames += framer.feed(piece)
        except UnrecoverablePduError as fault:
            return frames + list(fault.frames), True
        assert framer.buffered_octets < MAX_PDU_OCTETS
    return frames, False


def check_session(role: Role, data: bytes) -> None:
    """A bound session with open requests takes the input in three pieces, time passes, and the link is lost."""
    now = 1000.0
    connection = bound_connection(role, now)
    request: Pdu = (
        SubmitSm(destination_addr="84905123456") if role is Role.ESME else DeliverSm(source_addr="84905123456")
    )
    tokens = [object() for _ in range(3)]
    for token in tokens:
        connection.send_request(request, now, token)
    events: list[Event] = []
    third = len(data) // 3
    for piece in (data[:third], data[third : 2 * third], data[2 * third :]):
        fresh = connection.receive_data(piece, now)
        answer(connection, fresh)
        now += 4.0  # the responses time out after ten
        events += fresh + connection.on_tick(now)
        well_formed(connection.data_to_send())
    events += connection.connection_lost()
    settled = Counter(id(token) for event in events for token in tokens_of(event))
    assert settled == Counter(id(token) for token in tokens), "a token was lost, or came back twice"
    late = Counter(id(event.token) for event in events if isinstance(event, LateResponse))
    expired = {id(event.token) for event in events if isinstance(event, RequestExpired)}
    assert all(count == 1 and token in expired for token, count in late.items())
    assert sum(isinstance(event, SessionClosed) for event in events) == 1


def bound_connection(role: Role, now: float) -> Connection:
    connection = Connection(role, SETTINGS, now)
    if role is Role.ESME:
        connection.bind(BindTransceiver(system_id="motcua"), now)
        sent = decode(connection.data_to_send())
        (event,) = connection.receive_data(encode(BindTransceiverResp(sent.sequence_number, 0, "SMSC")), now)
        assert isinstance(event, Bound)
    else:
        (event,) = connection.receive_data(encode(BindTransceiver(0x7FFFFFF0, system_id="motcua")), now)
        assert isinstance(event, RequestReceived)
        connection.send_response(make_response(event.pdu, system_id="SMSC"))
        connection.data_to_send()
    assert connection.bound
    return connection


def answer(connection: Connection, events: list[Event]) -> None:
    """Answer every second request, so that the others fill the incoming window.

    A peer may use a number again before the first request with it is answered; then only the newest can be answered.
    """
    requests = [event.pdu for event in events if isinstance(event, RequestReceived)]
    newest = {pdu.sequence_number: pdu for pdu in requests}
    for pdu in requests:
        wanted = pdu.command_id in RESPONSE_OF and newest[pdu.sequence_number] is pdu
        if wanted and pdu.sequence_number % 2 and not connection.closed:
            connection.send_response(make_response(pdu), pdu)


def tokens_of(event: Event) -> tuple[object, ...]:
    """The tokens that an event settles."""
    if isinstance(event, ResponseReceived | RequestExpired):
        return (event.token,)
    if isinstance(event, SessionClosed):
        return event.unanswered + event.never_sent
    return ()


def well_formed(octets: bytes) -> None:
    framer = Framer()
    for frame in framer.feed(octets):
        decode(frame)
    assert framer.buffered_octets == 0


def seeds() -> list[bytes]:
    """One filled PDU of every kind, and a stream of several."""
    rows = {row.command_id: row for row in PDU_ROWS}
    filled = {
        Kind.INTEGER: 4,
        Kind.C_OCTET_STRING: "8083",
        Kind.OCTET_STRING: b"\5\0\3\xa7\2\1id:a1 stat:DELIVRD err:000",
        Kind.DEST_ADDRESSES: (SmeAddress(1, 1, "84905123456"), DistributionList("staff")),
        Kind.UNSUCCESS_SMES: (UnsuccessSme(1, 1, "84905123456", 11),),
    }
    tlvs = (Tlv(0x0204, b"\0\7"), Tlv(0x001E, b"a1\0"), Tlv(0x0427, b"\2"), Tlv(0x1401, b""))
    found = []
    for number, pdu_class in enumerate(PDU_CLASSES, start=1):
        values = [filled[field.kind] for field in rows[pdu_class.command_id].fields]
        found.append(encode(pdu_class(number, 0, *values, tlvs)))  # type: ignore[call-arg,arg-type]
    return [*found, b"".join(found[:6]), b"".join(found[6:])]


def mutations(seed: int, runs: int) -> Iterator[bytes]:
    """Yield damaged seeds, always the same ones for the same seed."""
    rng = random.Random(seed)
    corpus = seeds()
    for _ in range(runs):
        data = bytearray(rng.choice(corpus))
        for _ in range(rng.randint(0, 6)):
            mutate(rng, data, corpus)
        yield bytes(data)


def mutate(rng: random.Random, data: bytearray, corpus: list[bytes]) -> None:
    place = rng.randrange(len(data)) if data else 0
    kind = rng.randrange(6)
    if kind == 0 and data:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1 and data:
        data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    elif kind == 2:
        del data[place : place + rng.randint(1, 8)]
    elif kind == 3:
        data[place:place] = rng.randbytes(rng.randint(1, 8))
    elif kind == 4:
        data += rng.choice(corpus)
    else:
        del data[place:]


def without_atheris(arguments: list[str]) -> int:
    options = dict(argument.lstrip("-").split("=", 1) for argument in arguments if "=" in argument)
    runs, seed = int(options.get("runs", "100000")), int(options.get("seed", "1"))
    print('atheris is not installed (pip install "motcua-gateway[fuzz]").', file=sys.stderr)
    print(f"Running {runs} seeded mutations instead, seed {seed}: repeatable, but not guided.", file=sys.stderr)
    for number, data in enumerate(mutations(seed, runs)):
        try:
            check(data)
        except Exception:  # any exception is the finding
            print(f"finding in mutation {number}: {data.hex()}", file=sys.stderr)
            raise
    print(f"{runs} inputs, nothing found")
    return 0


def with_atheris(arguments: list[str]) -> None:
    """Run libFuzzer. Without a folder of the caller's, var/fuzz-corpus is one: it begins with our seeds and grows."""
    if all(argument.startswith("-") for argument in arguments):
        folder = Path("var", "fuzz-corpus")
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (folder / f"seed-{number:02}").write_bytes(seed)
        arguments = [*arguments, str(folder)]
    atheris.Setup([sys.argv[0], *arguments], check)
    atheris.Fuzz()


if __name__ == "__main__":
    if atheris is None:
        sys.exit(without_atheris(sys.argv[1:]))
    with_atheris(sys.argv[1:])
