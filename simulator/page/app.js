// Puts the page together and feeds it from /events.
import { showAccounts, startAccounts } from "./accounts.js";
import { addSample, setAccounts, setHistory, startCharts } from "./charts.js";
import { refreshCharging, startCharging } from "./charging.js";
import { $, text, toast } from "./dom.js";
import { refreshList, startHandsets, touched } from "./handsets.js";
import { currentLanguage, loadStrings, onLanguage, setLanguage, t } from "./i18n.js";
import { startKeyboard } from "./keyboard.js";
import { addPdus, startPdus } from "./pdus.js";

let connection = "waiting";
let newest = null;

function showState() {
  text($("live-state"), t(`live.${connection}`));
  $("live-state").className = `live ${connection}`;
  for (const language of ["vi", "en"]) $(`language-${language}`).setAttribute("aria-pressed", String(currentLanguage() === language));
  if (newest === null) return;
  text($("uptime"), t("top.uptime", { time: lasted(newest.uptime_s) }));
  text($("seed"), t("top.seed", { seed: newest.seed }));
}

function lasted(seconds) {
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

function show(status) {
  newest = status;
  setAccounts(status.accounts.map((account) => account.account));
  showAccounts(status);
  showState();
}

function listen() {
  const events = new EventSource("/events");
  const on = (name, handle) => events.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  let fresh = true; // the next PDUs begin the list anew
  on("hello", ({ history, status }) => {
    connection = "open";
    fresh = true;
    setHistory(history);
    show(status);
    refreshList().catch((error) => toast(error.message));
    refreshCharging();
  });
  on("state", ({ status, sample }) => { show(status); addSample(sample); });
  on("pdus", (pdus) => { addPdus(pdus, fresh); fresh = false; });
  on("handsets", ({ numbers }) => touched(numbers).catch((error) => toast(error.message)));
  on("charging", refreshCharging);
  events.addEventListener("error", () => { connection = "lost"; showState(); });
}

async function start() {
  await loadStrings();
  for (const language of ["vi", "en"]) $(`language-${language}`).addEventListener("click", () => setLanguage(language));
  onLanguage(showState);
  startKeyboard();
  startCharts();
  startPdus();
  startCharging();
  await startAccounts();
  await startHandsets();
  showState();
  listen();
  $("message-text").focus();
}

start().catch((error) => toast(error.message));
