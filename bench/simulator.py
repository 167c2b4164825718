"""How fast the simulator accepts submit_sm and sends receipts: the process as a user starts it, over real sockets.

    python bench/simulator.py                    # as fast as it takes them
    python bench/simulator.py --rate 3000        # what it costs at a given load: smaller pieces, more system calls
    python bench/simulator.py --as-delivered     # default settings: list of PDUs, record and handsets in memory
    python bench/simulator.py --json

The load comes from this process, on another core: octets put together beforehand, so that it costs less than the simulator. A
message counts when its submit_sm_resp and its receipt are here and the receipt is answered. Without --as-delivered the settings
are those of the daemon's benchmarks: nothing is kept for people to look at.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import rig
import yaml

from gateway.smpp.pdu import BindTransceiver, SubmitSm, encode

TEXT = b"TB: Ho so cua quy ong/ba (MS: 0101701234) da duoc giai quyet xong. Moi ong/ba den Bo phan Mot cua TP Nha Trang de nhan ket qua"
SUBMIT_SM_RESP, DELIVER_SM, DELIVER_SM_RESP, ENQUIRE_LINK = 0x80000004, 5, 0x80000005, 0x15
BATCH = 50  # submits in one write at most
header = struct.Struct(">IIII")


def submit_templates(count: int) -> list[tuple[bytes, bytes]]:
    """Octets before and after the sequence_number, to different handsets."""
    made = []
    for number in range(count):
        pdu = SubmitSm(
            source_addr_ton=5,
            source_addr="MotcuaSMS",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=f"849{number:08d}",
            registered_delivery=1,
            short_message=TEXT,
        )
        octets = encode(pdu)
        made.append((octets[:12], octets[16:]))
    return made


@dataclass
class Link:
    """One bind, its window and what came over it."""

    window: int
    templates: list[tuple[bytes, bytes]]
    wire: socket.socket = field(default_factory=socket.socket)
    sequence: int = 1
    open_submits: int = 0
    answered: int = 0
    receipts: int = 0
    refused: int = 0
    held: bytes = b""  # of an unfinished PDU
    unsent: bytes = b""

    def bind(self, port: int) -> None:
        self.wire.connect(("127.0.0.1", port))
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire.sendall(encode(BindTransceiver(1, system_id="bench", password="bench")))
        if header.unpack_from(self.wire.recv(4096))[2]:
            raise SystemExit("the simulator refused the bind")
        self.wire.setblocking(False)

    def submit(self, most: int) -> int:
        """Queue what the window has room for, at most ``most``."""
        count = min(most, self.window - self.open_submits, BATCH)
        if count <= 0 or len(self.unsent) > 1 << 16:
            return 0
        templates, pieces = self.templates, [self.unsent]
        for number in range(self.sequence + 1, self.sequence + 1 + count):
            before, after = templates[number % len(templates)]
            pieces += (before, number.to_bytes(4, "big"), after)
        self.sequence += count
        self.open_submits += count
        self.unsent = b"".join(pieces)
        return count

    def read(self) -> None:
        data = self.held + self.wire.recv(1 << 18)
        position, size = 0, len(data)
        answers = [self.unsent]
        while size - position >= 16:
            length, command, status, number = header.unpack_from(data, position)
            if size - position < length:
                break
            if command == SUBMIT_SM_RESP:
                self.answered += 1
                self.open_submits -= 1
                self.refused += status != 0
            elif command == DELIVER_SM:
                self.receipts += 1
                answers.append(header.pack(17, DELIVER_SM_RESP, 0, number) + b"\0")
            elif command == ENQUIRE_LINK:
                answers.append(header.pack(16, ENQUIRE_LINK | 0x80000000, 0, number))
            position += length
        self.held = data[position:]
        self.unsent = b"".join(answers)

    def write(self) -> None:
        if self.unsent:
            try:
                sent = self.wire.send(self.unsent)
            except BlockingIOError:
                return
            self.unsent = self.unsent[sent:]


def load(links: list[Link], count: int, rate: float) -> float:
    """Send ``count`` messages; seconds until all of them have their answer and their receipt."""
    began, sent = time.perf_counter(), 0
    goal = sum(link.receipts for link in links) + count
    while True:
        now = time.perf_counter() - began
        due = min(count, int(now * rate)) if rate else count
        for link in links:
            sent += link.submit(due - sent)
            link.write()
        if sum(link.receipts for link in links) >= goal:
            break
        if now > 60 + count / 1000:
            raise SystemExit("receipts are missing")
        waiting = [link for link in links if link.unsent]
        readable, _, _ = select.select(links_wires(links), [link.wire for link in waiting], [], 0.001)
        for link in links:
            if link.wire in readable:
                link.read()
    if any(link.refused for link in links):
        raise SystemExit("submits were refused")
    return time.perf_counter() - began


def links_wires(links: list[Link]) -> list[socket.socket]:
    return [link.wire for link in links]


def settings(port: int, control: int, as_delivered: bool) -> dict[str, Any]:
    values = rig.smsc_config(port, control)
    if as_delivered:
        values = {name: values[name] for name in ("control", "log", "sessions", "accounts")}
        values["accounts"]["bench"]["receipts"] = {"delay": {"fixed": 0.05}}
    return values


def measure(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="motcua-bench-") as folder:
        port, control = rig.free_port(), rig.free_port()
        config = Path(folder) / "simulator.yaml"
        config.write_text(yaml.safe_dump(settings(port, control, options.as_delivered)), encoding="utf-8")
        simulator = subprocess.Popen(
            [str(rig.BIN / "motcua-simulator"), "run", "--config", str(config)], stdout=subprocess.DEVNULL
        )
        try:
            rig.wait_for("the simulator", lambda: rig.listens(port), 30)
            templates = submit_templates(1000)
            links = [Link(options.window, templates) for _ in range(options.binds)]
            for link in links:
                link.bind(port)
            load(links, min(options.count, 2000), options.rate)  # warm
            rounds = []
            for _ in range(options.rounds):
                before, own = rig.cost(simulator), time.process_time()
                passed_s = load(links, options.count, options.rate)
                used_s = rig.cost(simulator).cpu_s - before.cpu_s
                rounds.append((passed_s, used_s, time.process_time() - own))
            peak_mib = rig.cost(simulator).peak_mib
        finally:
            simulator.kill()
            simulator.wait()
    thousands = options.count / 1000
    return {
        "messages_per_s": round(options.count / statistics.median(one[0] for one in rounds)),
        "cpu_s_per_1000": round(statistics.median(one[1] for one in rounds) / thousands, 4),
        "one_core_per_s": round(options.count / statistics.median(one[1] for one in rounds)),
        "load_cpu_s_per_1000": round(statistics.median(one[2] for one in rounds) / thousands, 4),
        "peak_mib": round(peak_mib, 1),
        "as_delivered": options.as_delivered,
        "rate": options.rate,
        "window": options.window,
        "binds": options.binds,
        "count": options.count,
        "rounds": options.rounds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--count", type=int, default=50_000, help="messages in a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default %(default)s)")
    parser.add_argument("--window", type=int, default=500, help="open submits of a bind (default %(default)s)")
    parser.add_argument("--binds", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; 0: as fast as they are taken")
    parser.add_argument("--as-delivered", action="store_true", help="the simulator's default settings")
    options = parser.parse_args()
    if min(options.count, options.rounds, options.window, options.binds) < 1 or options.rate < 0:
        parser.error("counts are at least 1, a rate at least 0")
    figures = measure(options)
    if options.json:
        print(json.dumps(figures))
        return 0
    width = max(len(key) for key in figures)
    for key, value in figures.items():
        print(f"{key:<{width}}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
