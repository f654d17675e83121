// What the tests of the modules share.
import { createHash } from "node:crypto";

export const from = (name) => import(new URL(`../../static/download/${name}.js`, import.meta.url));
const { bytesOf, decode, encode } = await from("bencode");
const { blockSize, pieceRoot } = await from("hash");
const { Download } = await from("download");

export const nodeHash = (kind, bytes) => new Uint8Array(createHash(kind).update(bytes).digest());

// withV2 adds v2 hashes beside the info dictionary.
export async function withV2(torrent, pieceLength) {
  const info = decode(torrent.bytes).get("info"), { data } = torrent, roots = [];
  for (let at = 0; at < data.length; at += pieceLength) roots.push(await pieceRoot(new Uint8Array(data.subarray(at, at + pieceLength)), pieceLength / blockSize));
  const whole = await pieceRoot(new Uint8Array(data), 2 ** Math.ceil(Math.log2(roots.length)) * (pieceLength / blockSize));
  const hashes = Buffer.concat([...roots, whole]);
  return { data, hashes: new Uint8Array(hashes), bytes: new Uint8Array(Buffer.concat([bytesOf("d4:info"), info.raw, bytesOf(`9:v2 hashes${hashes.length}:`), hashes, bytesOf("e")])) };
}

// torrentV1 returns a .torrent of files, {path, data, pad} each.
export function torrentV1(files, pieceLength, single = false) {
  const data = Buffer.concat(files.map((f) => f.data));
  let pieces = "";
  for (let at = 0; at < data.length; at += pieceLength) pieces += nodeHash("sha1", data.subarray(at, at + pieceLength)).reduce((s, b) => s + String.fromCharCode(b), "");
  const info = { name: "name", "piece length": pieceLength, pieces };
  if (single) info.length = data.length;
  else info.files = files.map((f) => ({ length: f.data.length, path: f.path.split("/"), ...(f.pad ? { attr: "p" } : {}) }));
  return { bytes: encode({ info }), data };
}

// memory is a store in memory.
export class Memory {
  constructor() { this.data = new Map(); }
  async indexes() { return [...this.data.keys()]; }
  async put(_, pieces) { for (const [i, bytes] of pieces) this.data.set(i, bytes.slice()); }
  async read(_, i) { return this.data.get(i) ?? null; }
  async forget(_, i) { this.data.delete(i); }
  async record() { return undefined; }
}

// swarm connects downloads of a torrent: each link passes bytes both ways. cheat changes the bytes
// of piece messages that a member sends.
export class Swarm {
  constructor(torrent) {
    this.torrent = torrent;
    this.members = [];
    this.links = new Map();
    this.next = 1;
  }

  async join(full, cheat) {
    const store = new Memory();
    if (full) for (let i = 0; i < this.torrent.count; i++) store.data.set(i, new Uint8Array(full.subarray(i * this.torrent.pieceLength, i * this.torrent.pieceLength + this.torrent.pieceSize(i))));
    const id = new Uint8Array(20).fill(this.members.length + 1);
    const m = new Download(this.torrent, store, id, {
      send: (link, bytes) => this.pass(m, link, cheat ? cheat(bytes) : bytes),
      close: (link) => this.cut(m, link), changed: () => {},
    });
    await m.load(new Uint8Array(this.torrent.count).fill(1));
    this.members.push(m);
    return m;
  }

  connect(a, b) {
    const link = this.next++, name = (m) => `peer ${this.members.indexOf(m)}`; // as a tracker tells it
    this.links.set(link, [a, b]);
    a.connected(link, name(b));
    b.connected(link, name(a));
  }

  pass(from, link, bytes) {
    const ends = this.links.get(link);
    const copy = bytes.slice();
    queueMicrotask(() => {
      if (!ends || !this.links.has(link)) return;
      from.sent(link, copy.length);
      (ends[0] === from ? ends[1] : ends[0]).arrived(link, copy);
    });
  }

  cut(from, link) {
    const ends = this.links.get(link);
    if (!this.links.delete(link)) return;
    (ends[0] === from ? ends[1] : ends[0]).drop(link);
  }

  async end() { for (const m of this.members) await m.stop(); }
}

export const until = async (what, condition) => {
  for (let n = 0; !condition(); n++) {
    if (n > 20_000) throw new Error(`not reached: ${what}`);
    await new Promise((done) => setTimeout(done, 3));
  }
};
