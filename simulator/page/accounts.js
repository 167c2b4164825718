// Accounts: binds with window and rates, counters, and the switches of their faults.
import { get, post, remove, segment } from "./api.js";
import { $, h, text, timeOf, toast } from "./dom.js";
import { count, has, onLanguage, t } from "./i18n.js";

const GROUPS = [
  ["answers", ["throttle", "queue-full", "status", "drop-answers", "drop-requests", "delay-answers", "hold-answers", "nack", "wrong-answers", "double-answers"]],
  ["receipts", ["lose-receipts", "hold-receipts", "receipts-after-bind"]],
  ["links", ["refuse-binds", "silence", "slow-reader"]],
];
const COUNTERS = ["submits", "accepted", "refused", "receipts_answered", "receipts_lost", "mo_sent", "waiting", "under_way"];
let kinds = [];
let newest = null;
let before = new Map(); // bind: its PDUs and when, for the rates
const cards = new Map();

export async function startAccounts() {
  kinds = (await get("/faults")).faults;
  onLanguage(() => { cards.clear(); $("account-cards").replaceChildren(); if (newest) showAccounts(newest); });
}

export function showAccounts(status) {
  newest = status;
  for (const account of status.accounts) {
    let card = cards.get(account.account);
    if (card === undefined) {
      card = build(account, cards.size === 0);
      cards.set(account.account, card);
      $("account-cards").append(card.root);
    }
    update(card, account, status.uptime_s);
  }
}

function build(account, open) {
  const binds = h("tbody");
  const counters = Object.fromEntries(COUNTERS.map((name) => [name, h("dd")]));
  const active = h("span", { class: "active", role: "status" });
  const options = faultOptions(account.account);
  const switches = new Map();
  const faults = h("details", { class: "faults", open }, h("summary", {}, t("faults.title"), active), options.root,
    groups().map(([group, members]) => h("fieldset", {}, h("legend", {}, t(`faults.${group}`)), members.map((kind) => {
      const button = faultButton(account.account, kind, options);
      switches.set(kind.fault, button);
      return button;
    }))));
  const head = h("thead", {}, h("tr", {}, ["system_id", t("binds.mode"), t("binds.version"), t("binds.peer"), t("binds.since"), t("binds.state"), t("binds.submits"), t("binds.delivers"), t("binds.rates")].map((name) => h("th", { scope: "col" }, name))));
  const root = h("article", { class: "account", "data-account": account.account },
    h("header", {}, h("h3", {}, account.account), h("span", { class: "contract" }, contract(account))),
    h("dl", { class: "counters" }, COUNTERS.map((name) => h("div", { class: name }, h("dt", {}, t(`counters.${name}`)), counters[name]))),
    h("div", { class: "scroll-x" }, h("table", { class: "binds" }, head, binds)),
    faults);
  return { root, head, binds, counters, active, switches, faults };
}

const contract = (account) => [t("accounts.port", { port: account.port }), account.system_id === "*" ? t("accounts.any") : `system_id ${account.system_id}`, account.limits.tps === null ? null : t("accounts.tps", { tps: account.limits.tps }), t("accounts.max_binds", { count: account.limits.max_binds })].filter(Boolean).join(" · ");

function groups() {
  const placed = new Set(GROUPS.flatMap(([, names]) => names));
  const lasting = kinds.filter((kind) => !kind.at_once);
  return [
    ...GROUPS.map(([group, names]) => [group, lasting.filter((kind) => names.includes(kind.fault))]),
    ["others", lasting.filter((kind) => !placed.has(kind.fault))],
    ["at_once", kinds.filter((kind) => kind.at_once)],
  ].filter(([, members]) => members.length);
}

const kindName = (fault) => (has(`fault.${fault}`) ? t(`fault.${fault}`) : fault);

function faultOptions() {
  const lasts = h("select", {}, ["until", "5s", "30s", "300s", "1x", "10x"].map((value) => h("option", { value }, t(`lasts.${value}`))));
  const status = h("input", { value: "ESME_RSYSERR", autocomplete: "off", spellcheck: "false", size: 18 });
  const by = h("input", { type: "number", min: 0.1, max: 3600, step: 0.1, value: 1 });
  const root = h("div", { class: "row wrap options" },
    h("label", {}, h("span", {}, t("faults.lasts")), lasts), h("label", {}, h("span", {}, t("faults.status")), status), h("label", { class: "small" }, h("span", {}, t("faults.by")), by));
  const body = (kind) => {
    const values = { fault: kind.fault };
    const [, amount, unit] = /^(\d+)([sx])$/.exec(lasts.value) ?? [];
    if (unit === "s" && kind.takes.includes("seconds")) values.seconds = Number(amount);
    if (unit === "x" && kind.takes.includes("count")) values.count = Number(amount);
    if (unit === "x" && !kind.takes.includes("count") && !kind.at_once) throw new Error(t("faults.no_count", { fault: kindName(kind.fault) }));
    if (kind.takes.includes("status")) values.status = status.value.trim();
    if (kind.takes.includes("by_s")) values.by_s = Number(by.value);
    return values;
  };
  return { root, body };
}

