// One connection to a peer: its state, and what its messages mean. The download that owns the
// peer decides what to ask and whom to serve.
import { decode, encode } from "./bencode.js";
import { blockSize, equal } from "./hash.js";
import { Rate } from "./rate.js";
import * as wire from "./wire.js";

const maxAsked = 128; // requests of a peer that wait for an answer
const maxDepth = 200; // requests to a peer that wait for an answer
const silence = 120; // seconds after which a silent connection ends
const snub = 20; // seconds of waiting without a block after which the peer is asked for nothing
const rest = 40; // seconds after which such a peer is tried again

// Peer is a connection. download has the callbacks that its methods call.
export class Peer {
  // who is the peer's id as the tracker told it, or "". send(bytes) passes bytes to the connection
  // and close() ends it.
  constructor(download, id, who, send, close) {
    Object.assign(this, { download, id, who, send, close });
    this.reader = new wire.Reader(Math.max(blockSize + 9, Math.ceil(download.torrent.count / 8) + 1, 1 << 18));
    this.has = null; // pieces of the peer, once the handshake has come
    this.hasCount = 0;
    this.choking = this.choked = true; // whether we choke the peer, and it us
    this.wants = this.wanted = false; // whether the peer is interested in us, and we in it
    this.asked = new Map(); // blocks that we asked for: "piece:block" -> [piece, block]
    this.queue = []; // blocks that the peer asked for: [piece, begin, length]
    this.credit = 256 << 10; // bytes that may still wait in the connection
    this.depth = maxDepth;
    this.down = new Rate();
    this.up = new Rate();
    this.seen = 0; // time of the last bytes
    this.waited = 0; // seconds for which requests waited since the last block that was asked for
    this.notBefore = 0; // time before which the peer is asked for nothing
    this.knowsBlocks = false; // whether the peer has the v2 hashes of a v1 torrent
    this.cursor = this.version = 0; // the first piece that may be interesting, at a version of the picker
    this.spoke = 0;
    send(wire.handshake(download.torrent.infoHash, download.peerId));
  }

  // data handles bytes that have come. It throws an Error if the peer breaks the protocol.
  data(bytes, now) {
    this.seen = now;
    this.reader.push(bytes);
    for (let m = this.reader.next(); m; m = this.reader.next()) {
      if (this.has === null) this.shake(m, now);
      else this.message(m.id, m.body, now);
    }
  }

  // shake handles the handshake.
  shake(h, now) {
    const { download } = this;
    if (!equal(h.infoHash, download.torrent.infoHash)) throw new Error("another torrent");
    if (equal(h.peerId, download.peerId)) throw new Error("this is us");
    this.peerId = h.peerId;
    this.has = new Uint8Array(download.torrent.count);
    if (h.extended) this.send(wire.message(wire.extended, [], extensionHandshake(download.torrent)));
    this.send(wire.message(wire.bitfield, [], wire.packBits(download.picker.have)));
    download.shaken(this);
  }

  message(id, body, now) {
    const { download } = this, count = download.torrent.count;
    switch (id) {
      case wire.choke:
        this.choked = true;
        this.asked.clear();
        download.picker.forget(this);
        break;
      case wire.unchoke:
        this.choked = false;
        break;
      case wire.interested:
        this.wants = true;
        download.fillSlots();
        break;
      case wire.notInterested:
        this.wants = false;
        download.fillSlots();
        break;
      case wire.have: {
        const i = wire.number(body, 0);
        if (body.length !== 4 || i >= count) throw new Error("a bad have message");
        this.gained(i);
        break;
      }
      case wire.bitfield: {
        const pieces = wire.unpackBits(body, count);
        if (!pieces) throw new Error("a bad bitfield");
        for (let i = 0; i < count; i++) if (pieces[i]) this.gained(i);
        break;
      }
      case wire.request:
        this.requested(body);
        return;
      case wire.cancel: {
        const [i, begin, length] = [0, 4, 8].map((at) => wire.number(body, at));
        this.queue = this.queue.filter((q) => q[0] !== i || q[1] !== begin || q[2] !== length);
        return;
      }
      case wire.piece:
        this.block(body, now);
        return;
      case wire.extended:
        if (body[0] === 0) this.extensions(body.subarray(1));
        return;
      case wire.hashRequest:
        download.leaves.requested(this, body);
        return;
      case wire.hashes:
      case wire.hashReject:
        download.leaves.answered(this, wire.readHashRange(body));
        return;
      default:
        return; // keep-alives, and messages of extensions that we do not use
    }
    this.ask(now);
  }

  gained(i) {
    if (this.has[i]) return;
    this.has[i] = 1;
    this.hasCount++;
    this.cursor = Math.min(this.cursor, i);
    this.download.picker.announced(i, 1, this);
  }

  // interesting reports whether the peer has a piece that is needed.
  interesting() {
    const { picker } = this.download;
    if (this.version !== picker.version) this.cursor = 0;
    this.version = picker.version;
    this.cursor = picker.next((i) => this.has[i] === 1, this.cursor);
    return this.cursor < this.has.length;
  }

