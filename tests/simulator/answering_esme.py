"""An ESME that answers every text to its shortcode, written with PyPI smpplib: what the shipped scenarios are tried against.

    python answering_esme.py PORT [--window N] [--fault NAME …]

It does what an ESME should: joins parts, knows an MO by its id, keeps its window, sends again what was throttled, in order, keeps
what had no answer when the link went (and looks for its receipt before it sends it again), probes an idle link, binds again. Each
``--fault`` spoils one of these, so that tests see scenarios fail.
"""

from __future__ import annotations

import argparse
import select
import signal
import sys
import time
import warnings
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

warnings.simplefilter("ignore")

import smpplib.client  # noqa: E402 - its warnings of deprecated syntax are no news here
import smpplib.consts  # noqa: E402
import smpplib.exceptions  # noqa: E402
import smpplib.gsm  # noqa: E402

FAULTS = {
    "answers-copies": "every delivery of an MO is answered",
    "answers-parts": "every part of a long MO is answered",
    "no-receipt": "no receipt is asked for",
    "refuses-receipts": "receipts are answered with ESME_RSYSERR",
    "answers-receipts": "a receipt without the bit in esm_class is taken for an MO",
    "gives-up": "what was throttled is not sent again",
    "hurries": "what was throttled is sent again at once, without a pause",
    "doubles": "what had no answer, and what had one, is sent again on the next link",
    "stays-away": "no second bind",
    "never-probes": "no enquire_link",
    "silent": "deliver_sm is not answered",
    "wrong-coding": "data_coding 0 for UCS-2",
    "repeats-refusals": "what was refused for good is sent again and again",
}
_ANSWER_S = 2.0  # how long a submit_sm waits for its answer
_PROBE_S = 0.3  # of silence, then enquire_link
_DEAD_S = 0.6  # after enquire_link, then the link is dead
_PAUSE_S = 0.25  # after ESME_RTHROTTLED
_TEMPORARY = {0x58, 0x14, 0x08}
_MO_ID = "receipted_message_id"


@dataclass
class Reply:
    """One message on its way."""

    destination: bytes
    text: str
    mo_id: str
    parts: deque[tuple[bytes, int, int]] = field(default_factory=deque)  # octets, data_coding, esm_class
    sent_once: bool = False


