// The list of PDUs: live, filtered, paused; one of them in full.
import { get } from "./api.js";
import { $, h, millisOf, rove, text, toast } from "./dom.js";
import { count, onLanguage, t } from "./i18n.js";

const KEPT = 2000; // in memory
const SHOWN = 300; // rows
const LINK_COMMANDS = new Set(["enquire_link", "enquire_link_resp"]);
let kept = [];
let paused = false;
let arrived = 0; // while paused
let skipped = 0;
let open = null;

export function startPdus() {
  $("pdu-pause").addEventListener("click", togglePause);
  $("pdu-clear").addEventListener("click", () => { kept = []; skipped = 0; arrived = 0; draw(); });
  $("pdu-filter").addEventListener("input", draw);
  $("pdu-filter").addEventListener("keydown", (event) => { if (event.key === "Escape") { event.target.value = ""; event.target.blur(); draw(); } });
  $("pdu-links").addEventListener("change", draw);
  $("pdu-rows").addEventListener("click", (event) => { const row = event.target.closest("tr"); if (row) show(row); });
  $("pdu-rows").addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(event.target.closest("tr")); } });
  $("pdu-detail").addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  rove($("pdu-rows"), "tr", (row) => { if (open !== null) show(row); });
  onLanguage(() => { draw(); if (open !== null) close(); });
}

export function addPdus({ pdus, skipped: missed }, fresh = false) {
  if (fresh) { kept = []; skipped = 0; } else skipped += missed;
  kept.push(...pdus);
  if (kept.length > KEPT) kept = kept.slice(-KEPT);
  if (paused && !fresh) { arrived += pdus.length; notes(); return; }
  append(pdus, fresh);
}

export function togglePause() {
  paused = !paused;
  arrived = 0;
  $("pdu-pause").setAttribute("aria-pressed", String(paused));
  draw();
}

