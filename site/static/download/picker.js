// The picker decides which blocks to ask which source for. It is a plain data structure
// without connections or clocks: its callers pass the time in seconds.
import { blockSize } from "./hash.js";
import { Pool } from "./pool.js";

// Limits of the pieces that are fetched at the same time. Their buffers are in memory.
const maxActive = 256;
const maxActiveBytes = 64 << 20;
const endgameAtOnce = 4; // blocks that a source without requests is asked for in the endgame
const endgameCopies = 3; // sources that are asked for one block in the endgame
const late = 10; // seconds after which a request to a peer no longer keeps others from the block

// Piece is a piece that is being fetched. only is the source that alone may send it, or null: a
// peer, or a web server, whose requests have it in their field web.
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
    this.asked = Array.from({ length: this.blocks }, () => new Map()); // source -> time of the request
    this.left = this.blocks;
    this.only = null;
  }

  // again forgets one block.
  again(block) {
    this.from[block] = null;
    this.asked[block].clear();
    this.left++;
  }

  // begin and length of a block in the piece, in bytes.
  begin(block) { return block * blockSize; }
  length(block) { return Math.min(blockSize, this.size - block * blockSize); }

  // allows says whether a source may send the piece.
  allows(source) { return !this.only || this.only === source || this.only === source.web; }

  // free says whether nobody, or only peers that do not answer, are asked for a block.
  free(block, now) {
    for (const time of this.asked[block].values()) if (now - time < late) return false;
    return true;
  }
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
    this.pool = new Pool(torrent.count);
    this.active = new Map();
    this.activeBytes = 0;
    this.version = 0; // counts the times that pieces become needed
    this.row = null; // {next, last}: pieces that are begun before the rarest, in this order
    this.barren = new WeakMap(); // source -> version at which the pool had nothing for it
    this.recount();
  }

  // recount counts the pieces again after wanted has changed.
  recount() {
    this.missing = 0;
    for (let i = 0; i < this.have.length; i++) if (this.wanted[i] && !this.have[i]) this.missing++;
    this.pool.fill((i) => this.needs(i) && !this.active.has(i));
    this.version++;
  }

  // announced records that a source has a piece, or with -1 that it has gone.
  announced(i, change, source) {
    this.pool.announced(i, change);
    if (source) this.barren.delete(source);
  }

  needs(i) { return this.wanted[i] === 1 && this.have[i] === 0; }

  // next returns the first needed piece that a source has, from piece i on, or the number of
  // pieces. Until version changes, the pieces before it do not become needed.
  next(has, i) {
    while (i < this.have.length && !(this.needs(i) && has(i))) i++;
    return i;
  }

  // start begins to fetch a piece.
  start(i) {
    const piece = new Piece(i, this.torrent.pieceSize(i));
    this.active.set(i, piece);
    this.activeBytes += piece.size;
    this.pool.remove(i);
    return piece;
  }

  // pick returns up to room blocks to ask source for, as [piece, block] pairs, and records that
  // it is asked: first those of pieces that have begun, then those of the rarest pieces, and at
  // the end, if the source has nothing else to send, a few blocks that others were asked for too.
  // idle says whether the source has nothing else to send.
  pick(source, has, room, now = 0, idle = true) {
    const out = [];
    const take = (piece, fits) => {
      if (piece.left === 0 || !has(piece.index) || !piece.allows(source)) return;
      for (let b = 0; b < piece.blocks && out.length < room; b++) {
        if (piece.from[b] === null && !piece.asked[b].has(source) && fits(piece, b)) {
          piece.asked[b].set(source, now);
          out.push([piece, b]);
        }
      }
    };
    const free = (piece, b) => piece.free(b, now);
    for (const piece of this.active.values()) {
      if (out.length >= room) return out;
      take(piece, free);
    }
    this.begin(source, has, () => out.length < room, (piece) => take(piece, free));
    if (idle && out.length === 0 && this.active.size === this.missing) {
      room = Math.min(room, endgameAtOnce);
      for (const piece of this.active.values()) take(piece, (_, b) => piece.asked[b].size < endgameCopies);
    }
    return out;
  }

  // begin begins the rarest pieces that a source has, while more() returns true, and passes each
  // to use. It looks at each piece of the pool at most once, and at none if nothing has changed
  // since there was none for the source.
  begin(source, has, more, use) {
    if (this.barren.get(source) === this.version) return;
    for (let i = this.inRow(); this.row && i <= this.row.last && more() && this.room(); i++) {
      if (this.needs(i) && has(i) && !this.active.has(i)) use(this.start(i));
    }
    const { pool } = this;
    let left = pool.size;
    for (let at = 0; more() && at < pool.size && left > 0; left--) {
      if (!this.room()) return;
      const i = pool.order[at];
      if (has(i)) use(this.start(i)); // another piece takes its place
      else at++;
    }
    if (more()) this.barren.set(source, this.version);
  }

  // inRow returns the first piece of the row that is needed, and forgets those before it.
  inRow() {
    const { row } = this;
    if (!row) return -1;
    while (row.next <= row.last && !this.needs(row.next)) row.next++;
    if (row.next > row.last) this.row = null;
    return row.next;
  }

  // room reports whether another piece may be begun.
  room() { return this.active.size < maxActive && (this.activeBytes < maxActiveBytes || this.active.size < 2); }

  // pickRun begins a row of pieces, of at least one piece and otherwise at most bytes, that a
  // web server is asked for in one range: of all pieces, or with unseen of those that no peer has.
  // It returns null or the first and the last piece. The range begins at the first missing block.
  pickRun(source, bytes, unseen, now = 0) {
    const { pool } = this;
    const fits = (i) => !source.web?.barred(i) && (!unseen || pool.availability[i] === 0 || (source.web && this.active.get(i)?.only === source.web));
    const free = (i) => this.needs(i) && fits(i) && (this.active.has(i) ? this.idle(this.active.get(i), source, now) : this.room());
    let first = -1;
    for (let i = this.inRow(); first < 0 && this.row && i <= this.row.last; i++) if (free(i)) first = i;
    for (const i of first < 0 ? this.active.keys() : []) {
      if (!free(i)) continue;
      first = i;
      break;
    }
    if (first < 0 && pool.size > 0) {
      const i = pool.order[Math.floor(Math.random() * (unseen ? pool.ends[0] : pool.size))];
      if (i !== undefined && free(i)) first = i;
    }
    if (first < 0) return null;
    let last = first, total = 0;
    for (let i = first; i < this.have.length && free(i); i++) {
      total += this.torrent.pieceSize(i);
      if (i > first && total > bytes) break;
      last = i;
      const piece = this.active.get(i) ?? this.start(i);
      for (let b = 0; b < piece.blocks; b++) if (piece.from[b] === null) piece.asked[b].set(source, Infinity);
    }
    return [first, last];
  }

  // idle reports whether a piece lacks blocks, and none of them is on its way.
  idle(piece, source, now) {
    if (piece.left === 0 || !piece.allows(source)) return false;
    return piece.asked.every((_, b) => piece.free(b, now));
  }

  // received stores a block. It returns null if the block is not needed, otherwise the piece and
  // the other sources that were asked for the block. A piece with left 0 is to be checked.
  received(source, i, block, data) {
    const piece = this.active.get(i);
    if (!piece || piece.left === 0 || block >= piece.blocks || data.length !== piece.length(block) || piece.from[block] !== null) return null;
    if (!piece.allows(source)) return null;
    piece.data.set(data, piece.begin(block));
    piece.from[block] = source;
    piece.left--;
    const others = [...piece.asked[block].keys()].filter((s) => s !== source);
    piece.asked[block].clear();
    return { piece, others };
  }

  // forget withdraws the requests to a source.
  forget(source) {
    for (const piece of this.active.values()) for (const asked of piece.asked) asked.delete(source);
  }

  // stored records that a piece was checked and stored.
  stored(i) {
    if (this.needs(i)) this.missing--;
    this.have[i] = 1;
    this.pool.remove(i);
    this.drop(i);
  }

  // lost records that a stored piece is missing after all.
  lost(i) {
    if (this.have[i] === 1 && this.wanted[i] === 1) this.missing++;
    this.have[i] = 0;
    this.again(i);
  }

  // drop ends the fetching of a piece.
  drop(i) {
    const piece = this.active.get(i);
    if (!piece) return;
    this.active.delete(i);
    this.activeBytes -= piece.size;
    this.again(i);
  }

  // again returns a piece to the pool if it is needed.
  again(i) {
    if (!this.needs(i) || this.active.has(i)) return;
    this.pool.add(i);
    this.version++;
  }
}
