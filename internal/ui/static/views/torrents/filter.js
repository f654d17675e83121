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

const times = new Map(); // of texts; there are as many as torrents

/** timeOf returns when a torrent was added, as a number, which is compared faster than a text. */
function timeOf({ added }) {
  let time = times.get(added);
  if (time === undefined) times.set(added, time = Date.parse(added));
  return time;
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
  added: timeOf,
};

/**
 * order sorts entries in place by a column. Entries that are equal are ordered by their info-hashes, so that rows do
 * not change places without reason. The keys are computed once for each entry, because comparisons are many.
 * @param {any[]} entries
 * @param {{by: string, down: boolean}} sort
 */
export function order(entries, { by, down }) {
  const key = sortKeys[by] ?? sortKeys.added;
  const sign = down ? -1 : 1;
  const pairs = entries.map((entry) => ({ entry, key: key(entry) }));
  pairs.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : a.entry.info_hash < b.entry.info_hash ? -1 : 1));
  pairs.forEach((pair, i) => {
    entries[i] = pair.entry;
  });
  return entries;
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
    let kept = 0; // entries of the last time that are still there, shown or not
    for (const old of this.list) {
      const entry = entries.get(old.info_hash);
      if (!entry) continue;
      kept++;
      if (passes(entry)) next.push(entry);
    }
    if (kept < entries.size) { // others may pass now
      const had = new Set(this.list.map((entry) => entry.info_hash));
      for (const [hash, entry] of entries) if (!had.has(hash) && passes(entry)) next.push(entry);
    }
    this.list = order(next, sort);
    return this.list;
  }
}
