"""Writes the demonstration's folder: databases, configurations, clock."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from string import Template

from demo.agencies import DATA, CaseFile
from demo.processes import free_ports
from demo.province import Province, business_day, create_province
from gateway.clock import VIETNAM, set_file_clock

OPENING = time(8, 0)


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that lies in the folder, and who plays which part."""

    folder: Path
    province: Province
    ports: dict[str, int]
    poor: CaseFile  # a Viettel subscriber without money left
    unreachable: CaseFile | None  # a VinaPhone handset that is switched off

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['control']}"

    def set_clock(self, at: time) -> None:
        """Move the business time, on the demonstration's day, to this hour in Vietnam."""
        set_file_clock(self.folder / "clock.json", self.moment(at))

    def moment(self, at: time) -> datetime:
        return datetime.combine(self.province.day, at, VIETNAM)


def prepare(folder: Path, day: date | None = None) -> Setup:
    """Empty the folder and fill it anew."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    province = create_province(folder, day or business_day(datetime.now(UTC).astimezone(VIETNAM).date()))
    names = ("control", "viettel", "mobifone", "vinaphone")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    poor = next(
        file for _, file in province.all_files() if file.role == "running" and file.applicant.carrier == "Viettel"
    )
    unreachable = next(
        (f for _, f in province.all_files() if f.role == "ready" and f.applicant.carrier == "VinaPhone"), None
    )
    setup = Setup(folder, province, ports, poor, unreachable)
    values = {
        "folder": folder.as_posix(),
        **{f"{name}_port": port for name, port in ports.items()},
        "poor_phone": poor.applicant.mobile,
        "unreachable_phone": unreachable.applicant.mobile if unreachable else "^$",
    }
    for name in ("gateway.yaml", "simulator.yaml"):
        text = Template((DATA / name).read_text(encoding="utf-8")).substitute(values)
        (folder / name).write_text(text, encoding="utf-8")
    smpp = [ports[name] for name in names[1:]]
    (folder / "ports.json").write_text(json.dumps({"smpp": smpp, "control": ports["control"]}), encoding="utf-8")
    setup.set_clock(OPENING)
    return setup
