"""The live page in a headless Chromium, as somebody uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_browser import AnsweringEsme, Page, chromium, require_chromium
from selenium.webdriver.common.keys import Keys
from simulator_process import Running, running

PAGE = Path(__file__).parents[2] / "simulator" / "page"
CONFIGURATION = """
accounts:
  viettel:
    port: 0
    system_id: motcua
    prefixes: [8490, 8496]
    receipts: {delay: 0.01}
    charging: {balances: {84961111111: 0}}
  mobifone: {port: 0, prefixes: [8493]}
"""
REPLY = "Hồ sơ 0101701234 của ông Nguyễn Văn An: ĐANG GIẢI QUYẾT, hẹn trả 12/01/2026 tại phường Nha Trang."
MARKUP = '<img src=x onerror="document.title=1"><b>đậm</b>'


def reply(text: str) -> list[str]:
    if "LAP" in text:
        return ["Ho so da giai quyet"]
    return [MARKUP if text == MARKUP else REPLY]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    require_chromium()
    with running(tmp_path_factory.mktemp("page"), CONFIGURATION) as one:
        yield one


@pytest.fixture(scope="module")
def browser(simulator: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile"), simulator.url) as page:
        yield page


@pytest.fixture
def esme(simulator: Running) -> Iterator[AnsweringEsme]:
    one = AnsweringEsme(simulator.ports["viettel"], reply)
    yield one
    one.close()


@pytest.fixture
def page(browser: Page, simulator: Running) -> Iterator[Page]:
    """The page, opened anew, in Vietnamese; afterwards nothing was complained of and nobody else was asked."""
    simulator.client.delete("fault", "all")
    browser.size(1500, 950)
    forget = {"origin": simulator.url, "storageTypes": "local_storage"}
    browser.driver.execute_cdp_cmd("Storage.clearDataForOrigin", forget)
    browser.open()
    yield browser
    assert browser.complaints() == []
    assert browser.requested_hosts() == {simulator.url.removeprefix("http://")}


def open_handset(page: Page, number: str) -> None:
    page.one("#handset-new").click()
    page.keys(number, Keys.ENTER)
    page.until(lambda: page.focused == "message-text", "the handset is open")


def test_a_query_is_typed_and_its_reply_appears(page: Page, esme: AnsweringEsme, tmp_path: Path) -> None:
    open_handset(page, "0901 000 001")
    page.keys("MCKH 0101701234", Keys.ENTER)
    page.until(lambda: REPLY in page.texts("#talk .received .body"), "the reply is there")
    assert page.texts("#talk .sent .body") == ["MCKH 0101701234"]
    page.until(lambda: "đã nhận" in page.texts("#talk .sent .meta")[0], "the query was taken")
    assert page.texts("#talk .received .who") == ["8083"]
    assert "2 phần" in page.texts("#talk .received .meta")[0]
    assert REPLY in page.one("#announcer").get_attribute("textContent")
    assert page.one("#message-text").get_attribute("value") == ""
    assert page.focused == "message-text"
    page.shot(tmp_path / "reply.png")
    assert (tmp_path / "reply.png").stat().st_size > 20_000


def test_what_came_twice_is_marked(page: Page, esme: AnsweringEsme) -> None:
    open_handset(page, "84901000002")
    for _ in range(2):
        page.keys("MCKH LAP", Keys.ENTER)
        page.until(lambda: page.one("#message-text").get_attribute("value") == "", "sent")
    page.until(lambda: len(page.texts("#talk .received")) == 2, "both replies")
    assert [("LẶP lần 2" in meta) for meta in page.texts("#talk .received .meta")] == [False, True]


def test_texts_are_never_markup(page: Page, esme: AnsweringEsme) -> None:
    open_handset(page, "84901000003")
    page.keys(MARKUP, Keys.ENTER)
    page.until(lambda: page.texts("#talk .received .body") == [MARKUP], "the text as it is")
    page.until(lambda: any(MARKUP[:20] in row for row in page.texts("#pdu-rows tr")), "in the list, too")
    assert page.all("#talk img, #talk b, #pdu-rows img, #pdu-rows b") == []
    assert page.driver.title == "Motcua SMSC"


def test_an_mo_that_nobody_takes_waits_for_a_bind(page: Page, simulator: Running) -> None:
    open_handset(page, "84931000001")
    page.keys("MCKH 1", Keys.ENTER)
    page.until(lambda: page.texts("#talk .kept") == ["… đang chờ ESME"], "it waits")
    late = AnsweringEsme(simulator.ports["mobifone"], reply)
    page.until(lambda: page.texts("#talk .received .body") == [REPLY], "answered after the bind")
    late.close()


def test_binds_counters_and_charging(page: Page, esme: AnsweringEsme) -> None:
    rows = '[data-account="viettel"] .binds tbody tr'
    page.until(lambda: "hai chiều (TRX)" in page.texts(rows)[0], "the bind")
    assert "0/1000" in page.texts(rows)[0]
    page.until(lambda: "Chưa có ESME nào bind" in page.texts('[data-account="mobifone"] .binds')[0], "no bind there")
    open_handset(page, "84961000009")
    page.keys("MCKH 5", Keys.ENTER)
    page.until(lambda: any("84961000009" in row and "đã thu" in row for row in page.texts("#books tr")), "charged")
    page.until(lambda: "49.000" in page.texts("#handset-facts")[0], "the balance fell")
    esme.submit("MotcuaSMS xin chao", "84961000009", "MotcuaSMS")
    page.until(lambda: len(page.texts("#tiles path.line")) == 4, "four charts")
    page.until(lambda: page.one("#tiles .submits path.line").get_attribute("d"), "a line is drawn")


def test_faults_are_switched_on_and_off(page: Page, esme: AnsweringEsme, simulator: Running) -> None:
    throttle = page.one('[data-account="viettel"] [data-fault="throttle"]')
    throttle.click()
    page.until(lambda: throttle.get_attribute("aria-pressed") == "true", "on")
    assert "quá tốc độ" in page.texts('[data-account="viettel"] .active')[0]
    esme.submit("x", "84961000001")
    page.until(lambda: any("RTHROTTLED" in row for row in page.texts("#pdu-rows tr.bad")), "refused, in red")
    throttle.send_keys(Keys.SPACE)
    page.until(lambda: throttle.get_attribute("aria-pressed") == "false", "off")
    assert simulator.client.get("status")["accounts"][0]["faults"] == []
    page.one('[data-account="viettel"] [data-fault="cut"]').click()
    page.until(lambda: "Chưa có ESME nào bind" in page.texts('[data-account="viettel"] .binds')[0], "the link is gone")


def test_pdus_are_filtered_paused_and_opened(page: Page, esme: AnsweringEsme) -> None:
    esme.submit("mot hai ba", "84961000001", "MotcuaSMS")
    page.keys(Keys.ESCAPE)
    page.keys("/")
    assert page.focused == "pdu-filter"
    page.keys("SUBMIT_SM motcuasms HAI")
    page.until(lambda: len(page.texts("#pdu-rows tr")) == 1, "one matches")
    row = page.texts("#pdu-rows tr")[0]
    assert "MotcuaSMS → 84961000001" in row
    assert "mot hai ba" in row
    page.one("#pdu-rows tr").click()
    page.until(lambda: page.one("#pdu-detail").is_displayed(), "its detail")
    fields = page.texts("#pdu-detail tr")
    assert any(re.match(r"registered_delivery\s+1\s+receipt wanted", field) for field in fields)
    assert "6d 6f 74 20 68 61 69 20 62 61" in " ".join(page.texts("#pdu-detail tr"))
    assert "0000  00 00 00 " in page.texts("#pdu-detail .hex")[0]
    page.one("#pdu-filter").clear()
    page.one("#pdu-pause").click()
    before = len(page.texts("#pdu-rows tr"))
    esme.submit("sau khi dung", "84961000001", "MotcuaSMS")
    page.until(lambda: "đang tạm dừng, có" in page.texts("#pdu-note")[0], "counted, not shown")
    assert len(page.texts("#pdu-rows tr")) >= before
    assert not any("sau khi dung" in text for text in page.texts("#pdu-rows tr"))
    page.one("#pdu-pause").click()
    page.until(lambda: any("sau khi dung" in text for text in page.texts("#pdu-rows tr")), "shown after all")


def test_the_keyboard_does_everything(page: Page, esme: AnsweringEsme) -> None:
    assert page.focused == "message-text"
    page.keys(Keys.ESCAPE)
    page.keys("?")
    assert page.one("#help").is_displayed()
    listed = page.texts("#help-keys kbd")
    assert {"m", "n", "/", "p", "l", "?"} <= set(listed)
    page.keys(Keys.ESCAPE)
    page.until(lambda: not page.one("#help").is_displayed(), "closed")
    page.keys("n")
    assert page.focused == "handset-number"
    page.keys("84901000007", Keys.ENTER)
    page.until(lambda: page.focused == "message-text", "on the new handset")
    page.keys("MCKH 7", Keys.ENTER)
    page.until(lambda: REPLY in page.texts("#talk .received .body"), "a reply")
    page.keys(Keys.ESCAPE)
    page.keys("4")
    script = "return document.activeElement.closest('#pdu-rows tr') !== null"
    assert page.driver.execute_script(script)
    page.keys(Keys.ARROW_UP)
    page.keys(Keys.ENTER)
    page.until(lambda: page.one("#pdu-detail").is_displayed(), "a PDU opened")
    page.keys("l")
    page.until(lambda: page.one("#handsets-title").text == "Handsets", "English")
    page.keys("m")
    assert page.focused == "message-text"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert page.driver.execute_script(outline) == "solid"


def test_both_languages_and_the_choice_is_kept(page: Page) -> None:
    assert page.one("html").get_attribute("lang") == "vi"
    assert page.one("#message-send").text == "Gửi"
    page.one("#language-en").click()
    assert page.one("#message-send").text == "Send"
    page.open()
    assert page.one("html").get_attribute("lang") == "en"
    assert page.one("#accounts-title").text == "Accounts and binds"
    assert not [
        text for text in page.texts("body *") if re.search(r"\b[a-z]+\.[a-z_]+\b\s*$", text) and "\n" not in text
    ]


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
def test_nothing_is_wider_than_the_window(page: Page, esme: AnsweringEsme, simulator: Running, width: int) -> None:
    for number in range(8):  # more handsets than fit beside each other, each with something new
        simulator.client.post("mo", body={"from": f"8496200000{number}", "to": "8083", "text": MARKUP, "wait_s": 5})
    page.until(
        lambda: len([tab for tab in page.texts("#handset-tabs button") if "8496200000" in tab]) == 8, "all there"
    )
    page.until(lambda: page.all("#pdu-rows tr"), "PDUs")
    page.driver.execute_script("document.querySelector('#pdu-rows tr').click()")
    page.until(lambda: page.one("#pdu-detail").is_displayed(), "a PDU opened")
    page.size(width, 900)
    script = "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
    assert page.driver.execute_script(script) == 0


def test_a_lost_simulator_is_told_and_found_again(tmp_path: Path, browser: Page) -> None:
    with running(tmp_path, CONFIGURATION) as first:
        browser.url = first.url
        browser.open()
        port = first.url.rpartition(":")[2]
        assert first.stop() == 0
        browser.until(
            lambda: (
                "mất kết nối" in browser.texts("#live-state")[0] or "no connection" in browser.texts("#live-state")[0]
            ),
            "told",
        )
    with running(tmp_path, CONFIGURATION, "--control-port", port) as second:
        assert second.url == first.url
        browser.until(lambda: "open" in browser.one("#live-state").get_attribute("class"), "live again")
    browser.driver.get("about:blank")
    browser.complaints()  # the lost connection is one, rightly
    browser.requested_hosts()


def test_the_languages_have_the_same_texts() -> None:
    strings = json.loads((PAGE / "strings.json").read_text(encoding="utf-8"))
    assert set(strings) == {"vi", "en"}
    assert set(strings["vi"]) == set(strings["en"])
    for name, text in strings["vi"].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", strings["en"][name])), name


def test_every_text_that_is_named_exists() -> None:
    strings = json.loads((PAGE / "strings.json").read_text(encoding="utf-8"))["vi"]
    sources = "".join(path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.suffix in (".js", ".html"))
    named = set(re.findall(r'data-i18n(?:-label|-placeholder)?="([a-z0-9_.]+)"', sources))
    named |= set(re.findall(r'\bt\("([a-z0-9_.-]+)"', sources))
    assert len(named) > 60
    assert named <= set(strings)


def test_every_fault_has_a_name_in_both_languages() -> None:
    from simulator.behaviours.faults import FaultKind

    strings = json.loads((PAGE / "strings.json").read_text(encoding="utf-8"))["vi"]
    assert {f"fault.{kind.value}" for kind in FaultKind} <= set(strings)


def test_no_file_of_the_page_asks_for_anything_elsewhere_or_makes_markup_of_texts() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|style=\"", text), path.name
