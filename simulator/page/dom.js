// Elements without HTML texts: messages come from anywhere, so nothing here parses markup.

export const $ = (id) => document.getElementById(id);

// h("td", {class: "num", title: "x"}, "text", child): null children and attributes are left out.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Writes only what changed: a screen reader and a selection are not disturbed once a second.
export function text(element, value) {
  const wanted = String(value);
  if (element.textContent !== wanted) element.textContent = wanted;
}

const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Ho_Chi_Minh", hour12: false, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Ho_Chi_Minh" });

export const timeOf = (seconds) => clock.format(new Date(seconds * 1000));
export const millisOf = (seconds) => `${timeOf(seconds)}.${String(Math.floor((seconds % 1) * 1000)).padStart(3, "0")}`;
export const whenOf = (seconds) => (day.format(new Date(seconds * 1000)) === day.format(new Date()) ? timeOf(seconds) : `${day.format(new Date(seconds * 1000))} ${timeOf(seconds)}`);

let toastTimer = 0;

export function toast(message) {
  const element = $("toast");
  element.textContent = message;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { element.hidden = true; }, 8000);
}

// Arrow keys among the children of one element, of which only one is in the tab order.
export function rove(container, selector, onMove = () => {}) {
  container.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key];
    const items = [...container.querySelectorAll(selector)];
    const at = items.indexOf(event.target.closest(selector));
    if (at < 0 || (step === undefined && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    const to = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : Math.min(items.length - 1, Math.max(0, at + step));
    items[at].tabIndex = -1;
    items[to].tabIndex = 0;
    items[to].focus();
    onMove(items[to]);
  });
}
