// Who sent wrong blocks. A piece that several sources sent and whose hash is wrong is fetched
// again from one source alone: if it is wrong again, that source lies, and if it is right, the
// blocks that differ name the liar.
import { equal } from "./hash.js";

const patience = 15; // seconds without a block after which another source is asked alone

// Suspects keeps the wrong pieces. download has guilty(source, index), now(), peers, web and picker.
export class Suspects {
  constructor(download) {
    this.download = download;
    this.wrong = new Map(); // index -> {data, from, tried, left, since}
  }

  // failed handles a piece whose hash is wrong: it is fetched again.
  failed(piece) {
    const { download } = this, sources = new Set(piece.from.map(lasting));
    if (sources.size === 1) {
      const [source] = sources;
      piece.restart();
      download.guilty(source, piece.index);
      if (this.wrong.has(piece.index)) this.choose(piece);
      return;
    }
    if (!this.wrong.has(piece.index)) this.wrong.set(piece.index, { data: piece.data.slice(), from: piece.from, tried: new Set() });
    piece.restart();
    this.choose(piece);
  }

  // good finds the sources whose blocks differ from those of a good piece.
  good(piece) {
    const bad = this.wrong.get(piece.index);
    if (!bad) return;
    this.wrong.delete(piece.index);
    const liars = new Set();
    bad.from.forEach((source, b) => {
      const from = piece.begin(b), to = from + piece.length(b);
      if (!equal(bad.data.subarray(from, to), piece.data.subarray(from, to))) liars.add(lasting(source));
    });
    for (const source of liars) this.download.guilty(source, piece.index);
  }

  // choose sets the only source of a piece: at best one that had no part in the wrong piece, else
  // the web server, else one that was not tried. If there is none, every source may send it.
  choose(piece) {
    const { peers, web } = this.download, bad = this.wrong.get(piece.index);
    const able = [...peers.values()].filter((p) => p.has?.[piece.index] && !p.choked && !bad.tried.has(p));
    const involved = new Set(bad.from.map(lasting));
    piece.only = able.find((p) => !involved.has(p)) ?? (web?.usable(piece.index) && !bad.tried.has(web) ? web : able[0]) ?? null;
    bad.tried.add(piece.only);
    bad.left = piece.left;
    bad.since = this.download.now();
  }

  // tick chooses another source for the pieces whose only source sends nothing.
  tick(now) {
    const { peers, picker, web } = this.download;
    for (const [i, bad] of this.wrong) {
      const piece = picker.active.get(i);
      if (!piece || piece.left === 0) continue;
      if (piece.left !== bad.left) {
        bad.left = piece.left;
        bad.since = now;
      }
      const here = piece.only === null || piece.only === web || peers.get(piece.only.id) === piece.only;
      if (here && now - bad.since <= patience) continue;
      if (piece.only === null) bad.tried.clear();
      this.choose(piece);
    }
  }
}

// lasting returns the source that lasts longer than a request: a peer, or the web server.
export const lasting = (source) => source.web ?? source;
