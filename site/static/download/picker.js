// The picker decides which blocks to ask which source for. It is a plain data structure
// without connections or clocks.
import { blockSize } from "./hash.js";

// Limits of the pieces that are fetched at the same time. Their buffers are in memory.
const maxActive = 256;
const maxActiveBytes = 64 << 20;
const endgameCopies = 3; // sources that are asked for one block in the endgame

// Piece is a piece that is being fetched. only is the source that alone may send it, or null.
class Piece {
  constructor(index, size) {
    this.index = index;
    this.size = size;
    this.data = new Uint8Array(size);
    this.blocks = Math.ceil(size / blockSize);
    this.restart();
  }

  // restart forgets the blocks.
  restart() {
    this.from = new Array(this.blocks).fill(null); // source of each block that has come
    this.asked = Array.from({ length: this.blocks }, () => new Set());
    this.left = this.blocks;
    this.only = null;
  }

  // begin and length of a block in the piece, in bytes.
  begin(block) { return block * blockSize; }
  length(block) { return Math.min(blockSize, this.size - block * blockSize); }
}

// Picker picks the blocks of a torrent. A source is any object; has(i) says whether a source has
// piece i.
export class Picker {
  // torrent has count, length and pieceSize(i); have and wanted contain 1 for each piece that
  // is stored or to be fetched. The picker keeps and changes both.
  constructor(torrent, have, wanted) {
    this.torrent = torrent;
    this.have = have;
    this.wanted = wanted;
    this.availability = new Uint16Array(torrent.count);
    this.active = new Map();
    this.activeBytes = 0;
    this.recount();
  }

  // recount counts the pieces again after wanted has changed.
  recount() {
    this.missing = 0;
    for (let i = 0; i < this.have.length; i++) if (this.wanted[i] && !this.have[i]) this.missing++;
  }

  // announced records that a peer has a piece, or with -1 that it has gone.
  announced(i, change) { this.availability[i] += change; }

  needs(i) { return this.wanted[i] === 1 && this.have[i] === 0; }

  // interesting reports whether a source has a piece that is needed.
  interesting(has) {
    for (let i = 0; i < this.have.length; i++) if (this.needs(i) && has(i)) return true;
    return false;
  }

  // start begins to fetch a piece.
  start(i) {
    const piece = new Piece(i, this.torrent.pieceSize(i));
    this.active.set(i, piece);
    this.activeBytes += piece.size;
    return piece;
  }

  // pick returns up to room blocks to ask source for, as [piece, block] pairs, and records that
  // it is asked: first those of pieces that have begun, then those of the rarest piece, and at
  // the end blocks that others were asked for too.
  pick(source, has, room) {
    const out = [];
    const take = (piece, fits) => {
      if (piece.left === 0 || !has(piece.index) || (piece.only && piece.only !== source)) return;
      for (let b = 0; b < piece.blocks && out.length < room; b++) {
        if (piece.from[b] === null && fits(piece.asked[b])) {
          piece.asked[b].add(source);
          out.push([piece, b]);
        }
      }
    };
    for (const piece of this.active.values()) {
      if (out.length >= room) return out;
      take(piece, (asked) => asked.size === 0);
    }
    while (out.length < room) {
      const i = this.rarest(has);
      if (i < 0) break;
      take(this.start(i), (asked) => asked.size === 0);
    }
    if (out.length === 0 && this.active.size === this.missing) {
      for (const piece of this.active.values()) take(piece, (asked) => asked.size < endgameCopies && !asked.has(source));
    }
    return out;
  }

  // room reports whether another piece may be begun.
  room() { return this.active.size < maxActive && (this.activeBytes < maxActiveBytes || this.active.size < 2); }

  // rarest returns a piece that the fewest peers have, of those that are needed and not begun,
  // or -1. It is a random one of several.
  rarest(has) {
    if (!this.room()) return -1;
    let best = -1, rarity = Infinity, same = 0;
    for (let i = 0; i < this.have.length; i++) {
      if (!this.needs(i) || this.active.has(i) || this.availability[i] > rarity || !has(i)) continue;
      same = this.availability[i] < rarity ? 1 : same + 1;
      rarity = this.availability[i];
      if (Math.random() * same < 1) best = i;
    }
    return best;
  }

  // pickRun begins a row of pieces, of at least one piece and otherwise at most bytes, that a
  // web server is asked for in one range. fits(i) says whether it should send piece i. It
  // returns null or the first and the last piece. The range begins at the first missing block.
  pickRun(source, bytes, fits) {
    const free = (i) => this.needs(i) && fits(i) && (!this.active.has(i) || this.idle(this.active.get(i), source));
    const n = this.have.length, from = Math.floor(Math.random() * n);
    let first = -1;
    for (let k = 0; k < n && first < 0; k++) {
      const i = (from + k) % n;
      if (free(i) && (this.active.has(i) || this.room())) first = i;
    }
    if (first < 0) return null;
    let last = first, total = 0;
    for (let i = first; i < n && free(i); i++) {
      total += this.torrent.pieceSize(i);
      if (i > first && (total > bytes || !this.room())) break;
      last = i;
      const piece = this.active.get(i) ?? this.start(i);
      for (let b = 0; b < piece.blocks; b++) if (piece.from[b] === null) piece.asked[b].add(source);
    }
    return [first, last];
  }

  // idle reports whether a piece lacks blocks that nobody is asked for.
  idle(piece, source) {
    if (piece.left === 0 || (piece.only && piece.only !== source)) return false;
    return piece.asked.every((asked) => asked.size === 0);
  }

  // received stores a block. It returns null if the block is not needed, otherwise the piece and
  // the other sources that were asked for the block. A piece with left 0 is to be checked.
  received(source, i, block, data) {
    const piece = this.active.get(i);
    if (!piece || piece.left === 0 || block >= piece.blocks || data.length !== piece.length(block) || piece.from[block] !== null) return null;
    if (piece.only && piece.only !== source) return null;
    piece.data.set(data, piece.begin(block));
    piece.from[block] = source;
    piece.left--;
    const others = [...piece.asked[block]].filter((s) => s !== source);
    piece.asked[block].clear();
    return { piece, others };
  }

  // forget withdraws the requests to a source, or only that for a block of a piece.
  forget(source, i, block) {
    for (const piece of i === undefined ? this.active.values() : [this.active.get(i)]) {
      if (!piece) continue;
      if (block === undefined) for (const asked of piece.asked) asked.delete(source);
      else piece.asked[block]?.delete(source);
      if (i === undefined && piece.only === source) piece.only = null;
    }
  }

  // stored records that a piece was checked and stored.
  stored(i) {
    if (this.needs(i)) this.missing--;
    this.have[i] = 1;
    this.drop(i);
  }

  // lost records that a stored piece is missing after all.
  lost(i) {
    if (this.have[i] === 1 && this.wanted[i] === 1) this.missing++;
    this.have[i] = 0;
  }

  // drop ends the fetching of a piece.
  drop(i) {
    const piece = this.active.get(i);
    if (!piece) return;
    this.active.delete(i);
    this.activeBytes -= piece.size;
  }
}
