"""The daemon, as an operator would see it, against an SMSC written with node-smpp: notices, receipts, queries, a lost link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from node_peer import NodeSmsc, RunningGateway, eventually, node_smsc, running_gateway
from wire_tap import wire_tap

from demo.agencies import CaseFile, NhaTrang, Procedure, Stage
from demo.people import Applicant
from gateway.clock import VIETNAM, set_file_clock
from gateway.smpp.constants import CommandId
from gateway.store.schema import message, source_cursor

pytestmark = [pytest.mark.peer("node-smpp"), pytest.mark.peer("tshark")]

DAY = date(2026, 3, 4)
MORNING = datetime.combine(DAY, time(8), VIETNAM)
NUMBERS = [f"8490512345{index}" for index in range(10)]
AGENCY = "phuong Nha Trang"


def a_file(index: int) -> CaseFile:
    number = NUMBERS[index]
    return CaseFile(
        code=f"010170000{index}",
        role="",
        applicant=Applicant("Nguyễn Văn A", "0" + number[2:], DAY, number, ""),
        procedure=Procedure("1.000656", "Đăng ký khai tử"),
        received_at=MORNING - timedelta(days=5),
        due_at=MORNING + timedelta(days=9),
        stage=Stage.PROCESSING,
    )


FILES = [a_file(index) for index in range(9)] + [replace(a_file(9), due_at=MORNING + timedelta(days=1))]


@dataclass
class Bench:
    """SMSC, daemon and the agency's database."""

    smsc: NodeSmsc
    gateway: RunningGateway
    agency: NhaTrang
    folder: Path
    engine: sa.Engine

    def move(self, index: int, stage: Stage) -> None:
        self.agency.move([(FILES[index].code, stage)], MORNING)

    def clock(self, at: time) -> None:
        set_file_clock(self.folder / "clock.json", datetime.combine(DAY, at, VIETNAM))

    def states(self, index: int) -> list[tuple[str, str]]:
        """(kind, state) of a dossier's notices."""
        query = sa.select(message.c.kind, message.c.state).where(message.c.receipt_code == FILES[index].code)
        with self.engine.connect() as connection:
            return [(kind, state) for kind, state in connection.execute(query)]

    def polled(self) -> bool:
        with self.engine.connect() as connection:
            return connection.execute(sa.select(source_cursor.c.last_success_at)).scalar() is not None


def configuration(folder: Path, port: int, password: str = "secret") -> Path:
    path = folder / "gateway.yaml"
    values = {
        "store": {"url": f"sqlite:///{folder / 'store.sqlite3'}"},
        "log": {"format": "json"},
        "clock": {"business_file": str(folder / "clock.json")},
        "operators": {
            "node": {
                "default": True,
                "binds": [
                    {
                        "name": "node-1",
                        "host": "127.0.0.1",
                        "port": port,
                        "system_id": "motcua",
                        "password": password,
                        "reconnect_min_s": 0.2,
                    }
                ],
            }
        },
        "sources": {
            "nha_trang": {
                "url": f"sqlite:///{folder / 'nha_trang.sqlite3'}",
                "poll_interval_s": 0.2,
                "statuses": {
                    "Mới tiếp nhận": "received",
                    "Đang thụ lý": "processing",
                    "Chờ bổ sung": "awaiting_supplement",
                    "Đã có kết quả": "result_ready",
                    "Đã trả": "returned",
                    "Công dân rút": "withdrawn",
                },
            }
        },
        "notices": {"hold_s": 0},
        "drain_timeout_s": 5,
        "trace_socket": None,
    }
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture(name="bench", scope="module")
def a_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("node")
    agency = NhaTrang(folder)
    agency.create(FILES, MORNING)
    set_file_clock(folder / "clock.json", MORNING)
    with node_smsc() as smsc, wire_tap(smsc.port) as tap:
        config = configuration(folder, tap.port)
        with running_gateway(config, folder / "log") as gateway:
            engine = sa.create_engine(f"sqlite:///{folder / 'store.sqlite3'}")
            bench = Bench(smsc, gateway, agency, folder, engine)
            bind = smsc.next("bind")
            assert (bind["command"], bind["system_id"], bind["version"], bind["status"]) == (
                "bind_transceiver",
                "motcua",
                0x34,
                0,
            )
            eventually("first poll", bench.polled)
            yield bench
            engine.dispose()
        kinds = {pdu.command_id for pdu in tap.dissect(folder)}
        assert kinds >= {CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP, CommandId.DELIVER_SM, CommandId.DELIVER_SM_RESP}


