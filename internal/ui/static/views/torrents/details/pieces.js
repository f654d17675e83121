// The pieces of a torrent as the columns of a map. Pure functions.

/** bitsOf decodes a bitfield in base64: one byte, 0 or 1, for each piece. @param {string} text @param {number} count */
export function bitsOf(text, count) {
  const bytes = atob(text);
  return Uint8Array.from({ length: count }, (_, i) => (bytes.charCodeAt(i >> 3) >> (7 - (i & 7))) & 1);
}

/**
 * cellsOf shares the pieces among cells, and returns for each cell the shares of its pieces that are here, that are
 * being downloaded and that are not wanted.
 * @param {{pieces: number, have: string, skipped?: string, open?: number[]}} all
 * @param {number} count number of cells at most
 * @returns {{have: number, open: number, skipped: number}[]}
 */
export function cellsOf({ pieces, have, skipped, open = [] }, count) {
  if (pieces === 0 || have === "") return [];
  const here = bitsOf(have, pieces);
  const unwanted = skipped ? bitsOf(skipped, pieces) : null;
  const running = new Set(open);
  const n = Math.min(count, pieces);
  return Array.from({ length: n }, (_, cell) => {
    const from = Math.floor((cell * pieces) / n);
    const to = Math.max(from + 1, Math.floor(((cell + 1) * pieces) / n));
    const sum = { have: 0, open: 0, skipped: 0 };
    for (let i = from; i < to; i++) {
      sum.have += here[i];
      sum.open += running.has(i) ? 1 : 0;
      sum.skipped += unwanted?.[i] ?? 0;
    }
    return { have: sum.have / (to - from), open: sum.open / (to - from), skipped: sum.skipped / (to - from) };
  });
}

/** counts returns how many pieces are here and how many are being downloaded. */
export function counts({ pieces, have, open = [] }) {
  return { have: have === "" ? 0 : bitsOf(have, pieces).reduce((sum, bit) => sum + bit, 0), open: open.length };
}
