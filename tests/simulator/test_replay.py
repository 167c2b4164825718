"""MO from CSV files: columns, times, faults with their lines; a whole run against a simulator in its own process."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from blocking_esme import BlockingEsme
from simulator_process import running

from gateway.smpp.pdu import tlv
from simulator.errors import SimulatorError
from simulator.replay import due_times, parse_tlv, read_rows, report_lines


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mo.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_with_every_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "at,from,to,text,account,coding,form,copies,order,flash,data_coding,esm_class,tlvs\n"
        '0,0905123456,8083,"MCKH 0101701234, gấp",viettel,ucs2,sar,2,"2,1",yes,0x08,64,0x1402=abc;0x0204=hex:0001\n'
        "1.5,0905123457,8083,MCKH 1,,,,,,,,,\n",
    )
    first, second = read_rows(path)
    assert (first.line, first.at_s) == (2, 0.0)
    assert first.body == {
        "from": "0905123456",
        "to": "8083",
        "text": "MCKH 0101701234, gấp",
        "wait_s": 0,
        "account": "viettel",
        "coding": "ucs2",
        "form": "sar",
        "copies": 2,
        "order": [2, 1],
        "flash": True,
        "data_coding": 8,
        "esm_class": 64,
        "tlvs": [{"tag": 0x1402, "value": "61626300"}, {"tag": 0x0204, "value": "0001"}],
    }
    assert second.body == {"from": "0905123457", "to": "8083", "text": "MCKH 1", "wait_s": 0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from,to\n1,2\n", r"mo\.csv:1: the columns from, to and text are needed"),
        ("from,to,text,txet\n", "unknown columns txet"),
        ("from,to,text,copies\n1,2,x,many\n", r"mo\.csv:2: invalid literal"),
        ("from,to,text,tlvs\n1,2,x,1402\n", r"mo\.csv:2: '1402' is no TLV"),
        ("from,to,text,at\n1,2,x,1\n1,2,x,-1\n", r"mo\.csv:3: at '-1.0' is not"),
        ("from,to,text\n1,2,x,y\n", r"mo\.csv:2: more cells"),
        ("", "the columns from, to and text are needed"),
    ],
)
def test_a_fault_in_a_file_names_its_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SimulatorError, match=expected):
        read_rows(write(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="cannot be read"):
        read_rows(tmp_path / "nothing.csv")


def test_when_rows_leave(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, "at,from,to,text\n0,1,2,a\n4,1,2,b\n"))
    assert [due for due, _ in due_times(rows, None, 2.0, 1)] == [0.0, 2.0]
    assert [due for due, _ in due_times(rows, 10.0, 1.0, 2)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    plain = read_rows(write(tmp_path, "from,to,text\n1,2,a\n1,2,b\n"))
    assert [due for due, _ in due_times(plain, None, 1.0, 1)] == pytest.approx([0.0, 0.1])


@pytest.mark.parametrize("text", ["x=1", "0x1402", "70000=1", "0x0204=hex:zz"])
def test_what_is_no_tlv(text: str) -> None:
    with pytest.raises(ValueError):
        parse_tlv(text)


def test_a_file_is_replayed_and_its_answers_are_told(tmp_path: Path) -> None:
    from gateway.smpp.pdu import BindTransceiver, DeliverSm, DeliverSmResp

    path = write(tmp_path, "from,to,text,tlvs\n0905123456,8083,MCKH 1,0x1402=abc\n0905123457,8083,MCKH 2,\n")
    with running(tmp_path) as one:
        esme = BlockingEsme(one.ports["any"])
        esme.ask(BindTransceiver(system_id="a"))
        seen: list[DeliverSm] = []

        def answer() -> None:
            for status in (0, 0x64, 0, 0x0B, 0):
                pdu = esme.read()
                assert isinstance(pdu, DeliverSm)
                seen.append(pdu)
                esme.send(DeliverSmResp(pdu.sequence_number, status))

        thread = threading.Thread(target=answer)
        thread.start()
        done = one.json("replay", str(path), "--rate", "200", "--repeat", "2")
        thread.join(20)
        esme.close()
    assert done["sent"] == 4
    assert done["states"] == {"delivered": 3, "refused": 1}
    assert done["statuses"] == {"ESME_ROK": 3, "ESME_RINVDSTADR": 1}
    assert done["answer_ms"]["max"] > 0
    assert tlv(seen[0], 0x1402) == b"abc\0"
    assert next(iter(report_lines(done))).startswith("4 MO in ")


def test_a_row_that_the_simulator_refuses_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "from,to,text\n0905123456,8083,a\nabc,8083,b\n")
    with running(tmp_path) as one:
        done = one.command("replay", str(path), "--rate", "1000")
    assert done.returncode == 1
    assert "line 3: number: 'abc' is not a telephone number" in done.stderr
