"""The trace of a running daemon, read by tshark; and the licence as it leaves the daemon, against an SMSC process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import BIN, PATIENCE_S, Lab, wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.peer("tshark")
def test_trace_of_a_running_daemon_opens_in_wireshark(lab: Lab) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed (apt-get install tshark)")
    lab.configure()
    lab.start_simulator()
    lab.start_gateway()
    pcap = lab.folder / "line.pcap"
    command = [
        str(BIN / "motcua-gateway"),
        "trace",
        "viettel-1",
        "--config",
        str(lab.gateway_config),
        "--pcap",
        str(pcap),
    ]
    tracing = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=lab.folder)
    assert tracing.stderr is not None
    assert "looking at viettel-1" in tracing.stderr.readline()
    lab.add_dossiers([f"H32.01-260303-{number:06d}" for number in range(3)])
    wait_for("three delivered notices", lambda: lab.states().get("delivered") == 3)
    wait_for("the receipts in the capture", lambda: pcap.read_bytes().count(b"stat:DELIVRD") == 3)
    tracing.terminate()
    out, err = tracing.communicate(timeout=PATIENCE_S)
    assert out.count("> submit_sm ") == 3, err
    assert out.count("< submit_sm_resp ") == 3
    assert "84905***" in out
    fields = ["-T", "fields", "-e", "smpp.command_id", "-e", "_ws.malformed"]
    decode = ["-d", f"tcp.port=={lab.smpp_port},smpp"]
    read = subprocess.run(
        [tshark, "-r", str(pcap), *decode, *fields], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout.splitlines()
    assert sum(line.startswith("0x00000004") for line in read) == 3
    assert not [line for line in read if line.strip().split("\t")[1:]], "nothing malformed"


@pytest.mark.slow
def test_the_licence_holds_against_an_smsc_process() -> None:
    command = [sys.executable, str(ROOT / "bench" / "licence.py"), "--json", "--licence", "100", "--seconds", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["parts"] == 500
    assert result["most_leaving_in_a_sliding_second"] <= 100
    assert result["used"] > 0.8, "99 % on a machine with a core to spare; this one may be busy"
