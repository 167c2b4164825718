"""The commands' side of the control interface. Blocking: a command does one thing and ends."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, cast

from simulator.errors import SimulatorError

# Proxies of the environment are not asked: the simulator is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ControlClient:
    """Talks to a running simulator.

    Args:
        url: as the simulator told it at its start: http://127.0.0.1:2780
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def get(self, *path: str, **query: object) -> dict[str, Any]:
        """GET. Raises :class:`SimulatorError`."""
        wanted = {name: value for name, value in query.items() if value is not None}
        suffix = "?" + urllib.parse.urlencode(wanted) if wanted else ""
        return self._ask("GET", path, suffix, None, 30.0)

    def post(self, *path: str, body: dict[str, Any], timeout_s: float = 30.0) -> dict[str, Any]:
        """POST. Raises :class:`SimulatorError`."""
        return self._ask("POST", path, "", body, timeout_s)

    def delete(self, *path: str) -> dict[str, Any]:
        """DELETE. Raises :class:`SimulatorError`."""
        return self._ask("DELETE", path, "", None, 30.0)

    def _ask(
        self, method: str, path: tuple[str, ...], suffix: str, body: dict[str, Any] | None, timeout_s: float
    ) -> dict[str, Any]:
        url = self.url + "/" + "/".join(urllib.parse.quote(step, safe="") for step in path) + suffix
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(url, data, headers, method=method)
            with _opener.open(request, timeout=timeout_s) as response:
                return cast(dict[str, Any], json.load(response))
        except urllib.error.HTTPError as error:
            raise _refusal(url, error) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise SimulatorError(
                self.url,
                f"no simulator answers ({reason})",
                "Start it with 'motcua-simulator run', or say where it is with --control URL or --config FILE",
            ) from error


def _refusal(url: str, error: urllib.error.HTTPError) -> SimulatorError:
    try:
        fault = json.load(error)["error"]
        return SimulatorError(str(fault["where"]), str(fault["what"]), str(fault["remedy"]))
    except (ValueError, KeyError, TypeError):
        return SimulatorError(url, f"HTTP {error.code}", "Is this the simulator's control port?")