def test_a_result_is_announced_and_its_receipt_recorded(bench: Bench) -> None:
    bench.move(0, Stage.RESULT_READY)
    (submit,) = bench.smsc.submits(NUMBERS[0], 1)
    assert submit["text"] == (
        f"TB: Ho so cua quy ong/ba (MS: 0101700000) da duoc giai quyet xong. "
        f"Moi ong/ba den Bo phan Mot cua {AGENCY} de nhan ket qua"
    )
    assert (submit["source_addr"], submit["source_addr_ton"], submit["dest_addr_ton"]) == ("MotcuaSMS", 5, 1)
    assert submit["registered_delivery"] & 1
    assert bench.smsc.next("receipt_answered")["status"] == 0
    eventually("delivered", lambda: bench.states(0) == [("result_ready", "delivered")])


def test_a_supplement_is_asked_for(bench: Bench) -> None:
    bench.move(1, Stage.SUPPLEMENT)
    (submit,) = bench.smsc.submits(NUMBERS[1], 1)
    assert submit["text"].startswith("TB: Ho so cua quy ong/ba (MS: 0101700001) can bo sung theo quy dinh.")
    eventually("delivered", lambda: bench.states(1) == [("supplement_needed", "delivered")])


def test_a_query_is_answered(bench: Bench) -> None:
    bench.smsc.order("mo", **{"from": "84912345678", "to": "8083", "text": "mckh 0101700002"})
    assert bench.smsc.next("mo_answered")["status"] == 0
    (reply,) = bench.smsc.submits("84912345678", 1)
    assert reply["source_addr"] == "8083"
    assert reply["text"] == (
        "Ho so cua quy Ong/Ba (0101700002) hien dang o buoc Tham dinh ho so, trang thai ho so: Dung han."
    )


def test_the_link_is_cut_and_comes_back(bench: Bench) -> None:
    bench.smsc.order("cut")
    assert bench.smsc.next("bind")["status"] == 0
    bench.move(3, Stage.RESULT_READY)
    bench.smsc.submits(NUMBERS[3], 1)
    eventually("delivered", lambda: bench.states(3) == [("result_ready", "delivered")])


def test_the_smsc_unbinds_and_the_daemon_binds_again(bench: Bench) -> None:
    bench.smsc.order("unbind")
    assert bench.smsc.next("bind")["status"] == 0
    bench.move(4, Stage.RESULT_READY)
    bench.smsc.submits(NUMBERS[4], 1)
    eventually("delivered", lambda: bench.states(4) == [("result_ready", "delivered")])


def test_the_apology_goes_in_two_parts(bench: Bench) -> None:
    bench.clock(time(17, 30))
    parts = bench.smsc.submits(NUMBERS[9], 2)
    headers = [bytes.fromhex(part["udh"][0]) for part in parts]
    # node-smpp gives information elements: identifier, length, reference, total, part
    assert {header[-2:] for header in headers} == {b"\x02\x01", b"\x02\x02"}
    assert len({header[-3] for header in headers}) == 1
    text = "".join(part["text"] for part in sorted(parts, key=lambda part: bytes.fromhex(part["udh"][0])[-1]))
    assert text == (
        "TB: Ho so cua quy ong/ba (MS: 0101700009) chua co ket qua vao ngay 05/03/2026. Ong/ba co the den Bo phan Mot cua "
        f"{AGENCY} nhan Thong bao xin loi, hen lai thoi gian tra ket qua hoac den nhan ket qua khi co tin nhan tiep theo"
    )
    eventually("delivered", lambda: bench.states(9) == [("apology_due_tomorrow", "delivered")])


def test_sigterm_unbinds_and_ends_well(bench: Bench) -> None:
    assert bench.gateway.running
    assert bench.gateway.terminate() == 0
    bench.smsc.next("unbind")


def test_a_wrong_password_is_reported_and_tried_again(tmp_path: Path) -> None:
    NhaTrang(tmp_path).create(FILES, MORNING)
    set_file_clock(tmp_path / "clock.json", MORNING)
    with (
        node_smsc(password="other") as smsc,
        running_gateway(configuration(tmp_path, smsc.port), tmp_path / "log") as gateway,
    ):
        assert smsc.next("bind")["status"] == 0x0D  # ESME_RBINDFAIL
        assert smsc.next("bind")["status"] == 0x0D
        assert gateway.running
        eventually("the refusal to be logged", lambda: "ESME_RBINDFAIL" in gateway.text())
        assert gateway.terminate() == 0
