// The label, the limits and the goals of torrents as fields of a form.
import { readRate, size } from "../../lib/format.js";

/** @typedef {{label: string, up: string, down: string, ratio: string, hours: string, sequential: ?boolean}} Fields */

const shared = (torrents, get) => {
  const first = get(torrents[0]);
  return torrents.every((x) => get(x) === first) ? first : undefined;
};

const rateText = (n) => (n ? size(n).replace(/\s?B$/, "") : "");

/** fieldsOf returns what the fields show: the values that all torrents share. @param {any[]} torrents @returns {Fields} */
export function fieldsOf(torrents) {
  const ratio = shared(torrents, (x) => x.ratio ?? 0);
  const seconds = shared(torrents, (x) => x.seed_time ?? 0);
  return {
    label: shared(torrents, (x) => x.label ?? "") ?? "",
    down: rateText(shared(torrents, (x) => x.down ?? 0)),
    up: rateText(shared(torrents, (x) => x.up ?? 0)),
    ratio: ratio ? String(ratio) : "",
    hours: seconds ? String(Math.round(seconds / 36) / 100) : "",
    sequential: shared(torrents, (x) => Boolean(x.sequential)) ?? null,
  };
}

const number = (text) => (text.trim() === "" ? 0 : Number(text.replace(",", ".")));

/**
 * changeOf returns the change that turns fields into others, or the name of the field that is not valid. Fields that
 * were not touched are not in it.
 * @param {Fields} before @param {Fields} after
 * @returns {{change?: Record<string, any>, wrong?: keyof Fields}}
 */
export function changeOf(before, after) {
  const change = {};
  if (after.label.trim() !== before.label) change.label = after.label.trim();
  for (const name of ["down", "up"]) {
    if (after[name] === before[name]) continue;
    const rate = readRate(after[name]);
    if (rate === null) return { wrong: name };
    change[name] = rate;
  }
  if (after.ratio !== before.ratio) {
    const ratio = number(after.ratio);
    if (!(ratio >= 0)) return { wrong: "ratio" };
    change.ratio = ratio;
  }
  if (after.hours !== before.hours) {
    const hours = number(after.hours);
    if (!(hours >= 0)) return { wrong: "hours" };
    change.seed_time = Math.round(hours * 3600);
  }
  if (after.sequential !== before.sequential) change.sequential = after.sequential;
  return { change };
}
