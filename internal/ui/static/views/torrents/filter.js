// Which torrents the list shows, and in which order. Pure functions over the entries of the collection.
import { ratio, timeLeft } from "../../lib/format.js";
import { groups } from "./states.js";

/** @typedef {{text: string, group: string, label: ?string}} Filter label null: any; "": without a label */

/** wordsOf returns the words of a search in lower case. All must be in the name or the label. @param {string} text */
export const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter((word) => word !== "");

const lower = new WeakMap(); // of entries, which are replaced when they change

/** textOf returns what a search looks at. */
function textOf(entry) {
  let text = lower.get(entry);
  if (text === undefined) lower.set(entry, text = `${entry.name}\n${entry.label ?? ""}\n${entry.info_hash}`.toLowerCase());
  return text;
}

/**
 * matcher returns a function that reports whether an entry passes the filter.
 * @param {Filter} filter
 */
export function matcher({ text, group, label }) {
  const words = wordsOf(text);
  const { has } = groups.find((g) => g.id === group) ?? groups[0];
  return (entry) => has(entry) && (label === null || (entry.label ?? "") === label) && (words.length === 0 || words.every((word) => textOf(entry).includes(word)));
}

/**
 * countGroups counts the torrents of each group and label.
 * @param {Iterable<any>} entries
 * @returns {{groups: Record<string, number>, labels: Map<string, number>}} labels are sorted; "" is first
 */
export function countGroups(entries) {
  const counts = Object.fromEntries(groups.map((g) => [g.id, 0]));
  const labels = new Map();
  for (const entry of entries) {
    for (const g of groups) if (g.has(entry)) counts[g.id]++;
    const label = entry.label ?? "";
    labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  return { groups: counts, labels: new Map([...labels].sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** What a column is sorted by: a number or a text. The first click on a column of numbers shows the largest. */
export const sortKeys = {
  place: (x) => x.place,
  name: textOf,
  total_length: (x) => x.total_length,
  progress: (x) => x.progress,
  state: (x) => x.state,
  down_rate: (x) => x.down_rate,
  up_rate: (x) => x.up_rate,
  eta: (x) => timeLeft(x),
  peers: (x) => x.peers,
  seeders: (x) => x.seeders,
  ratio,
  label: (x) => x.label ?? "",
  added: (x) => x.added,
};

/**
 * comparer returns a comparison of entries by a column. Entries that are equal are ordered by their info-hashes, so
 * that rows do not change places without reason.
 * @param {{by: string, down: boolean}} sort
 */
export function comparer({ by, down }) {
  const key = sortKeys[by] ?? sortKeys.added;
  const sign = down ? -1 : 1;
  return (a, b) => {
    const x = key(a);
    const y = key(b);
    if (x < y) return -sign;
    if (x > y) return sign;
    return a.info_hash < b.info_hash ? -1 : 1;
  };
}

/**
 * Rows keeps the shown entries in order. It sorts what it had before, because a list that is nearly in order is
 * sorted in a fraction of the time.
 */
export class Rows {
  /** @type {any[]} */
  list = [];

  /**
   * refresh computes the rows again and returns them, as a new array.
   * @param {Map<string, any>} entries
   * @param {Filter} filter
   * @param {{by: string, down: boolean}} sort
   */
  refresh(entries, filter, sort) {
    const passes = matcher(filter);
    const next = [];
    const had = new Set();
    for (const old of this.list) {
      const entry = entries.get(old.info_hash);
      if (entry && passes(entry)) {
        next.push(entry);
        had.add(entry.info_hash);
      }
    }
    for (const entry of entries.values()) if (!had.has(entry.info_hash) && passes(entry)) next.push(entry);
    this.list = next.sort(comparer(sort));
    return this.list;
  }
}
