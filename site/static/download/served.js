// The pieces that peers ask for: read from the store, and the last ones kept in memory.
import * as wire from "./wire.js";

const keptBytes = 32 << 20;

export class Served {
  constructor(download) {
    this.download = download;
    this.kept = new Map(); // index -> bytes, the last used one at the end
    this.bytes = 0;
    this.busy = new Set(); // peers that are served now
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

  // serve sends the blocks that a peer has asked for, as its connection takes them.
  async serve(peer) {
    if (this.busy.has(peer)) return;
    this.busy.add(peer);
    const { download } = this;
    while (peer.queue.length > 0 && peer.credit > 0 && !peer.choking && download.peers.has(peer.id)) {
      const [i, begin, length] = peer.queue.shift();
      const bytes = await this.prove(i);
      if (!bytes || !download.peers.has(peer.id)) break;
      const m = wire.message(wire.piece, [i, begin], bytes.subarray(begin, begin + length));
      peer.credit -= m.length;
      peer.up.add(length);
      download.up.add(length);
      download.given += length;
      peer.send(m);
    }
    this.busy.delete(peer);
  }
}
