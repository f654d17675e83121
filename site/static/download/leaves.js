// The hashes of the blocks of a piece (hash requests of BEP 52). The hashes of a torrent are those of
// whole pieces. When one is wrong and several sources sent it, a peer is asked for the hashes of
// its blocks: they must fold to the root of the piece, and then show which blocks are wrong and who
// lies. Only these blocks are fetched again.
import { hex } from "./bencode.js";
import { blockHashes, equal, hashList, treeRoot } from "./hash.js";
import { lasting } from "./suspects.js";
import * as wire from "./wire.js";

const patience = 10; // seconds for which an answer is waited for
const mostParked = 32; // wrong pieces that wait for answers
const mostRounds = 3; // answers that are used for one piece

// Bytes that are hashed for others: at once, and a second.
const burst = 64 << 20;
const rate = 2 << 20;

// Leaves asks for the hashes of blocks, and answers. download has torrent, peers, served,
// now(), failed(piece), guilty(source, index) and kick().
export class Leaves {
  constructor(download) {
    this.download = download;
    this.parked = new Map(); // index -> {piece, tree, tried, peer, since}
    this.rounds = new Map(); // index -> number of answers that were used
    this.budget = burst; // bytes that may be hashed for others now
    this.filled = 0; // time until which the budget was filled
  }

  // ask asks a peer for the hashes of the blocks of a wrong piece. It returns false if nobody can be
  // asked, or there is no need to.
  ask(piece) {
    const tree = this.download.torrent.layer?.[piece.index], sources = new Set(piece.from.map(lasting));
    if (!tree || sources.size === 1 || this.parked.size >= mostParked || (this.rounds.get(piece.index) ?? 0) >= mostRounds) return false;
    return this.next({ piece, tree, tried: new Set(), sources });
  }

  // next asks one more peer, at best one that sent no block of the piece.
  next(p) {
    const { download } = this, { index } = p.piece;
    const able = [...download.peers.values()].filter((peer) => peer.has?.[index] && (peer.knowsBlocks || !download.torrent.v1) && !p.tried.has(peer));
    const peer = able.find((a) => !p.sources.has(a)) ?? able[0];
    if (!peer) {
      this.parked.delete(index);
      return false;
    }
    p.tried.add(peer);
    p.peer = peer;
    p.since = download.now();
    this.parked.set(index, p);
    peer.send(wire.hashRange(wire.hashRequest, p.tree));
    return true;
  }

  // again asks the next peer. If there is none, the whole piece is fetched again.
  again(p) { if (!this.next(p)) this.download.failed(p.piece); }

  // answered handles the answer of a peer: hashes, or none if it refuses.
  async answered(peer, r) {
    const p = r && [...this.parked.values()].find((p) => p.peer === peer && p.tree.leaves === r.leaves && p.tree.ask.index === r.index && equal(p.tree.ask.root, r.root));
    if (!p) return;
    const { download } = this, { piece, tree } = p, { index } = piece;
    const list = hashList(r.hashes.slice());
    p.peer = null; // no second answer counts
    p.since = download.now();
    const whole = list.length === tree.leaves && equal(await treeRoot(list, tree.leaves, new Uint8Array(32)), tree.root);
    const now = whole ? await blockHashes(piece.data) : [];
    if (this.parked.get(index) !== p) return;
    if (download.picker.active.get(index) !== piece || download.over) {
      this.parked.delete(index);
      return;
    }
    const bad = now.flatMap((h, b) => (equal(h, list[b]) ? [] : [b]));
    if (bad.length === 0) {
      this.again(p);
      return;
    }
    this.parked.delete(index);
    this.rounds.set(index, (this.rounds.get(index) ?? 0) + 1);
    const liars = new Set();
    for (const b of bad) {
      liars.add(lasting(piece.from[b]));
      download.bytes.wasted += piece.length(b);
      piece.again(b);
    }
    for (const source of liars) download.guilty(source, index);
    download.kick();
  }

  // tick asks another peer where one has left or does not answer.
  tick(now) {
    for (const [i, p] of this.parked) {
      if (this.download.picker.active.get(i) !== p.piece) this.parked.delete(i);
      else if (now - p.since > patience || (p.peer && this.download.peers.get(p.peer.id) !== p.peer)) this.again(p);
    }
  }

  // requested answers the request of a peer. Hashes of blocks are not stored, so that each answer
  // costs the time to read and hash a piece.
  async requested(peer, body) {
    const r = wire.readHashRange(body), { download } = this, i = r && this.find(r), tree = download.torrent.layer?.[i], size = tree ? download.torrent.pieceSize(i) : 0;
    let list = null;
    if (tree && tree.leaves > 1 && download.sharing && download.picker.have[i] && this.take(size)) {
      const bytes = await download.served.prove(i).catch(() => null);
      if (bytes) list = await blockHashes(bytes);
    }
    if (download.peers.get(peer.id) !== peer) return;
    if (!list) {
      peer.send(wire.message(wire.hashReject, [], body.subarray(0, 48)));
      return;
    }
    const hashes = new Uint8Array(32 * r.leaves);
    list.forEach((h, b) => hashes.set(h, 32 * b));
    peer.send(wire.hashRange(wire.hashes, { ask: r, leaves: r.leaves }, hashes));
  }

  // find returns the piece whose blocks a request names, or undefined.
  find(r) {
    const { layer } = this.download.torrent;
    if (!layer) return undefined;
    const name = (root, index) => `${hex(root)}:${index}`;
    if (this.named?.layer !== layer) {
      this.named = { layer, by: new Map() };
      layer.forEach((tree, i) => this.named.by.set(name(tree.ask.root, tree.ask.index), i));
    }
    const i = this.named.by.get(name(r.root, r.index));
    return layer[i]?.leaves === r.leaves ? i : undefined;
  }

  // take reports whether size more bytes may be hashed for others.
  take(size) {
    const now = this.download.now();
    this.budget = Math.min(burst, this.budget + (now - this.filled) * rate);
    this.filled = now;
    if (this.budget < size) return false;
    this.budget -= Math.max(size, 1 << 20); // a short read has a fixed cost
    return true;
  }
}
