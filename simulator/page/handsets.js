// Handsets: what each sent and received, as a conversation; a query is typed and its reply appears.
import { get, post, segment } from "./api.js";
import { $, h, rove, text, toast, whenOf } from "./dom.js";
import { count, onLanguage, t } from "./i18n.js";

const FIRST = "84905123456";
const TABS = 30;
let chosen = FIRST;
let conversation = null;
let heard = null; // received messages of the chosen handset that were announced; null: not looked at yet
let again = false;
let loading = false;
let shown = "";
const numbers = new Set([FIRST]);
const unread = new Set();
let follows = true; // the view stays at the newest message

export async function startHandsets() {
  $("composer").addEventListener("submit", send);
  $("message-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      $("composer").requestSubmit();
    }
  });
  $("handset-new").addEventListener("click", openNew);
  $("handset-form").addEventListener("submit", addNew);
  $("handset-form").addEventListener("keydown", (event) => { if (event.key === "Escape") closeNew(); });
  const talk = $("talk");
  talk.addEventListener("scroll", () => { follows = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40; });
  new ResizeObserver(() => { if (follows) talk.scrollTop = talk.scrollHeight; }).observe(talk);
  rove($("handset-tabs"), "[role=tab]", (tab) => choose(tab.dataset.number));
  onLanguage(() => { shown = ""; $("handset-tabs").replaceChildren(); tabs(); draw(); });
  await refreshList();
}

// After a connection came back: anything may have happened.
export async function refreshList() {
  const { handsets } = await get("/handsets", { limit: TABS });
  for (const handset of handsets.reverse()) bring(handset.number);
  if (heard === null && conversation === null && handsets.length) chosen = handsets.at(-1).number;
  tabs();
  showChosen();
  await load();
}

export async function touched(changed) {
  for (const number of changed) {
    if (number !== chosen) unread.add(number);
    if (!numbers.has(number)) bring(number);
  }
  tabs();
  if (changed.includes(chosen)) await load();
}

export function openNew() {
  $("handset-form").hidden = false;
  $("handset-new").setAttribute("aria-expanded", "true");
  $("handset-number").focus();
}

function closeNew() {
  $("handset-form").hidden = true;
  $("handset-new").setAttribute("aria-expanded", "false");
  $("handset-new").focus();
}

async function addNew(event) {
  event.preventDefault();
  try {
    const found = await get(`/handsets/${segment($("handset-number").value.trim())}`);
    bring(found.number);
    closeNew();
    $("handset-number").value = "";
    await choose(found.number);
    $("message-text").focus();
  } catch (error) {
    toast(error.message);
  }
}

function bring(number) {
  numbers.delete(number);
  numbers.add(number);
  for (const oldest of numbers) {
    if (numbers.size <= TABS) break;
    if (oldest !== chosen) { numbers.delete(oldest); unread.delete(oldest); }
  }
}

async function choose(number) {
  if (number === chosen && conversation !== null) return;
  chosen = number;
  conversation = null;
  heard = null;
  shown = "";
  follows = true;
  unread.delete(number);
  tabs();
  showChosen();
  await load();
}

function tabs() {
  const list = $("handset-tabs");
  const wanted = [...numbers].reverse();
  const known = new Map([...list.children].map((tab) => [tab.dataset.number, tab]));
  const fresh = wanted.map((number) => known.get(number) ?? h("button", {
    type: "button", role: "tab", "aria-controls": "handset-panel", "data-number": number, onclick: () => choose(number),
  }, h("span", {}, number), h("span", { class: "badge", hidden: true }, h("span", { class: "visually-hidden" }, t("handsets.unread")))));
  let rebuilt = false;
  if (fresh.some((tab, at) => list.children[at] !== tab) || fresh.length !== list.children.length) {
    const focused = document.activeElement;
    list.replaceChildren(...fresh);
    if (fresh.includes(focused)) focused.focus();
    rebuilt = true;
  }
  for (const tab of fresh) {
    const number = tab.dataset.number;
    tab.setAttribute("aria-selected", String(number === chosen));
    tab.tabIndex = number === chosen ? 0 : -1;
    tab.lastChild.hidden = !unread.has(number);
  }
  if (rebuilt) showChosen();
}

function showChosen() {
  $("handset-tabs").querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
}

