// The downloads that this browser stores, with buttons that delete them.
import { bytes } from "./format.js";

export class Kept {
  constructor(box, panel) {
    this.box = box;
    this.panel = panel;
    this.refresh();
  }

  refresh() { this.panel.session.do({ do: "list" }); }

  // show lists downloads, {key, name, size, page, stored}. current is the key of the page's own.
  show(downloads, current) {
    const { messages, session } = this.panel;
    this.box.hidden = downloads.length === 0;
    this.box.querySelector("[data-kept-list]").replaceChildren(...downloads.map((d) => {
      const line = document.createElement("li"), link = document.createElement("a"), name = document.createElement("bdi"), button = document.createElement("button");
      name.textContent = d.name;
      link.href = d.page;
      link.append(name);
      button.type = "button";
      button.className = "textual";
      button.textContent = messages.get("delete");
      button.setAttribute("aria-label", `${messages.get("delete")}: ${d.name}`);
      button.addEventListener("click", () => {
        if (d.stored < d.size || this.panel.sure()) session.do(d.key === current ? { do: "remove" } : { do: "delete", key: d.key });
      });
      line.append(link, ` ${messages.get("stored", { have: bytes(d.stored), size: bytes(d.size) })} `, button);
      return line;
    }));
  }
}
