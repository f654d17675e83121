// The pieces that peers ask for: read from the store, and the last ones kept in memory.
import * as wire from "./wire.js";

const keptBytes = 32 << 20;
const most = 4 << 20; // bytes a second that are given to all peers together

export class Served {
  constructor(download) {
    this.download = download;
    this.kept = new Map(); // index -> bytes, the last used one at the end
    this.bytes = 0;
    this.busy = new Set(); // peers that are served now
    this.budget = most; // bytes that may be given now
    this.filled = 0; // time until which the budget was filled
  }

  // keep keeps the bytes of a stored piece, and forgets old ones.
  keep(i, bytes) {
    if (this.kept.has(i)) this.bytes -= this.kept.get(i).length;
    this.kept.delete(i);
    this.kept.set(i, bytes);
    this.bytes += bytes.length;
    for (const [old, b] of this.kept) {
      if (this.bytes <= keptBytes || old === i) break;
      this.kept.delete(old);
      this.bytes -= b.length;
    }
  }

  // prove resolves to the bytes of a stored piece, or null if they are missing or wrong. A piece
  // of an earlier session is checked first. A wrong one is downloaded again.
  async prove(i) {
    const { store, torrent, picker, unproved } = this.download;
    let bytes = this.kept.get(i);
    if (!bytes) {
      bytes = await store.read(torrent.key, i);
      if (bytes && unproved.has(i) && !(await torrent.check(i, bytes))) bytes = null;
      unproved.delete(i);
      if (!bytes) {
        await store.forget(torrent.key, i);
        picker.lost(i);
        return null;
      }
    }
    this.keep(i, bytes);
    return bytes;
  }

  // block resolves to bytes of a stored piece, or to null. Of a piece that was checked, only they
  // are read.
  async block(i, begin, length) {
    const { store, torrent, unproved } = this.download;
    if (unproved.has(i) || this.kept.has(i)) return (await this.prove(i))?.subarray(begin, begin + length) ?? null;
    const bytes = await store.read(torrent.key, i, begin, length);
    if (bytes?.length === length) return bytes;
    await this.prove(i); // it is lost
    return null;
  }

  // fill adds to the budget what the time allows.
  fill() {
    const now = this.download.now();
    this.budget = Math.min(most, this.budget + (now - this.filled) * most);
    this.filled = now;
  }

  // serve sends the blocks that a peer has asked for, as its connection takes them and the budget
  // allows. It is called again at least once a second.
  async serve(peer) {
    if (this.busy.has(peer)) return;
    this.busy.add(peer);
    const { download } = this;
    this.fill();
    while (peer.queue.length > 0 && peer.credit > 0 && this.budget > 0 && !peer.choking && download.peers.has(peer.id)) {
      const [i, begin, length] = peer.queue.shift();
      const bytes = await this.block(i, begin, length).catch(() => null);
      if (!bytes || peer.choking || !download.peers.has(peer.id)) break;
      this.fill();
      this.budget -= length;
      const m = wire.message(wire.piece, [i, begin], bytes);
      peer.credit -= m.length;
      peer.up.add(length);
      download.up.add(length);
      download.given += length;
      peer.send(m);
    }
    this.busy.delete(peer);
  }
}
