// The operators' books: what was decided and charged, and the handsets' balances.
import { get, post, segment } from "./api.js";
import { $, h, text, toast, whenOf } from "./dom.js";
import { count, has, onLanguage, t } from "./i18n.js";

const ENTRIES = 50;
const BALANCES = 50;
let books = {};
const forms = new Map();

export function startCharging() {
  onLanguage(() => { forms.clear(); $("books").replaceChildren(); draw(); });
}

export async function refreshCharging() {
  try {
    books = (await get("/charging", { limit: ENTRIES })).accounts;
    draw();
  } catch (error) {
    toast(error.message);
  }
}

function draw() {
  const names = Object.keys(books);
  $("charging").hidden = $("charging-link").hidden = names.length === 0;
  for (const name of names) {
    let book = forms.get(name);
    if (book === undefined) {
      book = build(name);
      forms.set(name, book);
      $("books").append(book.root);
    }
    update(book, books[name]);
  }
}

function build(name) {
  const entries = h("tbody");
  const balances = h("tbody");
  const phone = h("input", { inputmode: "tel", autocomplete: "off", placeholder: "0905123456", required: true, maxlength: 24 });
  const amount = h("input", { type: "number", step: 1, required: true, value: 0 });
  const form = h("form", { class: "row", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await post(`/charging/${segment(name)}/balance`, { phone: phone.value.trim(), balance_vnd: Number(amount.value) });
      await refreshCharging();
    } catch (error) {
      toast(error.message);
    }
  } }, h("label", {}, h("span", {}, t("charging.phone")), phone), h("label", { class: "small" }, h("span", {}, t("charging.balance")), amount), h("button", { type: "submit" }, t("charging.set")));
  const heads = (names) => h("thead", {}, h("tr", {}, names.map(([label, kind]) => h("th", { scope: "col", class: kind }, t(label)))));
  const outcomes = h("p", { class: "outcomes" });
  const root = h("article", { class: "book" }, h("h3", {}, name), outcomes, h("div", { class: "columns" },
    h("div", { class: "scroll-x" }, h("table", {}, heads([["charging.time"], ["charging.phone"], ["charging.mo"], ["charging.decision"], ["charging.outcome"], ["charging.amount", "num"], ["charging.balance", "num"]]), entries)),
    h("div", {}, h("table", {}, heads([["charging.phone"], ["charging.balance", "num"]]), balances), form)));
  return { root, entries, balances, outcomes };
}

const named = (group, word) => (has(`${group}.${word}`) ? t(`${group}.${word}`) : word);

function update(book, { entries, balances }) {
  const newest = [...entries].reverse();
  book.entries.replaceChildren(...(newest.length ? newest.map((entry) => h("tr", {},
    h("td", { class: "mono" }, whenOf(entry.at)), h("td", { class: "mono" }, entry.phone), h("td", { class: "mono" }, entry.mo_id || "—"),
    h("td", {}, entry.decision ? named("decision", entry.decision) : t("charging.at_mo")), h("td", {}, h("span", { class: `tag outcome ${entry.outcome}` }, named("outcome", entry.outcome))),
    h("td", { class: "num mono" }, `${entry.amount_vnd > 0 ? "+" : ""}${count(entry.amount_vnd)}`), h("td", { class: "num mono" }, count(entry.balance_vnd))))
    : [h("tr", {}, h("td", { colspan: 7, class: "empty" }, t("charging.none")))]));
  const known = Object.entries(balances).slice(-BALANCES);
  book.balances.replaceChildren(...(known.length ? known.map(([phone, amount]) => h("tr", {}, h("td", { class: "mono" }, phone), h("td", { class: "num mono" }, count(amount))))
    : [h("tr", {}, h("td", { colspan: 2, class: "empty" }, t("charging.defaults")))]));
  const counted = new Map();
  for (const entry of entries) counted.set(entry.outcome, (counted.get(entry.outcome) ?? 0) + 1);
  text(book.outcomes, [...counted].map(([outcome, times]) => `${named("outcome", outcome)}: ${count(times)}`).join(" · "));
}
