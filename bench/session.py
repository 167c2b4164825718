"""How fast two ends of a session exchange submit_sm and submit_sm_resp: the sans-IO core, no sockets, no Twisted.

    python bench/session.py            a table
    python bench/session.py --json     {"pairs_per_s": ..., "smpplib_ratio": ..., ...}

One pair is the whole round of one message: the ESME takes it into its window, encodes it; the SMSC frames, decodes, checks
the state and answers; the ESME frames and decodes the answer and gives the token back. With --receipts each message also
comes back as a deliver_sm with a receipt, and is answered. Both ends run in this one process, so the cost of one end is about half.

smpplib and smpp.pdu3 (where it is installed) have no core without a socket to compare with, so they are given less to do: for
each pair only the encoding and decoding of the two PDUs, without framing, states, windows or timers. Our codec alone is shown
too: the difference to it is what a session costs. The rounds alternate between the pieces; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import smpp_pdu3
from smpplib import smpp as smpplib_smpp

from gateway.smpp.connection import Connection, SessionSettings
from gateway.smpp.events import RequestReceived, ResponseReceived
from gateway.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    SubmitSm,
    SubmitSmResp,
    decode,
    encode,
    make_response,
)
from gateway.smpp.session import Role

TEXT = b"Ho so 000.00.19.H32-200817-0031 da co ket qua. Kinh moi Ong/Ba den Bo phan Mot cua de nhan ket qua. Tran trong cam on!"
RECEIPT = b"id:3f6a9c1e-0042 sub:001 dlvrd:001 submit date:2008171730 done date:2008171731 stat:DELIVRD err:000 text:Ho so 000.00.19."
MESSAGE_ID = "3f6a9c1e-0042"
SUBMIT = SubmitSm(0, 0, "", 5, 0, "MotcuaSMS", 1, 1, "84905123456", registered_delivery=1, short_message=TEXT)
DELIVER = DeliverSm(0, 0, "", 1, 1, "84905123456", 5, 0, "MotcuaSMS", esm_class=4, short_message=RECEIPT)


class Pair:
    """Two ends, bound, joined by hand."""

    def __init__(self, window: int, receipts: bool) -> None:
        settings = SessionSettings(window=window, incoming_window=window)
        self.window = window
        self.receipts = receipts
        self.now = 0.0
        self.esme = Connection(Role.ESME, settings, self.now)
        self.smsc = Connection(Role.SMSC, settings, self.now)
        self.esme.bind(BindTransceiver(system_id="bench"), self.now)
        [event] = self.smsc.receive_data(self.esme.data_to_send(), self.now)
        assert isinstance(event, RequestReceived)
        self.smsc.send_response(make_response(event.pdu))
        self.esme.receive_data(self.smsc.data_to_send(), self.now)

    def exchange(self, count: int) -> None:
        """Move ``count`` messages, a window at a time; every token must come back."""
        esme, smsc = self.esme, self.smsc
        done = 0
        while done < count:
            self.now += 0.001
            now = self.now
            for _ in range(min(self.window, count - done)):
                esme.send_request(SUBMIT, now, done)
            for event in smsc.receive_data(esme.data_to_send(), now):
                if type(event) is RequestReceived:
                    request = event.pdu
                    smsc.send_response(SubmitSmResp(request.sequence_number, 0, MESSAGE_ID), request)
                    if self.receipts:
                        smsc.send_request(DELIVER, now, done)
            for event in esme.receive_data(smsc.data_to_send(), now):
                if type(event) is ResponseReceived:
                    done += 1
                elif type(event) is RequestReceived:
                    request = event.pdu
                    esme.send_response(DeliverSmResp(request.sequence_number), request)
            if self.receipts:
                smsc.receive_data(esme.data_to_send(), now)
            esme.on_tick(now)
            smsc.on_tick(now)
        if len(esme.window) or len(smsc.window):
            raise SystemExit("a token was lost")


def codec_only(count: int, receipts: bool) -> None:
    """The encoding and decoding in ``count`` pairs, and nothing else."""
    for number in range(1, count + 1):
        decode(encode(SUBMIT))
        decode(encode(SubmitSmResp(number, 0, MESSAGE_ID)))
        if receipts:
            decode(encode(DELIVER))
            decode(encode(DeliverSmResp(number)))


def smpplib_codec(count: int, receipts: bool) -> None:
    """The same with smpplib."""
    for number in range(1, count + 1):
        submit = smpplib_smpp.make_pdu(
            "submit_sm",
            sequence=number,
            source_addr_ton=5,
            source_addr="MotcuaSMS",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr="84905123456",
            registered_delivery=1,
            short_message=TEXT,
        )
        _smpplib_round(submit, number)
        _smpplib_round(smpplib_smpp.make_pdu("submit_sm_resp", sequence=number, message_id=MESSAGE_ID), number)
        if receipts:
            deliver = smpplib_smpp.make_pdu(
                "deliver_sm",
                sequence=number,
                source_addr_ton=1,
                source_addr_npi=1,
                source_addr="84905123456",
                dest_addr_ton=5,
                destination_addr="MotcuaSMS",
                esm_class=4,
                short_message=RECEIPT,
            )
            _smpplib_round(deliver, number)
            _smpplib_round(smpplib_smpp.make_pdu("deliver_sm_resp", sequence=number), number)


def _smpplib_round(pdu: Any, number: int) -> None:
    pdu.sequence = number
    smpplib_smpp.parse_pdu(pdu.generate(), sequence=0)


def pdu3_codec(count: int, receipts: bool) -> None:
    """The same with smpp.pdu3."""
    build = smpp_pdu3.builders(TEXT, RECEIPT, MESSAGE_ID)
    names = ["submit_sm", "submit_sm_resp"]
    if receipts:
        names += ["deliver_sm with receipt and TLVs", "deliver_sm_resp"]
    for _ in range(count):
        for name in names:
            smpp_pdu3.decode(smpp_pdu3.encode(build[name]))


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(count: int, window: int, rounds: int, receipts: bool) -> dict[str, Any]:
    few = max(1, count // 20)  # smpplib is slow enough that fewer give as steady a figure
    pair = Pair(window, receipts)
    session, codec, smpplib, pdu3 = [], [], [], []
    for _ in range(rounds):
        session.append(seconds(lambda: pair.exchange(count)) / count)
        codec.append(seconds(lambda: codec_only(count, receipts)) / count)
        smpplib.append(seconds(lambda: smpplib_codec(few, receipts)) / few)
        if smpp_pdu3.AVAILABLE:
            pdu3.append(seconds(lambda: pdu3_codec(few, receipts)) / few)
    per_pair = statistics.median(session)
    low, _middle, high = statistics.quantiles(session, n=4)
    return {
        "pairs_per_s": round(1 / per_pair),
        "us_per_pair": round(per_pair * 1e6, 2),
        "spread": round((high - low) / per_pair, 3),
        "codec_us_per_pair": round(statistics.median(codec) * 1e6, 2),
        "smpplib_codec_us_per_pair": round(statistics.median(smpplib) * 1e6, 2),
        "smpplib_ratio": round(statistics.median(smpplib) / per_pair, 1),
        **(
            {
                "pdu3_codec_us_per_pair": round(statistics.median(pdu3) * 1e6, 2),
                "pdu3_ratio": round(statistics.median(pdu3) / per_pair, 1),
            }
            if pdu3
            else {}
        ),
        "receipts": receipts,
        "window": window,
        "count": count,
        "rounds": rounds,
        "python": platform.python_version(),
        "smpplib": version("smpplib"),
    }


def show(result: dict[str, Any]) -> None:
    what = "submit_sm, answer, receipt, answer" if result["receipts"] else "submit_sm and its answer"
    print(f"{what}: both ends in one process, window {result['window']}, Python {result['python']}")
    print(f"  whole sessions        {result['us_per_pair']:>8.2f} µs a message, {result['pairs_per_s']:,}/s", end="")
    print(f" (spread {result['spread']:.1%})")
    print(f"  our codec alone       {result['codec_us_per_pair']:>8.2f} µs")
    print(f"  smpplib's codec alone {result['smpplib_codec_us_per_pair']:>8.2f} µs: ", end="")
    print(f"{result['smpplib_ratio']} times as long as our whole sessions")
    if "pdu3_ratio" in result:
        print(f"  smpp.pdu3's codec     {result['pdu3_codec_us_per_pair']:>8.2f} µs: ", end="")
        print(f"{result['pdu3_ratio']} times as long as our whole sessions")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the SMPP session core.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--count", type=int, default=20_000, help="messages in a round (default %(default)s)")
    parser.add_argument("--window", type=int, default=100, help="open requests (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="at least 3 (default %(default)s)")
    parser.add_argument("--receipts", action="store_true", help="a receipt for each message")
    options = parser.parse_args()
    if options.rounds < 3 or options.count < 1 or options.window < 1:
        parser.error("at least 3 rounds, 1 message and a window of 1")
    result = measure(options.count, options.window, options.rounds, options.receipts)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
