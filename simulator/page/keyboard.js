// Single keys, where nothing is being typed. The help lists them.
import { openNew } from "./handsets.js";
import { $, h } from "./dom.js";
import { currentLanguage, onLanguage, setLanguage, t } from "./i18n.js";
import { togglePause } from "./pdus.js";

const go = (id) => () => { const section = $(id); if (!section.hidden) { section.scrollIntoView({ block: "start" }); (section.querySelector("button, input, select, summary, [tabindex='0']") ?? section).focus({ preventScroll: true }); } };
const KEYS = [
  ["m", "help.message", () => $("message-text").focus()],
  ["n", "help.new", openNew],
  ["/", "help.filter", () => { $("pdus").scrollIntoView({ block: "nearest" }); $("pdu-filter").focus(); }],
  ["p", "help.pause", togglePause],
  ["1", "help.handsets", go("handsets")],
  ["2", "help.charts", go("charts")],
  ["3", "help.accounts", go("accounts")],
  ["4", "help.pdus", () => { $("pdus").scrollIntoView({ block: "start" }); ($("pdu-rows").querySelector("[tabindex='0']") ?? $("pdu-filter")).focus({ preventScroll: true }); }],
  ["5", "help.charging", go("charging")],
  ["l", "help.language", () => setLanguage(currentLanguage() === "vi" ? "en" : "vi")],
  ["?", "help.help", () => $("help").showModal()],
];
const MORE = [["Enter", "help.enter"], ["↑ ↓ ← →", "help.arrows"], ["Esc", "help.escape"]];

export function startKeyboard() {
  $("help-open").addEventListener("click", () => $("help").showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === "Escape" && event.target.matches("textarea")) event.target.blur();
    if ($("help").open || event.target.closest("input, textarea, select, [contenteditable]")) return;
    const found = KEYS.find(([key]) => key === event.key);
    if (found) { event.preventDefault(); found[2](); }
  });
  onLanguage(list);
  list();
}

function list() {
  $("help-keys").replaceChildren(...[...KEYS, ...MORE].flatMap(([key, name]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, t(name))]));
}
