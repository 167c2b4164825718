"""A headless Chromium on the simulator's page, and an ESME of a few lines that answers queries."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gateway.smpp.framing import Framer
from gateway.smpp.pdu import (
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    Pdu,
    SubmitSm,
    decode,
    encode,
)
from gateway.smpp.text import choose_coding, decode_text, segment

WAIT_S = 20
PROGRAMS = ("chromium", "chromedriver")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-prefers-reduced-motion",
)


def require_chromium() -> None:
    """Skip on a developer's machine without it; continuous integration must have it."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"{' and '.join(missing)} not found; Debian's packages: chromium chromium-driver"
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(reason)
        pytest.skip(reason)


class Page:
    """The open page, by what a user sees and does."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str = "/") -> None:
        self.driver.get(self.url + path)
        self.until(lambda: "open" in self.one("#live-state").get_attribute("class"), "the page is live")

    def one(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What is written in all of them, read in one go: the page changes while one looks."""
        script = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText ?? '')"
        found: list[str] = self.driver.execute_script(script, selector)
        return found

    def keys(self, *keys: str) -> None:
        """Type where the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    @property
    def focused(self) -> str:
        """The id of the focused element."""
        return str(self.driver.switch_to.active_element.get_attribute("id"))

    def until(self, holds: Callable[[], object], what: str) -> None:
        WebDriverWait(self.driver, WAIT_S, 0.05).until(lambda _: holds(), f"never so: {what}")

    def size(self, width: int, height: int) -> None:
        """Of what is shown, without a window's frame; below a window's least width, too."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def shot(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))

    def complaints(self) -> list[str]:
        """Errors and warnings on the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requested_hosts(self) -> set[str]:
        """Where requests went since the last call: host:port."""
        hosts = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                if url.scheme in ("http", "https", "ws", "wss"):  # chrome:// is the browser's own start page
                    hosts.add(url.netloc)
        return hosts


@contextmanager
def chromium(profile: Path, url: str) -> Iterator[Page]:
    """A browser of its own, with an empty profile, that finds nothing but this machine."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in _FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield Page(driver, url)
    finally:
        driver.quit()


class AnsweringEsme:
    """Binds, takes every MO, and answers it with what ``reply`` says, as often as it says."""

    def __init__(self, port: int, reply: Callable[[str], list[str]], system_id: str = "motcua") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self._reply = reply
        self._sequence = 0
        self._send(BindTransceiver(system_id=system_id))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, text: str, destination: str, source: str = "8083") -> None:
        """Send a message, long ones in parts."""
        for part in segment(text, choose_coding(text), form="udh8", reference=self._sequence + 1):
            self._send(
                SubmitSm(
                    source_addr=source,
                    source_addr_ton=3,
                    dest_addr_ton=1,
                    dest_addr_npi=1,
                    destination_addr=destination,
                    registered_delivery=1,
                    esm_class=part.esm_class_bits,
                    data_coding=part.data_coding,
                    short_message=part.short_message,
                )
            )

    def close(self) -> None:
        with suppress(OSError):  # the simulator may have cut it
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, which close alone does not
        self._thread.join(WAIT_S)
        self._socket.close()

    def _send(self, pdu: Pdu) -> None:
        self._sequence += 1
        self._socket.sendall(encode(pdu._replace(sequence_number=self._sequence)))

    def _run(self) -> None:
        framer = Framer()
        while True:
            try:
                data = self._socket.recv(65_536)
            except OSError:  # closed by us, or cut
                return
            if not data:
                return
            for pdu in map(decode, framer.feed(data)):
                self._take(pdu)

    def _take(self, pdu: Pdu) -> None:
        if isinstance(pdu, EnquireLink):
            self._socket.sendall(encode(EnquireLinkResp(pdu.sequence_number)))
        elif isinstance(pdu, DeliverSm):
            self._socket.sendall(encode(DeliverSmResp(pdu.sequence_number)))
            if not pdu.esm_class & 0x04:
                text = decode_text(pdu.short_message, pdu.data_coding) or ""
                for reply in self._reply(text):
                    self.submit(reply, pdu.source_addr, pdu.destination_addr)
