// What a page has more of where scripts run: live numbers and buttons that copy.
// Everything works without.
"use strict";

for (const box of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(box.dataset.live);
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    const show = {
      seeds: now.known ? now.seeders.toLocaleString("en") : "–",
      leechers: now.known ? now.leechers.toLocaleString("en") : "–",
      completed: now.known ? now.completed.toLocaleString("en") : "–",
      copies: now.copies.toFixed(1),
      rate: now.rate_text,
      saved: now.saved_text,
      delivered: now.delivered.toLocaleString("en"),
      first_copy: now.first_text,
    };
    for (const place of box.querySelectorAll("[data-is]")) {
      const text = show[place.dataset.is];
      if (place.textContent !== text) place.textContent = text;
    }
    for (const part of box.querySelectorAll("[data-if]")) part.hidden = !(now[part.dataset.if] > 0);
    box.classList.add("live");
  };
  source.onerror = () => box.classList.remove("live");
  addEventListener("pagehide", () => source.close());
}

// copy puts the text of a line on the clipboard. Over plain HTTP there is only the
// old way, for what is selected.
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
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy the line for " + line.dataset.copy);
  button.onclick = async () => {
    button.textContent = await copy(line) ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  line.after(button);
}
