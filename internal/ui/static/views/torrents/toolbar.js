// The line above the list: search, and what can be done with the selected torrents.
import { html } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Icon } from "../../ui/icon.js";
import { Button } from "../../ui/parts.js";
import * as actions from "./actions.js";
import { columns } from "./columns.js";
import { FilterMenu } from "./filters.js";

/** Toolbar acts on the torrents that chosen returns. */
export function Toolbar({ app, filter, onFilter, chosen, selected, counts, sort, onSort }) {
  const none = selected === 0;
  const act = (run) => () => run(app, chosen());
  return html`<div class="toolbar">
    <label class="find"><${Icon} name="search" /><span class="vh">${t("Search")}</span>
      <input type="search" id="search" placeholder=${t("Search")} value=${filter.text} autocomplete="off" onInput=${(e) => onFilter({ ...filter, text: e.target.value })}
        onKeyDown=${(e) => leave(e, () => onFilter({ ...filter, text: "" }))} /></label>
    <${FilterMenu} counts=${counts} filter=${filter} onChange=${onFilter} />
    <label class="filtermenu sort"><span class="vh">${t("Order")}</span>
      <select value=${sort.by} onChange=${(e) => onSort({ by: e.target.value, down: columns.find((c) => c.id === e.target.value).number ?? false })}>
        ${columns.map((c) => html`<option key=${c.id} value=${c.id} selected=${c.id === sort.by}>${t("By %s", t(c.title))}</option>`)}</select></label>
    ${app.may("torrents") && html`<div class="acts" role="group" aria-label=${t("Selected torrents")}>
      <${Button} short icon="play" text=${t("Resume")} disabled=${none} onClick=${act(actions.resume)} />
      <${Button} short icon="pause" text=${t("Pause")} disabled=${none} onClick=${act(actions.pause)} />
      <${Button} short icon="set" text=${t("Label, limits and goals")} disabled=${none} onClick=${act(actions.setOptions)} />
      <${Button} short icon="recheck" text=${t("Check the data again")} disabled=${none} onClick=${act(actions.recheck)} />
      <${Button} short icon="tracker" text=${t("Ask the trackers now")} disabled=${none} onClick=${act(actions.reannounce)} />
      <${Button} short icon="trash" text=${t("Remove")} disabled=${none} onClick=${act(actions.remove)} />
    </div>`}
    ${selected > 1 && html`<small class="selected">${t("%d selected", selected)}</small>`}
  </div>`;
}

// Escape empties the search, and then leaves it.
function leave(event, clear) {
  if (event.key === "Enter" || event.key === "ArrowDown") {
    event.preventDefault();
    document.getElementById("list")?.focus();
  }
  if (event.key !== "Escape") return;
  event.preventDefault();
  if (event.target.value === "") document.getElementById("list")?.focus();
  else clear();
}