const wanted = (pdu) => {
  if ($("pdu-links").checked && LINK_COMMANDS.has(pdu.command)) return false;
  const words = $("pdu-filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const haystack = [pdu.command, pdu.status_name, pdu.source, pdu.destination, pdu.text, pdu.system_id, pdu.account, pdu.message_id, pdu.sequence_number, pdu.fault, pdu.peer].join("\n").toLowerCase();
  return words.every((word) => haystack.includes(word));
};

function draw() {
  const rows = kept.filter(wanted).slice(-SHOWN).map(rowOf);
  $("pdu-rows").replaceChildren(...rows);
  keepOneInTabOrder();
  $("pdu-scroll").scrollTop = $("pdu-scroll").scrollHeight;
  notes();
}

// New rows at the bottom; the view follows only if it was there.
function append(pdus, fresh) {
  if (fresh) { draw(); return; }
  const scroll = $("pdu-scroll");
  const follows = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 30;
  const rows = pdus.filter(wanted).map(rowOf);
  const body = $("pdu-rows");
  body.append(...rows);
  while (body.children.length > SHOWN) {
    if (body.firstChild === document.activeElement) break;
    body.firstChild.remove();
  }
  keepOneInTabOrder();
  if (follows) scroll.scrollTop = scroll.scrollHeight;
  notes();
}

function keepOneInTabOrder() {
  const body = $("pdu-rows");
  if (body.children.length && !body.querySelector("[tabindex='0']")) body.lastChild.tabIndex = 0;
}

function notes() {
  const parts = [];
  if (paused) parts.push(t("pdus.paused", { count: count(arrived) }));
  if (skipped) parts.push(t("pdus.skipped", { count: count(skipped) }));
  text($("pdu-note"), parts.join(" · "));
  text($("pdu-pause"), t(paused ? "pdus.resume" : "pdus.pause"));
  $("pdu-empty").hidden = $("pdu-rows").children.length > 0;
  text($("pdu-empty"), t(kept.length ? "pdus.nothing_matches" : "pdus.empty"));
}

function rowOf(pdu) {
  const bad = pdu.fault !== null || pdu.status > 0;
  const way = pdu.direction === "in" ? "→" : "←";
  const from = pdu.source ? `${pdu.source} → ${pdu.destination}` : "";
  const part = pdu.part ? ` (${pdu.part[2]}/${pdu.part[1]})` : "";
  const shown = pdu.fault ?? (pdu.text || (pdu.message_id ? `id ${pdu.message_id}` : ""));
  return h("tr", { tabindex: -1, "data-n": pdu.n, class: [bad ? "bad" : "", pdu.direction, pdu.n === open ? "open" : ""].join(" ").trim() },
    h("td", { class: "mono" }, millisOf(pdu.at)), h("td", { class: "way", "aria-label": t(`pdus.${pdu.direction}`), title: t(`pdus.${pdu.direction}`) }, way),
    h("td", { class: "wide" }, pdu.system_id || pdu.peer), h("td", { class: "command" }, pdu.command ?? t("pdus.garbage"), pdu.receipt ? h("span", { class: "tag" }, t("pdus.receipt")) : null),
    h("td", { class: "wide num mono" }, pdu.sequence_number ?? ""), h("td", { class: "status" }, pdu.status ? pdu.status_name.replace("ESME_", "") : pdu.command?.endsWith("_resp") ? "OK" : ""),
    h("td", { class: "mono addresses" }, from), h("td", { class: "text" }, shown + part));
}

async function show(row) {
  const n = Number(row.dataset.n);
  for (const other of $("pdu-rows").children) other.tabIndex = other === row ? 0 : -1;
  try {
    const pdu = await get(`/pdus/${n}`);
    open = n;
    for (const other of $("pdu-rows").children) other.classList.toggle("open", other === row);
    $("pdu-detail").replaceChildren(...detail(pdu));
    $("pdu-detail").hidden = false;
    $("pdu-split").classList.add("with-detail");
    row.scrollIntoView({ block: "nearest" });
  } catch (error) {
    toast(error.message);
  }
}

function close() {
  const row = $("pdu-rows").querySelector(`[data-n='${open}']`);
  open = null;
  $("pdu-detail").hidden = true;
  $("pdu-split").classList.remove("with-detail");
  if (row) { row.classList.remove("open"); row.focus(); }
}

function detail(pdu) {
  const table = (rows) => h("table", {}, h("tbody", {}, rows));
  const parts = [
    h("div", { class: "head" }, h("h3", {}, pdu.command ?? t("pdus.garbage")), h("button", { type: "button", class: "icon", "aria-label": t("pdus.close"), onclick: close }, "×")),
    h("p", { class: "note" }, `${millisOf(pdu.at)} · ${t(`pdus.${pdu.direction}`)} · ${pdu.system_id || "—"} · ${pdu.peer} · ${t("pdus.octets", { count: pdu.octets })}`),
  ];
  if (pdu.fault) parts.push(h("p", { class: "fault-text" }, pdu.fault));
  if (pdu.text) parts.push(h("blockquote", {}, pdu.text));
  if (pdu.fields.length) parts.push(h("h4", {}, t("pdus.fields")), table(pdu.fields.map((field) => detailRow(field.name, String(field.value), field.meaning))));
  if (pdu.tlvs.length) parts.push(h("h4", {}, "TLV"), table(pdu.tlvs.map((tlv) => detailRow(tlv.name, tlv.value || tlv.hex, `0x${tlv.tag.toString(16).padStart(4, "0")}${tlv.value ? ` = ${tlv.hex}` : ""}`))));
  parts.push(h("h4", {}, t("pdus.hex")), h("pre", { class: "hex", tabindex: 0, "aria-label": t("pdus.hex") }, hexDump(pdu.hex)));
  return parts;
}

// What is long has both columns.
function detailRow(name, value, meaning) {
  if (value.length + meaning.length > 60) return h("tr", {}, h("th", { scope: "row" }, name), h("td", { colspan: 2, class: "mono" }, value, meaning ? h("div", { class: "meaning" }, meaning) : null));
  return h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "mono" }, value), h("td", { class: "meaning" }, meaning));
}

// Sixteen octets a line, with their offsets and what is printable of them.
export function hexDump(hex) {
  const lines = [];
  for (let at = 0; at < hex.length; at += 32) {
    const octets = hex.slice(at, at + 32).match(/../g);
    const shown = octets.map((octet) => { const code = parseInt(octet, 16); return code >= 32 && code < 127 ? String.fromCharCode(code) : "."; }).join("");
    lines.push(`${(at / 2).toString(16).padStart(4, "0")}  ${octets.slice(0, 8).join(" ").padEnd(23)}  ${octets.slice(8).join(" ").padEnd(23)}  ${shown}`);
  }
  return lines.join("\n");
}
