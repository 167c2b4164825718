"""The simulated operators, through the simulator's control interface: handsets send, handsets are read."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from demo.processes import DemoError

_TIMEOUT_S = 20.0
SHORTCODE = "8083"


@dataclass(frozen=True, slots=True)
class Shown:
    """One message as a handset shows it."""

    sender: str
    text: str
    parts: int
    copy: int
    at: float


class Smsc:
    """HTTP on loopback. Raises :class:`DemoError` where the simulator refuses."""

    def __init__(self, url: str) -> None:
        self._url = url

    def sessions(self) -> dict[str, int]:
        """Account: connections that are bound; empty while the simulator is not up yet."""
        try:
            status = self._get("/status")
        except (urllib.error.URLError, ConnectionError):
            return {}
        return {account["account"]: len(account["binds"]) for account in status["accounts"]}

    def send(self, phone: str, text: str) -> None:
        """A handset sends a text to the shortcode; returns once the gateway has answered for it."""
        body = {"from": phone, "to": SHORTCODE, "text": text, "wait_s": 10}
        answer = self._post("/mo", body)
        if answer["state"] not in ("delivered", "not_charged"):
            raise DemoError(f"the text “{text}” from {phone} was not taken: {answer['state']}")

    def inbox(self, phone: str) -> list[Shown]:
        """What a handset received, oldest first."""
        messages = self._get(f"/inbox/{phone}")["messages"]
        return [Shown(m["sender"], m["text"], m["parts"], m["copy"], m["at"]) for m in messages]

    def flush(self) -> None:
        """Write the record's last entries to its file."""
        self._post("/record/flush", {})

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise DemoError(f"the simulator refuses {path}: {error.read().decode('utf-8', 'replace')}") from error
