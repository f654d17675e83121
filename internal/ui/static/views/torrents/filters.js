// The filters beside the list: states and labels, with how many torrents each has.
import { html } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Icon } from "../../ui/icon.js";
import { groups } from "./states.js";

/** Filters is a list of buttons. A group without torrents is only shown if it is chosen. */
export function Filters({ counts, filter, onChange }) {
  const button = (key, title, icon, count, on, change) => html`<li key=${key}><button type="button" aria-pressed=${String(on)} onClick=${change}>
    <${Icon} name=${icon} /><span>${title}</span><small>${count.toLocaleString()}</small></button></li>`;
  const shown = groups.filter((g) => g.id === "all" || g.id === filter.group || counts.groups[g.id] > 0);
  const labelled = counts.labels.size > (counts.labels.has("") ? 1 : 0) || filter.label !== null;
  return html`<nav class="filters" aria-label=${t("Filters")}>
    <ul>${shown.map((g) => button(g.id, t(g.title), g.icon, counts.groups[g.id], filter.group === g.id, () => onChange({ ...filter, group: g.id })))}</ul>
    ${labelled && html`<h2>${t("Labels")}</h2><ul>
      ${button("any", t("Any label"), "label", counts.groups.all, filter.label === null, () => onChange({ ...filter, label: null }))}
      ${[...counts.labels].map(([label, n]) => button(`l-${label}`, label || t("Without a label"), "label", n, filter.label === label, () => onChange({ ...filter, label })))}</ul>`}
  </nav>`;
}

/** FilterMenu has the same choices for narrow pages. */
export function FilterMenu({ counts, filter, onChange }) {
  return html`<label class="filtermenu"><span class="vh">${t("State")}</span>
    <select value=${filter.group} onChange=${(e) => onChange({ ...filter, group: e.target.value })}>
      ${groups.map((g) => html`<option key=${g.id} value=${g.id} selected=${g.id === filter.group}>${t(g.title)} (${counts.groups[g.id].toLocaleString()})</option>`)}
    </select></label>
    ${counts.labels.size > 1 && html`<label class="filtermenu"><span class="vh">${t("Label")}</span>
    <select value=${filter.label === null ? "any" : `l${filter.label}`} onChange=${(e) => onChange({ ...filter, label: e.target.value === "any" ? null : e.target.value.slice(1) })}>
      <option value="any">${t("Any label")}</option>
      ${[...counts.labels].map(([label, n]) => html`<option key=${label} value=${`l${label}`}>${label || t("Without a label")} (${n.toLocaleString()})</option>`)}
    </select></label>`}`;
}
