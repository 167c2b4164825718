// Four small charts of the last two minutes, drawn as SVG.
import { $, h, s, text } from "./dom.js";
import { count, onLanguage, t } from "./i18n.js";

const SHOWN_S = 120;
const WIDTH = 240;
const HEIGHT = 56;
let series = [];
let samples = [];
const tiles = new Map();

export function startCharts() {
  $("charts-account").addEventListener("change", draw);
  onLanguage(() => { build(); draw(); });
}

export function setHistory(history) {
  series = history.series;
  samples = history.samples;
  build();
  draw();
}

export function addSample(sample) {
  if (sample === null || sample.at === samples.at(-1)?.at) return;
  samples.push(sample);
  if (samples.length > 300) samples.shift();
  draw();
}

export function setAccounts(names) {
  const select = $("charts-account");
  const wanted = ["", ...names];
  if ([...select.options].map((option) => option.value).join("\n") === wanted.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...wanted.map((name) => h("option", { value: name }, name || t("charts.all"))));
  select.value = chosen;
}

function build() {
  if ($("charts-account").options.length) $("charts-account").options[0].textContent = t("charts.all");
  tiles.clear();
  $("tiles").replaceChildren(...series.map((name, index) => tile(name, index)));
}

function tile(name, index) {
  const now = h("strong");
  const most = h("span", { class: "most" });
  const area = s("path", { class: "area" });
  const line = s("path", { class: "line" });
  const picture = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  tiles.set(name, { index, now, most, area, line });
  return h("div", { class: `tile ${name}` }, h("div", { class: "label" }, t(`charts.${name}`)), h("div", { class: "value" }, now, most), picture);
}

function draw() {
  const account = $("charts-account").value;
  const shown = samples.slice(-SHOWN_S);
  for (const { index, now, most, area, line } of tiles.values()) {
    const values = shown.map((sample) => (account ? [sample.rates[account]] : Object.values(sample.rates)).reduce((sum, rates) => sum + (rates?.[index] ?? 0), 0));
    const top = Math.max(1, ...values);
    text(now, count(values.at(-1) ?? 0));
    text(most, t("charts.most", { value: count(Math.max(0, ...values)) }));
    const left = SHOWN_S - values.length;
    const points = values.map((value, at) => `${(((left + at) / (SHOWN_S - 1)) * WIDTH).toFixed(1)},${(HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1)}`);
    line.setAttribute("d", points.length ? `M${points.join("L")}` : "");
    area.setAttribute("d", points.length ? `M${((left / (SHOWN_S - 1)) * WIDTH).toFixed(1)},${HEIGHT}L${points.join("L")}L${WIDTH},${HEIGHT}Z` : "");
  }
}
