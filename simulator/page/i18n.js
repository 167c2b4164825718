// Two languages. The texts are in strings.json; elements name theirs in data-i18n, data-i18n-label, data-i18n-placeholder.

let strings = {};
let language = "vi";
const listeners = [];

export async function loadStrings() {
  strings = await (await fetch("/page/strings.json", { cache: "no-cache" })).json();
  const kept = localStorage.getItem("language");
  setLanguage(kept in strings ? kept : "vi");
}

export function setLanguage(wanted) {
  language = wanted;
  document.documentElement.lang = wanted;
  localStorage.setItem("language", wanted);
  translate(document);
  for (const listener of listeners) listener();
}

export const currentLanguage = () => language;
export const onLanguage = (listener) => listeners.push(listener);

// t("handsets.parts", {count: 3}); a text that is missing shows as its name. Plurals: "one|many" by count.
export function t(name, values = {}) {
  let found = strings[language]?.[name] ?? name;
  if (found.includes("|")) found = found.split("|")[values.count === 1 ? 0 : 1];
  return found.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

export const has = (name) => strings[language]?.[name] !== undefined;
export const count = (value) => new Intl.NumberFormat(language === "vi" ? "vi-VN" : "en-GB", { maximumFractionDigits: 1 }).format(value);

export function translate(root) {
  for (const element of root.querySelectorAll("[data-i18n]")) element.textContent = t(element.dataset.i18n);
  for (const element of root.querySelectorAll("[data-i18n-label]")) element.setAttribute("aria-label", t(element.dataset.i18nLabel));
  for (const element of root.querySelectorAll("[data-i18n-placeholder]")) element.placeholder = t(element.dataset.i18nPlaceholder);
}
