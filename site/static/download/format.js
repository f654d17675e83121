// Numbers for people, in the language of the page.

const language = document.documentElement.lang || "en";
const units = ["B", "kB", "MB", "GB", "TB", "PB"];

// bytes returns a size such as "1.5 MB".
export function bytes(n) {
  let unit = 0;
  for (; n >= 999.5 && unit < units.length - 1; unit++) n /= 1000;
  return `${number(n, unit > 0 && n < 9.95 ? 1 : 0)}\u00a0${units[unit]}`;
}

// number returns a number with digits after the point.
export const number = (n, digits = 0) => n.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

// Messages are the texts of the page, which the server translates.
export class Messages {
  // root contains a template with elements that have data-m.
  constructor(root) {
    this.texts = new Map();
    for (const e of root.querySelector("template[data-messages]").content.querySelectorAll("[data-m]")) this.texts.set(e.dataset.m, e.textContent);
  }

  has(name) { return this.texts.has(name); }

  // get returns a text with values in the places of {name}.
  get(name, values = {}) { return (this.texts.get(name) ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? ""); }

  // time returns how long seconds are, such as "5 minutes left".
  time(seconds) {
    const s = Math.max(1, Math.round(seconds));
    if (s === 1) return this.get("second", { n: 1 });
    if (s < 90) return this.get("seconds", { n: s });
    if (s < 90 * 60) return this.get("minutes", { n: Math.round(s / 60) });
    return this.get("hours", { n: Math.round(s / 3600) });
  }
}
