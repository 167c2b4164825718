"""The page docs/smpp-states.md, drawn from the table in :mod:`gateway.smpp.session`.

``python -m gateway.smpp.statechart docs/smpp-states.md`` writes it; a test fails when it is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.smpp.session import RULES, TRANSITIONS, Role, SessionState, Transition

_HEAD = """# States of an SMPP session

Generated from the table in `gateway/smpp/session.py`, whose first page tells the story. Write it again with
`python -m gateway.smpp.statechart docs/smpp-states.md`.

"""


def mermaid() -> str:
    """The states and their arrows as a Mermaid state diagram."""
    arrows: dict[tuple[SessionState, SessionState], list[str]] = {}
    for row in TRANSITIONS:
        arrows.setdefault((row.source, row.target), []).append(_label(row))
    lines = ["stateDiagram-v2", "    [*] --> open: connected"]
    for (source, target), labels in arrows.items():
        lines.append(f"    {source.value} --> {target.value}: {_joined(labels)}")
    lines += [
        f"    {state.value} --> closed: disconnected" for state in SessionState if state is not SessionState.CLOSED
    ]
    lines.append("    closed --> [*]")
    return "\n".join(lines) + "\n"


def _label(row: Transition) -> str:
    name = row.command_id.name.lower()
    return f"{name} ESME_ROK ({row.sender.value})" if name.endswith("_resp") else f"{name} ({row.sender.value})"


def _joined(labels: list[str]) -> str:
    return " / ".join(labels)


def matrix() -> str:
    """Which request each end may send in which state, as a Markdown table."""
    states = [state for state in SessionState if state is not SessionState.CLOSED]
    lines = [
        "| request | " + " | ".join(state.value for state in states) + " |",
        "| --- | " + " | ".join("---" for _ in states) + " |",
    ]
    for command_id in dict.fromkeys(rule.command_id for rule in RULES):
        cells = []
        for state in states:
            senders = {rule.sender for rule in RULES if rule.command_id is command_id and state in rule.states}
            cells.append(", ".join(role.value for role in Role if role in senders))
        lines.append(f"| {command_id.name.lower()} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def render_page() -> str:
    """The whole page."""
    return (
        f"{_HEAD}```mermaid\n{mermaid()}```\n\nWho may send which request in which state:\n\n{matrix()}\n"
        "Responses follow the window, not the state: one may come while its request is open.\n"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_page(), encoding="utf-8")