// One request at a time; what changes meanwhile is asked for once more.
async function load() {
  if (loading) { again = true; return; }
  loading = true;
  try {
    do {
      again = false;
      const number = chosen;
      const found = await get(`/handsets/${segment(number)}`);
      if (number === chosen) { conversation = found; draw(); } else again = true;
    } while (again);
  } catch (error) {
    toast(error.message);
  } finally {
    loading = false;
  }
}

function draw() {
  if (conversation === null) { text($("handset-facts"), chosen); return; }
  const balance = conversation.balance_vnd;
  text($("handset-facts"), t("handsets.facts", { number: conversation.number, account: conversation.account }) + (balance === null ? "" : ` · ${t("handsets.balance", { amount: count(balance) })}`));
  const messages = conversation.messages;
  announce(messages);
  const state = JSON.stringify(messages);
  if (state === shown) return;
  shown = state;
  const talk = $("talk");
  talk.replaceChildren(...(messages.length ? messages.map(bubble) : [h("li", { class: "empty" }, t("handsets.empty"))]));
  if (follows) talk.scrollTop = talk.scrollHeight;
}

function announce(messages) {
  const received = messages.filter((message) => message.kind === "received" && !message.missing.length);
  if (heard !== null && received.length > heard) {
    const newest = received.at(-1);
    $("announcer").textContent = t("handsets.heard", { sender: newest.sender, text: newest.text });
  }
  heard = received.length;
}

function bubble(message) {
  return message.kind === "sent" ? sentBubble(message) : receivedBubble(message);
}

function receivedBubble(message) {
  const notes = [];
  if (message.parts > 1) notes.push(h("span", { class: "tag" }, t("handsets.parts", { count: message.parts })));
  if (message.missing.length) notes.push(h("span", { class: "tag bad" }, t("handsets.missing", { parts: message.missing.join(", ") })));
  if (message.copy > 1) notes.push(h("span", { class: "tag bad" }, t("handsets.copy", { copy: message.copy })));
  return h("li", { class: message.copy > 1 ? "bubble received copy" : "bubble received", title: t("handsets.ids", { ids: message.message_ids.join(", "), account: message.account }) },
    h("div", { class: "who" }, message.sender), h("div", { class: "body" }, message.text), h("div", { class: "meta" }, whenOf(message.at), notes));
}

const MARKS = { delivered: "✓", kept: "…", refused: "✗", given_up: "✗", not_charged: "✗" };

function sentBubble(message) {
  const took = message.answered_after_s === null ? "" : ` ${t("handsets.took", { ms: count(Math.round(message.answered_after_s * 1000)) })}`;
  const state = `${MARKS[message.state]} ${t(`mo.${message.state}`)}${message.state === "refused" ? ` ${message.status_name}` : ""}${message.state === "delivered" ? took : ""}`;
  const notes = [h("span", { class: `tag ${message.state}` }, state)];
  if (message.parts > 1) notes.push(h("span", { class: "tag" }, t("handsets.parts", { count: message.parts })));
  if (message.copies > 1) notes.push(h("span", { class: "tag" }, t("handsets.sent_copies", { copies: message.copies })));
  return h("li", { class: "bubble sent" }, h("div", { class: "who" }, t("handsets.sent_to", { to: message.to })), h("div", { class: "body" }, message.text),
    h("div", { class: "meta" }, whenOf(message.at), notes));
}

function tlvs() {
  return $("message-tlvs").value.split(/[\s,;]+/).filter(Boolean).map((word) => {
    const [tag, value = ""] = word.split("=");
    const number = Number(tag);
    if (!Number.isInteger(number) || !/^([0-9a-f]{2})*$/i.test(value)) throw new Error(t("handsets.bad_tlv", { word }));
    return { tag: number, value };
  });
}

async function send(event) {
  event.preventDefault();
  const field = $("message-text");
  const written = field.value;
  if (!written.trim()) { field.focus(); return; }
  try {
    const body = { from: chosen, to: $("message-to").value.trim(), text: written, wait_s: 0, coding: $("message-coding").value, copies: Number($("message-copies").value) || 1, tlvs: tlvs() };
    if ($("message-form").value) body.form = $("message-form").value;
    field.value = "";
    follows = true;
    await post("/mo", body);
    await load();
  } catch (error) {
    field.value = written;
    toast(error.message);
  }
  field.focus();
}
