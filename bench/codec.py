"""The codec against smpplib's, and smpp.pdu3's where it is installed: the same PDUs, the same work, in turns.

    python bench/codec.py            a table
    python bench/codec.py --json     {"encode_ratio": ..., "decode_ratio": ..., ...}

Encoding starts at the values of the fields and ends at octets, so it includes building the PDU object. Decoding starts at
one whole frame and ends at an object with every field. smpplib is used as its own Client uses it, but
with the sequence_number given, so that no client object is called. Before anything is timed, both sides must produce the same octets
and read the same values.

The rounds alternate between the two codecs, so that a slow minute of the machine hits both. A ratio is that of
the medians over the rounds; the spread is the distance between the quartiles over the median. "noise" is that spread for a fixed
piece of pure Python: differences smaller than it mean nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any, NamedTuple

import smpp_pdu3
from smpplib import smpp as smpplib_smpp

from gateway.smpp.pdu import DeliverSm, DeliverSmResp, Pdu, SubmitSm, SubmitSmResp, Tlv, decode, encode, make_tlv

TEXT = b"Ho so 000.00.19.H32-200817-0031 da co ket qua. Kinh moi Ong/Ba den Bo phan Mot cua de nhan ket qua. Tran trong cam on!"
RECEIPT = b"id:3f6a9c1e-0042 sub:001 dlvrd:001 submit date:2008171730 done date:2008171731 stat:DELIVRD err:000 text:Ho so 000.00.19."


class Case(NamedTuple):
    """One PDU: how we build it, and what smpplib calls it and its fields."""

    name: str
    build: Callable[[], Pdu]
    command: str
    fields: dict[str, Any]
    smpplib_decodes: dict[str, Any]  # what its parser must find, as a check that it did the work


def _submit_sm() -> Pdu:
    return SubmitSm(77, 0, "", 5, 0, "MotcuaSMS", 1, 1, "84905123456", registered_delivery=1, short_message=TEXT)


def _submit_sm_resp() -> Pdu:
    return SubmitSmResp(77, 0, "3f6a9c1e-0042")


def _deliver_sm() -> Pdu:
    tlvs: tuple[Tlv, ...] = (make_tlv(0x0423, b"\3\0\0"), make_tlv(0x0427, 2), make_tlv(0x001E, "3f6a9c1e-0042"))
    return DeliverSm(78, 0, "", 1, 1, "84905123456", 5, 0, "MotcuaSMS", esm_class=4, short_message=RECEIPT, tlvs=tlvs)


def _deliver_sm_resp() -> Pdu:
    return DeliverSmResp(78)


CASES = (
    Case(
        "submit_sm",
        _submit_sm,
        "submit_sm",
        {
            "sequence": 77,
            "source_addr_ton": 5,
            "source_addr": "MotcuaSMS",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": "84905123456",
            "registered_delivery": 1,
            "short_message": TEXT,
        },
        {"destination_addr": b"84905123456", "short_message": TEXT},
    ),
    Case(
        "submit_sm_resp",
        _submit_sm_resp,
        "submit_sm_resp",
        {"sequence": 77, "message_id": "3f6a9c1e-0042"},
        {"message_id": b"3f6a9c1e-0042"},
    ),
    Case(
        "deliver_sm with receipt and TLVs",
        _deliver_sm,
        "deliver_sm",
        {
            "sequence": 78,
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": "84905123456",
            "dest_addr_ton": 5,
            "destination_addr": "MotcuaSMS",
            "esm_class": 4,
            "short_message": RECEIPT,
            "network_error_code": b"\3\0\0",
            "message_state": 2,
            "receipted_message_id": "3f6a9c1e-0042",
        },
        {"short_message": RECEIPT, "message_state": 2, "receipted_message_id": b"3f6a9c1e-0042"},
    ),
    Case("deliver_sm_resp", _deliver_sm_resp, "deliver_sm_resp", {"sequence": 78}, {"message_id": b""}),
)


def smpplib_encode(case: Case) -> bytes:
    pdu = smpplib_smpp.make_pdu(case.command, **case.fields)
    pdu.sequence = case.fields["sequence"]  # its constructor uses the argument only to leave its client alone
    return bytes(pdu.generate())


def check(case: Case) -> bytes:
    """Prove that both sides do the same work; return the frame."""
    frame = encode(case.build())
    if smpplib_encode(case) != frame:
        raise SystemExit(f"{case.name}: the two encoders differ:\n{smpplib_encode(case).hex()}\n{frame.hex()}")
    if decode(frame) != case.build():
        raise SystemExit(f"{case.name}: our decoder does not return what was encoded")
    parsed = smpplib_smpp.parse_pdu(frame, sequence=0)
    for field, value in case.smpplib_decodes.items():
        if getattr(parsed, field) != value:
            raise SystemExit(f"{case.name}: smpplib decodes {field} as {getattr(parsed, field)!r}")
    return frame


def check_pdu3(case: Case, build: Callable[[], Any], frame: bytes) -> None:
    """Prove that smpp.pdu3 does the same work, too."""
    if smpp_pdu3.encode(build) != frame:
        raise SystemExit(f"{case.name}: smpp.pdu3 encodes {smpp_pdu3.encode(build).hex()}\n{frame.hex()}")
    if smpp_pdu3.encode(lambda: smpp_pdu3.decode(frame)) != frame:
        raise SystemExit(f"{case.name}: smpp.pdu3 does not return what was encoded")


def timed(work: Callable[[], object], repeat: int) -> float:
    """Return seconds per call."""
    loops = range(repeat)
    start = time.perf_counter()
    for _ in loops:
        work()
    return (time.perf_counter() - start) / repeat


def yardstick() -> object:
    return sum(index * index for index in range(200))


def spread(samples: list[float]) -> float:
    low, middle, high = statistics.quantiles(samples, n=4)
    return (high - low) / middle


def measure(rounds: int, milliseconds: float) -> dict[str, Any]:
    """Run all pieces once per round, each for about the given time, and return the figures."""
    pieces: dict[str, Callable[[], object]] = {"noise": yardstick}
    builders = smpp_pdu3.builders(TEXT, RECEIPT, "3f6a9c1e-0042") if smpp_pdu3.AVAILABLE else {}
    for case in CASES:
        frame = check(case)
        # Default arguments bind the loop's values; each lambda costs both sides the same.
        pieces[f"encode ours {case.name}"] = lambda build=case.build: encode(build())
        pieces[f"encode smpplib {case.name}"] = lambda case=case: smpplib_encode(case)
        pieces[f"decode ours {case.name}"] = lambda frame=frame: decode(frame)
        pieces[f"decode smpplib {case.name}"] = lambda frame=frame: smpplib_smpp.parse_pdu(frame, sequence=0)
        if case.name in builders:
            build = builders[case.name]
            check_pdu3(case, build, frame)
            pieces[f"encode pdu3 {case.name}"] = lambda build=build: smpp_pdu3.encode(build)
            pieces[f"decode pdu3 {case.name}"] = lambda frame=frame: smpp_pdu3.decode(frame)
    repeats = {name: max(1, int(milliseconds / 1000 / timed(work, 20))) for name, work in pieces.items()}
    samples: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(rounds):
        for name, work in pieces.items():
            samples[name].append(timed(work, repeats[name]))
    return figures(samples, rounds)


# What the gateway itself writes and reads for one message with its receipt; the SMSC has the other half.
ESME = {
    "encode": ("submit_sm", "deliver_sm_resp"),
    "decode": ("submit_sm_resp", "deliver_sm with receipt and TLVs"),
}


def ratio(medians: dict[str, float], direction: str, names: Iterable[str], whose: str = "smpplib") -> float:
    """How many times longer the other takes for these PDUs together."""
    names = tuple(names)
    ours = sum(medians[f"{direction} ours {name}"] for name in names)
    theirs = sum(medians[f"{direction} {whose} {name}"] for name in names)
    return round(theirs / ours, 1)


def figures(samples: dict[str, list[float]], rounds: int) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in samples.items()}
    result: dict[str, Any] = {}
    for direction in ("encode", "decode"):
        result[f"{direction}_ratio"] = ratio(medians, direction, (case.name for case in CASES))
        result[f"esme_{direction}_ratio"] = ratio(medians, direction, ESME[direction])
    result["pdus"] = {
        case.name: {
            direction: {
                "ratio": ratio(medians, direction, (case.name,)),
                "ours_us": round(medians[f"{direction} ours {case.name}"] * 1e6, 2),
                "smpplib_us": round(medians[f"{direction} smpplib {case.name}"] * 1e6, 2),
                "ours_spread": round(spread(samples[f"{direction} ours {case.name}"]), 3),
                "smpplib_spread": round(spread(samples[f"{direction} smpplib {case.name}"]), 3),
            }
            for direction in ("encode", "decode")
        }
        for case in CASES
    }
    if smpp_pdu3.AVAILABLE:
        for direction in ("encode", "decode"):
            result[f"pdu3_{direction}_ratio"] = ratio(medians, direction, (case.name for case in CASES), "pdu3")
            result[f"pdu3_esme_{direction}_ratio"] = ratio(medians, direction, ESME[direction], "pdu3")
            for case in CASES:
                result["pdus"][case.name][direction]["pdu3_ratio"] = ratio(medians, direction, (case.name,), "pdu3")
        result["smpp.pdu3"] = version("smpp.pdu3")
    result["noise"] = round(spread(samples["noise"]), 3)
    result["rounds"] = rounds
    result["python"] = platform.python_version()
    result["smpplib"] = version("smpplib")
    return result


def show(result: dict[str, Any]) -> None:
    print(
        f"Python {result['python']}, smpplib {result['smpplib']}, {result['rounds']} rounds, medians; spread = quartiles"
    )
    print(f"{'':42}{'ours µs':>9}{'spread':>8}{'smpplib µs':>12}{'spread':>8}{'ratio':>8}{'smpp.pdu3':>11}")
    for direction in ("encode", "decode"):
        for name, pdu in result["pdus"].items():
            row = pdu[direction]
            label = f"{direction} {name}"
            left = f"{label:42}{row['ours_us']:>9.2f}{row['ours_spread']:>8.1%}"
            print(f"{left}{row['smpplib_us']:>12.2f}{row['smpplib_spread']:>8.1%}{row['ratio']:>7.1f}x", end="")
            print(f"{row['pdu3_ratio']:>10.1f}x" if "pdu3_ratio" in row else "")
        print(f"{direction}, one of each: {result[f'{direction}_ratio']:.1f}x", end="; ")
        print(f"what the gateway does for one message: {result[f'esme_{direction}_ratio']:.1f}x")
        if f"pdu3_{direction}_ratio" in result:
            print(f"    of smpp.pdu3: {result[f'pdu3_{direction}_ratio']:.1f}x", end="; ")
            print(f"{result[f'pdu3_esme_{direction}_ratio']:.1f}x")
    print(f"noise of this machine during the run: {result['noise']:.1%}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the codec with smpplib's.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=15, help="at least 3 (default %(default)s)")
    parser.add_argument("--milliseconds", type=float, default=15.0, help="per piece and round (default %(default)s)")
    options = parser.parse_args()
    if options.rounds < 3:
        parser.error("quartiles need at least 3 rounds")
    result = measure(options.rounds, options.milliseconds)
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