  // helps reports whether the peer may send blocks.
  helps(now) { return this.wanted && !this.choked && now >= this.notBefore; }

  extensions(body) {
    const offered = decode(body);
    const depth = offered instanceof Map ? offered.get("reqq") : 0;
    if (Number.isInteger(depth) && depth > 0) this.depth = Math.min(maxDepth, depth);
    this.knowsBlocks = offered instanceof Map && offered.get("v2_hashes") > 0;
  }

  requested(body) {
    const [i, begin, length] = [0, 4, 8].map((at) => wire.number(body, at));
    if (body.length !== 12 || i >= this.download.torrent.count || length === 0 || length > 2 * blockSize || begin + length > this.download.torrent.pieceSize(i)) throw new Error("a bad request");
    if (this.choking || !this.download.picker.have[i]) return;
    if (this.queue.length >= maxAsked) throw new Error("too many requests");
    this.queue.push([i, begin, length]);
    this.download.serve(this);
  }

  block(body, now) {
    if (body.length < 9) throw new Error("a bad piece message");
    const i = wire.number(body, 0), begin = wire.number(body, 4), block = begin / blockSize;
    if (!this.asked.delete(`${i}:${block}`)) return; // it came after a choke or a cancel
    this.waited = 0;
    const data = body.subarray(8);
    if (data.length !== Math.min(blockSize, this.download.torrent.pieceSize(i) - begin)) { // we asked for a whole block
      this.download.ban(this);
      throw new Error("a block of the wrong length");
    }
    this.down.add(data.length);
    this.download.received(this, i, block, data);
    this.ask(now);
  }

  // ask tells the peer whether we want its pieces, and asks for blocks.
  ask(now) {
    const { picker, ranges } = this.download;
    if (this.has === null) return;
    const paused = this.download.paused || ranges.covers(this.peerId);
    // Two seconds of the peer's rate, so that the connection is never idle.
    const depth = Math.min(this.depth, 16 + Math.ceil((2 * this.down.value) / blockSize));
    const room = depth - this.asked.size;
    if (this.wanted && !paused && room < Math.min(8, depth / 2)) return;
    const wanted = !paused && picker.missing > 0 && this.interesting();
    if (wanted !== this.wanted) {
      this.wanted = wanted;
      this.say(wire.message(wanted ? wire.interested : wire.notInterested), now);
    }
    if (this.choked || !wanted || now < this.notBefore) return;
    const messages = picker.pick(this, (i) => this.has[i] === 1, room, now, this.asked.size === 0).map(([piece, block]) => {
      this.asked.set(`${piece.index}:${block}`, [piece.index, block]);
      return wire.message(wire.request, [piece.index, piece.begin(block), piece.length(block)]);
    });
    if (messages.length > 0) this.say(join(messages), now);
  }

  // unask withdraws the request for a block that another source has sent.
  unask(piece, block) {
    if (this.asked.delete(`${piece.index}:${block}`)) this.send(wire.message(wire.cancel, [piece.index, piece.begin(block), piece.length(block)]));
  }

  // tell announces a piece that we have.
  tell(i) {
    if (this.has !== null) this.send(wire.message(wire.have, [i]));
  }

  // setChoking chokes or unchokes the peer.
  setChoking(on) {
    if (this.has === null || this.choking === on) return;
    this.choking = on;
    if (on) this.queue = [];
    this.send(wire.message(on ? wire.choke : wire.unchoke));
  }

  say(bytes, now) {
    this.spoke = now;
    this.send(bytes);
  }

  // tick looks at the connection once a second. It throws an Error if the peer is silent. Blocks
  // that do not come are asked from others.
  tick(now) {
    this.down.tick();
    this.up.tick();
    if (this.seen === 0) this.seen = now;
    if (now - this.seen > (this.has ? silence : 20)) throw new Error("the peer is silent");
    if (now - this.spoke > silence / 2) this.say(wire.keepAlive(), now);
    if (this.asked.size > 0) this.waited++;
    if (this.waited > snub) {
      this.waited = 0;
      this.notBefore = now + rest;
      this.asked.clear();
      this.download.picker.forget(this);
    }
    this.ask(now);
  }

  // gone forgets the peer's pieces and requests.
  gone() {
    this.download.picker.forget(this);
    if (this.has !== null) this.has.forEach((set, i) => { if (set) this.download.picker.announced(i, -1); });
  }
}

const extensionHandshake = (torrent) => {
  const body = encode({ m: {}, reqq: maxAsked, v: "spate (browser)", ...(torrent.v1 && torrent.layer ? { v2_hashes: 1 } : {}) });
  const out = new Uint8Array(1 + body.length);
  out.set(body, 1);
  return out;
};

// join returns the bytes of several messages as one.
export function join(messages) {
  const out = new Uint8Array(messages.reduce((n, m) => n + m.length, 0));
  let at = 0;
  for (const m of messages) {
    out.set(m, at);
    at += m.length;
  }
  return out;
}
