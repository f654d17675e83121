// Live numbers and copy buttons. The pages work without this script.
"use strict";

for (const box of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(box.dataset.live);
  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    const show = {
      seeds: now.known ? now.seeders.toLocaleString("en") : "–",
      leechers: now.known ? now.leechers.toLocaleString("en") : "–",
      completed: now.completed.toLocaleString("en"),
      copies: now.copies.toFixed(1),
      rate: now.rate_text,
      saved: now.saved_text,
      delivered: now.delivered.toLocaleString("en"),
      downloads: now.delivered === 1 ? "download" : "downloads",
      first_copy: now.first_text,
      problem: now.problem,
    };
    for (const item of box.querySelectorAll("[data-is]")) {
      const text = show[item.dataset.is];
      if (item.textContent !== text) item.textContent = text;
    }
    for (const part of box.querySelectorAll("[data-if]")) part.hidden = !now[part.dataset.if];
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
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy the line for " + line.dataset.copy);
  button.onclick = async () => {
    button.textContent = await copy(line) ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  line.after(button);
}