class Esme:
    """One ESME over all its links."""

    def __init__(self, port: int, window: int, faults: set[str], answer: str) -> None:
        self._port, self._window, self._faults, self._answer = port, window, faults, answer
        self._client: Any = None
        self._replies: deque[Reply] = deque()
        self._open: OrderedDict[int, tuple[Reply, tuple[bytes, int, int], float]] = OrderedDict()
        self._seen: set[str] = set()
        self._halves: dict[tuple[bytes, int], dict[int, bytes]] = {}
        self._pause_until = 0.0
        self._kept: tuple[Reply, tuple[bytes, int, int]] | None = None  # answered, and yet sent again by a fault
        self._heard = self._probed = 0.0
        self.stopping = False

    def run(self) -> None:
        binds = 0
        while not self.stopping and not (binds and "stays-away" in self._faults):
            self._client = smpplib.client.Client("127.0.0.1", self._port, timeout=2, allow_unknown_opt_params=True)
            try:
                self._client.connect()
                self._client.bind_transceiver(system_id="motcua", password="secret")
                binds += 1
                print("bound", flush=True)
                self._heard, self._probed = time.monotonic(), 0.0
                self._serve()
            except (smpplib.exceptions.ConnectionError, smpplib.exceptions.PDUError, OSError) as error:
                print(f"link lost: {type(error).__name__} {error}", flush=True)
            self._client.state = smpplib.consts.SMPP_CLIENT_STATE_OPEN
            self._client.disconnect()
            self._lost()
            time.sleep(0.05)  # a refused connection must not be tried a thousand times a second
        while not self.stopping:
            time.sleep(0.05)

    def _serve(self) -> None:
        while not self.stopping:
            readable, _, _ = select.select([self._client._socket], [], [], 0.02)
            if readable and not self._take(self._client.read_pdu()):
                return
            self._watch_link()
            self._send_replies()
        self._client.unbind()

    # What comes

    def _take(self, pdu: Any) -> bool:
        """False: the SMSC wants the session to end."""
        self._heard = time.monotonic()
        command = pdu.command
        if command == "deliver_sm":
            self._deliver(pdu)
        elif command == "submit_sm_resp":
            self._answered(pdu)
        elif command == "enquire_link":
            self._client._enquire_link_received(pdu)
        elif command == "unbind":
            response = smpplib.smpp.make_pdu("unbind_resp", client=self._client)
            response.sequence = pdu.sequence
            self._client.send_pdu(response)
            return False
        return True

    def _deliver(self, pdu: Any) -> None:
        body = pdu.short_message or b""
        receipt = bool(pdu.esm_class & 0x04)
        if not receipt and body.startswith(b"id:") and "answers-receipts" not in self._faults:
            receipt = True
        status = 0x08 if receipt and "refuses-receipts" in self._faults else 0
        if "silent" not in self._faults:
            response = smpplib.smpp.make_pdu("deliver_sm_resp", client=self._client, status=status)
            response.sequence = pdu.sequence
            self._client.send_pdu(response)
        if not receipt:
            self._mo(pdu)

    def _mo(self, pdu: Any) -> None:
        mo_id = str(getattr(pdu, _MO_ID, None) or f"{pdu.source_addr!r}{pdu.short_message!r}{pdu.message_payload!r}")
        if mo_id in self._seen and "answers-copies" not in self._faults:
            return
        self._seen.add(mo_id)
        octets, key, total, part = pdu.short_message or b"", 0, 1, 1
        if pdu.esm_class & 0x40:
            header = octets[1 : 1 + octets[0]]
            octets = octets[1 + octets[0] :]
            wide = header[0] == 0x08
            key = int.from_bytes(header[2:4], "big") if wide else header[2]
            total, part = header[-2], header[-1]
        elif getattr(pdu, "sar_total_segments", None):
            key, total, part = pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum
        elif getattr(pdu, "message_payload", None):
            octets = pdu.message_payload
        halves = self._halves.setdefault((pdu.source_addr, key), {})
        halves[part] = octets
        if len(halves) < total and "answers-parts" not in self._faults:
            return
        whole = b"".join(halves[number] for number in sorted(halves))
        if "answers-parts" not in self._faults or len(halves) == total:
            del self._halves[pdu.source_addr, key]
        text = whole.decode("utf-16-be", "replace") if pdu.data_coding == 8 else whole.decode("latin-1")
        self._queue(pdu, self._answer or text, mo_id)

    def _queue(self, pdu: Any, text: str, mo_id: str) -> None:
        reply = Reply(pdu.source_addr, text, mo_id)
        pieces, coding, esm_class = smpplib.gsm.make_parts(text)
        if "wrong-coding" in self._faults:
            coding = 0
        reply.parts.extend((piece, coding, esm_class) for piece in pieces)
        self._replies.append(reply)

    # What leaves

    def _send_replies(self) -> None:
        while self._replies and len(self._open) < self._window and time.monotonic() >= self._pause_until:
            reply = self._replies[0]
            part = reply.parts.popleft()
            if not reply.parts:
                self._replies.popleft()
            self._submit(reply, part)

    def _submit(self, reply: Reply, part: tuple[bytes, int, int]) -> None:
        octets, coding, esm_class = part
        pdu = self._client.send_message(
            source_addr_ton=3,
            source_addr="8083",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=reply.destination.decode(),
            data_coding=coding,
            esm_class=esm_class,
            short_message=octets,
            registered_delivery=0 if "no-receipt" in self._faults else 1,
        )
        self._open[pdu.sequence] = (reply, part, time.monotonic())

    def _answered(self, pdu: Any) -> None:
        found = self._open.pop(pdu.sequence, None)
        if found is None:
            return
        reply, part, _ = found
        temporary = pdu.status in _TEMPORARY or (pdu.status and "repeats-refusals" in self._faults)
        if temporary and "gives-up" not in self._faults:
            self._again(reply, part)
            if "hurries" not in self._faults:
                self._pause_until = time.monotonic() + _PAUSE_S
        elif pdu.status == 0:
            reply.sent_once = True
            if "doubles" in self._faults:
                self._kept = (reply, part)

    def _again(self, reply: Reply, part: tuple[bytes, int, int]) -> None:
        """To its old place: behind those that are older."""
        reply.parts.appendleft(part)
        if reply not in self._replies:
            older = sum(one.mo_id < reply.mo_id for one in self._replies)
            self._replies.insert(older, reply)

    def _lost(self) -> None:
        for reply, part, _ in list(self._open.values()):
            self._again(reply, part)
        self._open.clear()
        if self._kept is not None:
            self._again(*self._kept)
            self._kept = None

    def _watch_link(self) -> None:
        now = time.monotonic()
        if "never-probes" in self._faults:
            return
        if self._probed and self._heard < self._probed:
            if now - self._probed > _DEAD_S:
                raise smpplib.exceptions.ConnectionError("no enquire_link_resp")
        elif now - self._heard > _PROBE_S:
            self._client.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=self._client))
            self._probed = now
        if self._open and now - next(iter(self._open.values()))[2] > _ANSWER_S:
            raise smpplib.exceptions.ConnectionError("no submit_sm_resp")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--answer", default="")
    parser.add_argument("--fault", action="append", choices=FAULTS, default=[])
    given = parser.parse_args()
    esme = Esme(given.port, given.window, set(given.fault), given.answer)
    signal.signal(signal.SIGTERM, lambda *_: setattr(esme, "stopping", True))
    esme.run()


if __name__ == "__main__":
    sys.exit(main())
