// The findings of a check, with what to do.
import { html } from "../lib/preact.js";
import { t } from "../lib/words.js";
import { Icon } from "./icon.js";

const order = ["fail", "warn", "note", "ok"];
const icons = { ok: "check", note: "help", warn: "alert", fail: "alert" };
const words = () => ({ ok: t("good"), note: t("to know"), warn: t("to mend"), fail: t("broken") });

/** sortFindings returns findings with the worst first. @param {{level: string}[]} list */
export function sortFindings(list) {
  return list.toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/** Findings lists findings. @param {{list: {check: string, subject?: string, level: string, text: string, advice?: string}[]}} props */
export function Findings({ list }) {
  return html`<ul class="findings">${sortFindings(list).map((f, i) => html`<li key=${`${f.check} ${f.subject} ${i}`} class=${f.level}>
    <${Icon} name=${icons[f.level] ?? "help"} /><div><p><span class="vh">${words()[f.level]}: </span>${f.subject && html`<code>${f.subject}</code> `}${f.text}</p>
    ${f.advice && html`<p class="advice">${f.advice}</p>`}</div></li>`)}</ul>`;
}
