"""``python -m demo [--keep]``: the whole job on sample data. Exit status 0 when the check at its end finds nothing."""

from __future__ import annotations

import signal
import sys
from datetime import date, datetime
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from demo.processes import Daemon, DemoError, command
from demo.screen import Screen
from demo.setup import Setup, prepare
from demo.story import Story

FOLDER = Path("var/demo")


@click.command()
@click.option("--keep", is_flag=True, help="Leave the gateway and the simulator running.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The business day; default: the next working day.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True, help="Emptied and filled."
)
def main(keep: bool, day: datetime | None, folder: Path) -> None:
    """Show the gateway's whole job: notices, queries, charging, an apology at 17:30, faults of operators."""
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    raise SystemExit(_run(keep, day.date() if day else None, folder))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(keep: bool, day: date | None, folder: Path) -> int:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    screen = Screen(console)
    screen.title(
        "Motcua Gateway: báo tin cho người dân về hồ sơ một cửa",
        "a province's day in less than a minute: agencies, operators and citizens are simulated, the gateway is real",
    )
    daemons: list[Daemon] = []
    kept = False
    try:
        setup = prepare(folder, day)
        _introduce(screen, setup)
        simulator = Daemon(
            "motcua-simulator",
            [command("motcua-simulator"), "run", "--config", str(folder / "simulator.yaml")],
            folder / "simulator.log",
        )
        gateway = Daemon(
            "motcua-gateway",
            [command("motcua-gateway"), "run", "--config", str(folder / "gateway.yaml")],
            folder / "gateway-output.log",
        )
        daemons = [gateway, simulator]  # the order in which they are stopped
        good = Story(setup, simulator, gateway, screen).play()
        if keep:
            kept = True
            _tell_how_to_go_on(screen, folder, gateway, simulator)
            return 0 if good else 1
        good = _stop(gateway, screen) and good
        _tell_what_next(screen, folder)
        return 0 if good else 1
    except DemoError as error:
        console.print(f"[bold red]Không thành công · failed:[/] {error}", markup=True, soft_wrap=True)
        console.print(f"Nhật ký · logs: {folder}/")
        return 1
    except KeyboardInterrupt:
        console.print("Đã dừng · stopped")
        return 130
    finally:
        if not kept:
            for daemon in daemons:
                daemon.stop()


def _introduce(screen: Screen, setup: Setup) -> None:
    files = [file for _, file in setup.province.all_files()]
    bad = sum(not file.applicant.mobile for file in files)
    screen.line(
        f"Ngày {setup.province.day:%d/%m/%Y}; 2 cơ quan, {len(files)} hồ sơ, {bad / len(files):.0%} số điện thoại không dùng được",
        "two agencies with databases of their own; numbers as bad as in the pilot",
    )


def _stop(gateway: Daemon, screen: Screen) -> bool:
    """SIGTERM: the gateway drains and ends with status 0."""
    status = gateway.stop()
    if status != 0:
        screen.line(f"Cổng tin nhắn dừng với mã {status}", "the gateway did not stop cleanly")
        return False
    screen.line("Cổng tin nhắn đã dừng êm sau SIGTERM", "the gateway drained and stopped")
    return True


def _tell_what_next(screen: Screen, folder: Path) -> None:
    screen.console.print(
        f"\n[bold]Thử tiếp · try next[/]\n"
        f"  make demo-keep                                   để chạy tiếp · leave it running\n"
        f"  motcua-gateway explain mo 'MCKH 0101701234'      cổng hiểu tin nhắn ra sao · what the gateway reads in a text\n"
        f"  motcua-gateway explain phone 'ĐT: 0168 512 3456' số này dùng được không · is this number good\n"
        f"  {f'less {folder}/gateway.log':<49}nhật ký, số máy được che · the log, numbers masked\n"
        f"  (lệnh nằm trong .venv/bin/ · commands are in .venv/bin/)",
        highlight=False,
    )


def _tell_how_to_go_on(screen: Screen, folder: Path, gateway: Daemon, simulator: Daemon) -> None:
    simulated = f".venv/bin/motcua-simulator {{}} --config {folder}/simulator.yaml"
    screen.console.print(
        f"\n[bold]Đang chạy tiếp · still running[/]\n"
        f"  cổng · gateway: process {gateway.pid};  nhà mạng · simulator: process {simulator.pid}\n"
        f"  dừng · stop:     kill {gateway.pid} {simulator.pid}\n"
        f"  tra cứu · ask:   {simulated.format('mo')} --from 84905123456 --to 8083 'MCKH 0101701234'\n"
        f"  hộp thư · read:  {simulated.format('inbox')} 84905123456\n"
        f"  sự cố · faults:  {simulated.format('fault')} viettel cut\n"
        f"  tình trạng:      {simulated.format('status')}\n",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
