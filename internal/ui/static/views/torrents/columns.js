// The columns of the list.
import { ago, duration, percent, rate, ratio, size, timeLeft } from "../../lib/format.js";
import { html } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Progress } from "../../ui/parts.js";
import { stateName } from "./states.js";

/**
 * Column is a column of the list. from is the smallest width of the list in pixels at which the column is shown.
 * @typedef {{id: string, title: string, from: number, width: string, number?: boolean, cell: (x: any) => any}} Column
 */

const count = (n) => (n > 0 ? n.toLocaleString() : "");
const incomplete = (x) => x.state === "downloading" || x.state === "checking";

/** @type {Column[]} */
export const columns = [
  { id: "name", title: "Name", from: 0, width: "minmax(12rem, 1fr)", cell: nameCell },
  { id: "total_length", title: "Size", from: 560, width: "5.5rem", number: true, cell: (x) => (x.total_length > 0 ? size(x.total_length) : "") },
  { id: "progress", title: "Progress", from: 0, width: "8rem", cell: progressCell },
  { id: "state", title: "State", from: 900, width: "9rem", cell: stateCell },
  { id: "down_rate", title: "Down", from: 640, width: "6rem", number: true, cell: (x) => rate(x.down_rate) },
  { id: "up_rate", title: "Up", from: 640, width: "6rem", number: true, cell: (x) => rate(x.up_rate) },
  { id: "eta", title: "Time left", from: 1000, width: "6.5rem", number: true, cell: (x) => (incomplete(x) && x.down_rate > 0 ? duration(timeLeft(x)) : "") },
  { id: "peers", title: "Peers", from: 760, width: "4.5rem", number: true, cell: (x) => count(x.peers) },
  { id: "seeders", title: "Swarm", from: 1300, width: "6rem", number: true, cell: (x) => (x.seeders + x.leechers > 0 ? `${count(x.seeders) || 0} / ${count(x.leechers) || 0}` : "") },
  { id: "ratio", title: "Ratio", from: 1150, width: "4.5rem", number: true, cell: (x) => (x.uploaded > 0 ? ratio(x).toFixed(2) : "") },
  { id: "label", title: "Label", from: 1450, width: "8rem", cell: (x) => x.label ?? "" },
  { id: "added", title: "Added", from: 1600, width: "9rem", number: true, cell: (x) => ago(x.added) },
];

function nameCell(x) {
  return html`<span class="name" title=${x.name}>${x.name}</span>${x.error && html`<span class="why" title=${x.error}>${x.error}</span>`}`;
}

function progressCell(x) {
  const share = x.total_length > 0 && x.done >= x.total_length && x.state !== "checking" ? 1 : x.progress;
  return html`<span class="share"><${Progress} share=${share} kind=${x.state} label=${t("Progress")} /><span class="percent">${percent(share)}</span></span>`;
}

function stateCell(x) {
  return html`<span class=${`state ${x.state}`} title=${x.stall_reason ?? x.error ?? ""}>${stateName(x.state)}</span>`;
}

/** shownColumns returns the columns for a list of a width. @param {number} width in pixels */
export const shownColumns = (width) => columns.filter((c) => width >= c.from);

/** briefOf returns the second line of a row on a phone. @param {any} x */
export function briefOf(x) {
  const parts = [stateName(x.state), x.total_length > 0 ? size(x.total_length) : ""];
  if (x.down_rate > 0) parts.push(`↓ ${rate(x.down_rate)}`);
  if (x.up_rate > 0) parts.push(`↑ ${rate(x.up_rate)}`);
  if (incomplete(x) && x.down_rate > 0) parts.push(duration(timeLeft(x)));
  return parts.filter((part) => part !== "").join(" · ");
}
