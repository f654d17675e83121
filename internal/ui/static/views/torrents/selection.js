// Which rows are selected, and which one the keys act on. Values without change: each step returns a new one.

/**
 * Selection has the keys of the selected rows, the current row and the row where a range begins.
 * @typedef {{keys: Set<string>, at: ?string, from: ?string}} Selection
 */

/** @type {Selection} */
export const none = { keys: new Set(), at: null, from: null };

const indexOf = (rows, key) => (key === null ? -1 : rows.findIndex((row) => row.info_hash === key));

/** only selects one row. @param {string} key @returns {Selection} */
export const only = (key) => ({ keys: new Set([key]), at: key, from: key });

/** toggle adds or removes a row. @param {Selection} now @param {string} key @returns {Selection} */
export function toggle(now, key) {
  const keys = new Set(now.keys);
  if (!keys.delete(key)) keys.add(key);
  return { keys, at: key, from: key };
}

/** extend selects the rows from where the range begins to key. @param {Selection} now @param {any[]} rows @param {string} key @returns {Selection} */
export function extend(now, rows, key) {
  const to = indexOf(rows, key);
  const from = Math.max(0, indexOf(rows, now.from ?? now.at));
  const [a, b] = from < to ? [from, to] : [to, from];
  return { keys: new Set(rows.slice(a, b + 1).map((row) => row.info_hash)), at: key, from: rows[from]?.info_hash ?? key };
}

/** all selects all rows. @param {Selection} now @param {any[]} rows @returns {Selection} */
export const all = (now, rows) => ({ keys: new Set(rows.map((row) => row.info_hash)), at: now.at, from: now.from });

/**
 * move moves the current row by a number of rows, and selects it, or the range up to it.
 * @param {Selection} now @param {any[]} rows @param {number} by @param {boolean} range @returns {Selection}
 */
export function move(now, rows, by, range) {
  if (rows.length === 0) return none;
  const at = indexOf(rows, now.at);
  const to = at < 0 ? (by < 0 ? rows.length - 1 : 0) : Math.min(rows.length - 1, Math.max(0, at + by));
  const key = rows[to].info_hash;
  return range ? extend(now, rows, key) : only(key);
}

/** keep drops the keys of torrents that are gone. It returns now itself if there are none. @param {Selection} now @param {Map<string, any>} entries @returns {Selection} */
export function keep(now, entries) {
  const gone = [...now.keys].filter((key) => !entries.has(key));
  if (gone.length === 0) return now;
  const keys = new Set([...now.keys].filter((key) => entries.has(key)));
  const still = (key) => (key !== null && entries.has(key) ? key : null);
  return { keys, at: still(now.at), from: still(now.from) };
}
