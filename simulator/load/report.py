"""The report of a load, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_ROWS = (("answer_ms", "answers"), ("receipt_ms", "receipts"), ("reply_ms", "replies"))


def report_lines(report: dict[str, Any]) -> Iterator[str]:
    """Rates, statuses, what is missing, and the times."""
    what = "submit_sm" if report["role"] == "esme" else "MO"
    offered = report["offered_per_s"]
    wanted = f" of {offered:g} wanted" if offered else ""
    yield f"{report['sent']} {what} sent, {_rate(report['sent_per_s'])}{wanted}; most behind {report['most_behind_ms']:g} ms"
    yield (
        f"{report['answered']} answered, {_rate(report['answered_per_s'])}; {report['unanswered']} without an answer"
    )
    if report["statuses"]:
        yield "  " + ", ".join(f"{name} {count}" for name, count in report["statuses"].items())
    if report.get("sent_again"):
        yield f"  {report['sent_again']} sent again after a throttling status"
    for reason in report.get("links_lost", []):
        yield f"  a link was lost: {reason}"
    for name in ("receipts", "replies"):
        if name in report:
            yield from _awaited(name, report[name])
    rows = [(title, report[key]) for key, title in _ROWS if report.get(key)]
    if rows:
        names = [name for name in rows[0][1] if name != "count"]
        since = "from the intended time" if offered else "from sending"
        yield f"milliseconds {since:<22}" + "".join(f"{name:>11}" for name in names)
        for title, times in rows:
            yield f"  {title:<33}" + "".join(f"{times[name]:>11,.3f}" for name in names)


def _awaited(name: str, found: dict[str, Any]) -> Iterator[str]:
    words = [f"{found['received']} {name}", f"{found['missing']} missing"]
    words += [f"{found[key]} {key}" for key in ("unmatched", "early", "intermediate") if found.get(key)]
    yield ", ".join(words)
    detail = found.get("states") or found.get("statuses")
    if detail:
        yield "  " + ", ".join(f"{key} {count}" for key, count in detail.items())


def _rate(per_s: float | None) -> str:
    if per_s is None:
        return "no rate"
    return f"{per_s:,.0f}/s" if per_s >= 10 else f"{per_s:.2f}/s"
