// Messages between peers: BEP 3, and the extension protocol of BEP 10.
import { bytesOf } from "./bencode.js";

export const choke = 0, unchoke = 1, interested = 2, notInterested = 3, have = 4, bitfield = 5, request = 6, piece = 7, cancel = 8, extended = 20;
export const hashRequest = 21, hashes = 22, hashReject = 23; // BEP 52

const protocol = bytesOf("\x13BitTorrent protocol");
const handshakeSize = 68;

// handshake returns the first 68 bytes of a connection. It offers the extension protocol.
export function handshake(infoHash, peerId) {
  const out = new Uint8Array(handshakeSize);
  out.set(protocol);
  out[25] = 0x10;
  out.set(infoHash, 28);
  out.set(peerId, 48);
  return out;
}

// message returns a message with 32-bit numbers and then bytes.
export function message(id, numbers = [], bytes = new Uint8Array(0)) {
  const out = new Uint8Array(5 + 4 * numbers.length + bytes.length), view = new DataView(out.buffer);
  view.setUint32(0, out.length - 4);
  out[4] = id;
  numbers.forEach((n, i) => view.setUint32(5 + 4 * i, n));
  out.set(bytes, 5 + 4 * numbers.length);
  return out;
}

// hashRange returns a message about the hashes of all blocks of a piece: tree is {ask, leaves} of the
// torrent. readHashRange returns {root, index, leaves, hashes} of one, or null for another range.
export function hashRange(id, { ask, leaves }, list = new Uint8Array(0)) {
  const body = new Uint8Array(48 + list.length), view = new DataView(body.buffer);
  body.set(ask.root);
  view.setUint32(36, ask.index);
  view.setUint32(40, leaves);
  body.set(list, 48);
  return message(id, [], body);
}
export function readHashRange(body) {
  if (body.length < 48) throw new Error("a bad message about hashes");
  if (number(body, 32) !== 0 || number(body, 44) !== 0) return null;
  return { root: body.subarray(0, 32), index: number(body, 36), leaves: number(body, 40), hashes: body.subarray(48) };
}

export const keepAlive = () => new Uint8Array(4);

// Reader takes apart the bytes of a connection. The owner calls push with the bytes that come,
// and then next until it returns null.
export class Reader {
  // most is the number of bytes of the longest message that is accepted.
  constructor(most) {
    this.most = most;
    this.buffer = new Uint8Array(0);
    this.shaken = false;
  }

  push(bytes) {
    if (this.buffer.length === 0) {
      this.buffer = bytes;
      return;
    }
    const all = new Uint8Array(this.buffer.length + bytes.length);
    all.set(this.buffer);
    all.set(bytes, this.buffer.length);
    this.buffer = all;
  }

  take(n) {
    const out = this.buffer.subarray(0, n);
    this.buffer = this.buffer.subarray(n);
    return out;
  }

  // next returns the handshake as {infoHash, peerId, extended}, then messages as {id, body}. It
  // throws an Error for anything else. A keep-alive has the id -1.
  next() {
    if (!this.shaken) {
      const n = Math.min(this.buffer.length, protocol.length);
      for (let i = 0; i < n; i++) if (this.buffer[i] !== protocol[i]) throw new Error("not the BitTorrent protocol");
      if (this.buffer.length < handshakeSize) return null;
      this.shaken = true;
      const h = this.take(handshakeSize);
      return { infoHash: h.subarray(28, 48), peerId: h.subarray(48), extended: (h[25] & 0x10) !== 0 };
    }
    if (this.buffer.length < 4) return null;
    const length = number(this.buffer, 0);
    if (length > this.most) throw new Error("a message is too long");
    if (this.buffer.length < 4 + length) return null;
    const m = this.take(4 + length);
    return length === 0 ? { id: -1, body: m.subarray(4) } : { id: m[4], body: m.subarray(5) };
  }
}

// number returns the 32-bit number at a position.
export const number = (bytes, at) => ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;

// packBits returns the bits of a bitfield message, and unpackBits the pieces of one. unpackBits
// returns null if the number of bytes is wrong or a spare bit is set.
export function packBits(pieces) {
  const out = new Uint8Array(Math.ceil(pieces.length / 8));
  pieces.forEach((set, i) => { if (set) out[i >> 3] |= 0x80 >> (i & 7); });
  return out;
}
export function unpackBits(bytes, count) {
  if (bytes.length !== Math.ceil(count / 8)) return null;
  const out = new Uint8Array(count);
  for (let i = 0; i < bytes.length * 8; i++) {
    const set = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
    if (i < count) out[i] = set;
    else if (set) return null;
  }
  return out;
}
