// What <spate-download> takes from the release page of another host: attributes and texts. Its own
// elements show them, so that the other host cannot bring markup into the page.

// wordsOf are the texts, by the selector of their element in download.html.
const wordsOf = {
  before: '[data-if="before"]', plain: "[data-plain]", choose: ".pick summary", save: '[data-act="save"]', folder: '[data-act="folder"]', play: '[data-act="play"]',
  pause: '[data-act="pause"]', again: '[data-act="start-again"]', remove: '[data-act="remove"]', delete: '[data-act="delete"]', keep: '[data-if="keep"] label',
};

// describe returns the data in a parsed page at src, or null if it is not that of a release.
export function describe(page, src) {
  const root = page.querySelector("[data-download]"), label = page.querySelector("[data-act=start] [data-label]");
  if (!root || !label) return null;
  const words = { label: label.textContent.trim() };
  for (const [name, selector] of Object.entries(wordsOf)) words[name] = textIn(root.querySelector(selector));
  words.bar = root.querySelector("[data-bar]")?.getAttribute("aria-label") ?? "";
  const messages = [...(root.querySelector("template[data-messages]")?.content.querySelectorAll("[data-m]") ?? [])].map((e) => [e.dataset.m, e.textContent]);
  const { torrent, v2, signed, data, files, websocket, stun } = root.dataset;
  return { attributes: { torrent, v2, signed, data, files, websocket, stun }, words, messages, plain: webURL(root.querySelector("[data-plain]")?.getAttribute("href"), src), single: !root.querySelector(".pick") };
}

// textIn returns the text at the start of an element or else all of it, without what follows it, such as a link.
function textIn(e) { return ((e?.firstChild?.nodeType === Node.TEXT_NODE && e.firstChild.textContent.trim()) || e?.textContent.trim()) ?? ""; }

// webURL returns an absolute http or https URL, or "".
export function webURL(link, base) {
  if (!link || !URL.canParse(link, base)) return "";
  const url = new URL(link, base);
  return url.protocol === "http:" || url.protocol === "https:" ? url.href : "";
}

// make returns an element with attributes and children, which are elements and texts.
function make(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== false) e.setAttribute(key, value === true ? "" : value);
  e.append(...children);
  return e;
}

// build returns the button that starts the download, and the panel, as in download.html.
export function build(d) {
  const w = d.words;
  const button = (act, text, more) => make("button", { class: "button", type: "button", "data-act": act, ...more }, text);
  const before = make("p", { class: "small", "data-if": "before" }, `${w.before} `);
  if (d.plain) before.append(make("a", { href: d.plain, "data-plain": true }, w.plain));
  const root = make("div", { class: "inpage", "data-download": true, hidden: true }, before);
  if (!d.single) root.append(make("details", { class: "pick", "data-if": "before" }, make("summary", {}, w.choose), make("ul", { "data-choose-files": true })));
  const messages = make("template", { "data-messages": true });
  messages.content.append(...d.messages.map(([name, text]) => make("p", { "data-m": name }, text)));
  root.append(make("div", { class: "panel", "data-if": "active", hidden: true },
    make("p", { class: "tell", tabindex: "-1", "data-say": true }),
    make("p", { class: "vh", role: "status", "data-said": true }),
    make("p", { class: "tell", role: "alert", "data-trouble": true, hidden: true }),
    make("div", { role: "progressbar", "aria-label": w.bar, "aria-valuemin": "0", "aria-valuemax": "100", "data-bar": true }, make("canvas", { width: "200", height: "1", "data-map": true })),
    make("p", { class: "small", "data-detail": true }),
    make("p", { class: "small", "data-proof": true, hidden: true }),
    make("ul", { class: "saves", "data-saves": true, hidden: true }),
    make("div", { class: "player", "data-player": true, hidden: true }),
    make("p", { class: "acts-in" },
      button("save", w.save, { "data-main": true, hidden: true }), button("folder", w.folder, { hidden: true }), button("play", w.play, { hidden: true }), button("pause", w.pause, { hidden: true }),
      button("start-again", w.again, { hidden: true }), button("remove", w.remove), button("delete", w.delete, { hidden: true })),
    make("p", { class: "small", "data-if": "keep", hidden: true }, make("label", {}, make("input", { type: "checkbox", "data-keep": true }), ` ${w.keep}`))), messages);
  return { start: button("start", make("span", { "data-label": true }, w.label), { "data-main": true, hidden: true }), root };
}
