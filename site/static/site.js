// Live numbers and copy buttons. The pages work without this script. Its texts are in data attributes of the
// page, in the language of the page.
"use strict";

const { lang, dataset: texts } = document.documentElement;
const count = (n) => n.toLocaleString(lang, { useGrouping: "always" });

for (const box of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(box.dataset.live);
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    const show = {
      seeds: now.known ? count(now.seeders) : "–",
      leechers: now.known ? count(now.leechers) : "–",
      completed: count(now.completed),
      copies: now.copies.toLocaleString(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 }),
      rate: now.rate_text,
      saved: now.saved_text,
      delivered: now.delivered_text,
      first_copy: now.first_text,
      problem: now.problem_text,
    };
    for (const item of box.querySelectorAll("[data-is]")) {
      const text = show[item.dataset.is];
      if (item.textContent !== text) item.textContent = text;
    }
    for (const part of box.querySelectorAll("[data-if]")) {
      if (!part.closest("[data-download]")) part.hidden = !now[part.dataset.if]; // the download has its own parts
    }
    box.classList.add("live");
  };
  source.onerror = () => box.classList.remove("live");
  addEventListener("pagehide", () => source.close());
}

// copy copies the text of a line to the clipboard. Over plain HTTP browsers can only copy
// the selection.
async function copy(line) {
  try {
    await navigator.clipboard.writeText(line.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(line);
    return document.execCommand("copy");
  }
}

for (const line of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  const label = () => {
    button.textContent = texts.copyText;
    button.setAttribute("aria-label", texts.copyLineText.replace("%s", line.dataset.copy));
  };
  label();
  button.onclick = async () => {
    button.textContent = await copy(line) ? texts.copiedText : texts.selectedText;
    button.removeAttribute("aria-label"); // screen readers say the text that is seen
    setTimeout(label, 2000);
  };
  line.after(button);
}

// here returns the operating system and the processor of the visitor in the words of data-system and
// data-machine. The browser may not know or not tell the processor, which is then "".
async function here() {
  const says = navigator.userAgentData, agent = navigator.userAgent;
  const system = [["Android", /Android/], ["Windows", /Windows/], ["macOS", /Mac OS X|Macintosh/], ["FreeBSD", /FreeBSD/], ["OpenBSD", /OpenBSD/], ["NetBSD", /NetBSD/], ["Linux", /Linux|X11/]]
    .find(([, pattern]) => pattern.test(agent))?.[0] ?? "";
  if (/iPhone|iPad/.test(agent)) return { system: "", machine: "" };
  try {
    const { architecture, bitness } = await says.getHighEntropyValues(["architecture", "bitness"]);
    const bits = bitness === "32" ? "ARM, 32 bits" : "ARM, 64 bits";
    if (architecture) return { system, machine: architecture === "arm" ? bits : bitness === "32" ? "x86, 32 bits" : "x86-64" };
  } catch {} // other browsers, and pages over plain HTTP
  if (system === "macOS") return { system, machine: "" }; // browsers call every Mac an Intel one
  const machine = /aarch64|arm64/i.test(agent) ? "ARM, 64 bits" : /x86_64|Win64|WOW64|x64|amd64/i.test(agent) ? "x86-64" : /armv[67]/i.test(agent) ? "ARM, 32 bits" : /i[36]86/.test(agent) ? "x86, 32 bits" : "";
  return { system, machine };
}

// The variant for the visitor's system comes first, in all lists of the variants, and its button gets the
// look of the main button.
for (const list of document.querySelectorAll("[data-choose]")) {
  here().then(({ system, machine }) => {
    const items = [...list.children];
    let fit = items.filter((item) => system && item.dataset.system === system);
    if (fit.length === 0) fit = items.filter((item) => !item.dataset.system && item.dataset.machine);
    const exact = fit.filter((item) => machine && item.dataset.machine === machine);
    if (exact.length > 0) fit = exact;
    if (fit.length !== 1 && !fit.some((item) => item.dataset.system)) return; // nothing says which one
    const places = fit.map((item) => items.indexOf(item));
    list.prepend(...fit);
    for (const other of document.querySelectorAll("[data-variants]")) {
      const entries = other.querySelector("dl")?.children ?? other.children; // in the order of the buttons
      const first = places.map((place) => entries[place]);
      first[0].parentNode.prepend(...first);
    }
    const runs = (on) => !on || !machine || on === machine || on === "all Macs" || (on === "x86, 32 bits" && machine === "x86-64");
    if (fit.length === 1 && runs(fit[0].dataset.machine)) fit[0].querySelector("a").classList.add("main");
  });
}