function faultButton(account, kind, options) {
  const left = h("span", { class: "left" });
  const button = h("button", {
    type: "button", class: kind.at_once ? "fault once" : "fault", "data-fault": kind.fault, "aria-pressed": kind.at_once ? null : "false", title: kind.fault,
    onclick: async () => {
      try {
        if (button.getAttribute("aria-pressed") === "true") await remove(`/fault/${segment(account)}/${segment(kind.fault)}`);
        else await post(`/fault/${segment(account)}`, options.body(kind));
        showAccounts(await get("/status"));
      } catch (error) {
        toast(error.message);
      }
    },
  }, h("span", {}, kindName(kind.fault)), left);
  return button;
}

function update(card, account, now) {
  const refused = Object.values(account.counters.refused).reduce((sum, value) => sum + value, 0);
  for (const name of COUNTERS) {
    const value = name === "refused" ? refused : name in account ? account[name] : account.counters[name];
    text(card.counters[name], count(value));
    card.counters[name].parentElement.classList.toggle("alarm", value > 0 && (name === "refused" || name === "receipts_lost"));
  }
  card.counters.refused.title = Object.entries(account.counters.refused).map(([name, value]) => `${name} ${count(value)}`).join("\n");
  card.binds.replaceChildren(...(account.binds.length ? account.binds.map((bind) => bindRow(bind, account, now)) : [h("tr", {}, h("td", { colspan: 9, class: "empty" }, t("binds.none", { port: account.port })))]));
  card.head.hidden = account.binds.length === 0;
  card.binds.parentElement.classList.toggle("none", account.binds.length === 0);
  const on = new Map(account.faults.map((fault) => [fault.fault, fault]));
  for (const [name, button] of card.switches) {
    const fault = on.get(name);
    if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", String(fault !== undefined));
    text(button.lastChild, fault === undefined ? "" : leftOf(fault));
  }
  text(card.active, on.size ? t("faults.active", { faults: [...on.keys()].map(kindName).join(", ") }) : t("faults.none"));
  card.active.classList.toggle("on", on.size > 0);
}

const leftOf = (fault) => [fault.seconds_left === null ? null : `${Math.ceil(fault.seconds_left)} s`, fault.count_left === null ? null : `${fault.count_left}×`, fault.status ?? null].filter(Boolean).join(" ");

function bindRow(bind, account, now) {
  const key = `${bind.peer}/${bind.since}`;
  const last = before.get(key);
  let rates = last?.rates ?? [0, 0];
  if (last === undefined || now - last.at >= 0.5) {
    if (last) rates = [(bind.pdus_received - last.received) / (now - last.at), (bind.pdus_sent - last.sent) / (now - last.at)];
    if (before.size > 1000) before = new Map();
    before.set(key, { at: now, received: bind.pdus_received, sent: bind.pdus_sent, rates });
  }
  return h("tr", {},
    h("th", { scope: "row" }, bind.system_id || "—"), h("td", {}, t(`mode.${bind.mode}`)), h("td", {}, { "0x33": "3.3", "0x34": "3.4", "0x50": "5.0" }[bind.version] ?? bind.version),
    h("td", { class: "mono" }, bind.peer), h("td", { class: "mono" }, timeOf(bind.since)), h("td", {}, h("span", { class: `state ${bind.state}` }, t(`state.${bind.state}`))),
    h("td", {}, windowBar(bind.submits_open, account.limits.window)), h("td", {}, bind.delivers_window ? windowBar(bind.delivers_open, bind.delivers_window) : "—"),
    h("td", { class: "mono" }, `${count(rates[0])} / ${count(rates[1])}`));
}

function windowBar(open, size) {
  const bar = h("span", { class: "fill" });
  bar.style.width = `${Math.min(100, (100 * open) / Math.max(1, size))}%`;
  return h("span", { class: open >= size ? "window full" : "window" }, h("span", { class: "bar", "aria-hidden": "true" }, bar), h("span", { class: "mono" }, `${open}/${size}`));
}
