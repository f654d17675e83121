// What a rule does with the items of a feed.
import { date, size } from "../../lib/format.js";
import { html, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Choice } from "../../ui/field.js";
import { Icon } from "../../ui/icon.js";
import { countFates, fateOf } from "./rule.js";

/** The number of items that are shown at first. */
const firstItems = 100;

const icons = { wanted: "check", here: "torrents", seen: "clock", out: "minus" };

/** Items lists the items of a preview, and says why the rule does not want some. @param {{preview: {title: string, items: any[]}, old?: boolean}} props old: the rule has changed since */
export function Items({ preview, old = false }) {
  const [which, setWhich] = useState("all");
  const [most, setMost] = useState(firstItems);
  const { items } = preview;
  const counts = countFates(items);
  const matched = items.length - counts.out;
  const shown = items.filter((item) => which === "all" || item.match === (which === "in"));
  const says = { wanted: t("wanted"), here: t("wanted, and here already"), seen: t("wanted, decided before") };
  return html`<section class="items" aria-busy=${String(old)}>
    <header><p aria-live="polite"><strong>${t("The rule wants %1d of %2s", matched, t("%d item|%d items", items.length))}</strong>${preview.title && html` <small>${preview.title}</small>`}</p>
      <${Choice} label=${t("Show")} value=${which} onChange=${setWhich} choices=${[["all", t("all items")], ["in", t("what is wanted")], ["out", t("what is left out")]]} /></header>
    ${old && html`<p class="wrong">${t("The rule was edited: look again.")}</p>`}
    ${shown.length > 0 && html`<ul tabindex="0" aria-label=${t("Items of the feed")}>${shown.slice(0, most).map((item, i) => html`<${Item} key=${i} item=${item} says=${says} />`)}
      ${shown.length > most && html`<li><button type="button" class="textual" onClick=${() => setMost(most * 4)}>${t("Show more")}</button></li>`}</ul>`}
  </section>`;
}

function Item({ item, says }) {
  const fate = fateOf(item);
  const page = /^https?:/i.test(item.page ?? "") ? item.page : "";
  return html`<li class=${fate}><${Icon} name=${icons[fate]} /><div>
    <p class="name">${page ? html`<a href=${page} target="_blank" rel="noopener noreferrer">${item.title || page}</a>` : item.title || t("without a title")}</p>
    <p class="more"><span>${fate === "out" ? t("left out: %s", item.why) : says[fate]}</span>${item.size > 0 && html`<span>${size(item.size)}</span>`}${item.published && html`<span>${date(item.published)}</span>`}</p></div></li>`;
}
