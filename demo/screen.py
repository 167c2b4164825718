"""What the demonstration shows: Vietnamese first, English beside it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from demo.books import AgencyTotals, BookedQuery
from demo.check import Finding
from demo.smsc import Shown
from gateway.model import ChargeState

#: Reasons of rejected numbers, for officials.
REASONS = {
    "MISSING": "không có số",
    "NO_DIGITS": "không phải số",
    "TOO_SHORT": "thiếu chữ số",
    "TOO_LONG": "thừa chữ số",
    "PLACEHOLDER": "số giả",
    "LANDLINE": "máy bàn",
    "LANDLINE_OLD_CODE": "máy bàn, mã cũ",
}
CHARGES = {
    ChargeState.CHARGED: "đã trừ tiền (charged)",
    ChargeState.NOT_CHARGED: "không trừ tiền (not charged)",
    ChargeState.REFUNDED: "đã hoàn tiền (refunded)",
    ChargeState.INSUFFICIENT_BALANCE: "không đủ tiền (insufficient balance)",
}


class Screen:
    """Lines with the business hour and the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.hour = "07:30"
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def title(self, vietnamese: str, english: str) -> None:
        self.console.print(Panel(f"[bold]{escape(vietnamese)}[/]\n{escape(english)}", expand=False))

    def scene(self, vietnamese: str, english: str) -> None:
        self.console.print(f"\n[bold cyan]{self.hour}[/]  [bold]{escape(vietnamese)}[/]  [dim]· {escape(english)}[/]")

    def line(self, vietnamese: str, english: str = "") -> None:
        gloss = f"  [dim]· {escape(english)}[/]" if english else ""
        self.console.print(f"[dim]{self.elapsed_s:5.1f} s[/]  {escape(vietnamese)}{gloss}", soft_wrap=True)

    def exchange(self, question: str, phone: str, answer: str) -> None:
        """One query from a handset and what came back."""
        self.console.print(f"        [yellow]{phone}[/] → 8083: {escape(question)}", soft_wrap=True)
        self.console.print(f"        8083 → [yellow]{phone}[/]: {escape(answer)}", soft_wrap=True)

    def inbox(self, owner: str, phone: str, messages: Sequence[Shown]) -> None:
        """One handset's messages, word for word."""
        lines = [
            f"[bold]{escape(each.sender)}[/] [dim]({each.parts} SMS)[/]\n{escape(each.text)}" for each in messages
        ] or ["[dim](trống · empty)[/]"]
        self.console.print(Panel("\n\n".join(lines), title=f"{escape(owner)} · {phone}", title_align="left", width=100))

    def totals(self, totals: Mapping[str, AgencyTotals]) -> None:
        table = Table(title="Thông báo theo cơ quan · notices by agency", title_justify="left")
        heads = (
            "phải gửi\ndue",
            "đã gửi\nsent",
            "nhà mạng nhận\naccepted",
            "đến máy\ndelivered",
            "không đến\nundelivered",
        )
        table.add_column("Cơ quan\nagency")
        for head in (*heads, "bị hủy\ncancelled", "từ chối\nrejected"):
            table.add_column(head, justify="right")
        for name, agency in totals.items():
            counts = (agency.due, agency.sent, agency.accepted, agency.delivered, agency.undelivered)
            rejected = sum(agency.rejected.values())
            share = f" ({rejected / agency.due:.0%})" if agency.due else ""
            table.add_row(name, *map(str, counts), str(agency.cancelled), f"{rejected}{share}")
        self.console.print(table)
        for name, agency in totals.items():
            reasons = ", ".join(
                f"{REASONS.get(reason, reason)} [dim]{reason}[/] {number}"
                for reason, number in agency.rejected.most_common()
            )
            self.console.print(f"  {name}: {reasons or '—'}", soft_wrap=True)

    def charges(self, queries: Iterable[BookedQuery]) -> None:
        states: Counter[ChargeState] = Counter()
        money: Counter[ChargeState] = Counter()
        results: Counter[str] = Counter()
        for query in queries:
            states[query.charge_state] += 1
            money[query.charge_state] += query.amount_vnd
            results[query.result] += 1
        table = Table(title="Tra cứu MCKH · queries and charges", title_justify="left")
        table.add_column("kết quả · outcome")
        table.add_column("số tin · queries", justify="right")
        table.add_column("tiền · VND", justify="right")
        for state, number in states.items():
            amount = money[state] if state is ChargeState.CHARGED else 0
            table.add_row(CHARGES.get(state, str(state)), str(number), f"{amount:,}")
        self.console.print(table)
        self.console.print("  " + ", ".join(f"{result} {number}" for result, number in results.items()))

    def findings(self, findings: Sequence[Finding]) -> None:
        self.console.print(
            "\n[bold]Kiểm tra · the check[/] [dim](officials' books, the gateway's store, the operators' record)[/]"
        )
        for finding in findings:
            mark = "[red]✗[/]" if finding.problems else "[green]✓[/]"
            self.console.print(
                f"  {mark} {escape(finding.vietnamese)}  [dim]· {escape(finding.english)}[/]", soft_wrap=True
            )
            for problem in finding.problems[:10]:
                self.console.print(f"      {escape(problem)}", style="red", soft_wrap=True)
            if len(finding.problems) > 10:
                self.console.print(f"      … {len(finding.problems) - 10} more", style="red")
