// Tests of the modules of the download in a page, run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

const from = (name) => import(new URL(`../../static/download/${name}.js`, import.meta.url));
const { decode, encode, bytesOf, hex } = await from("bencode");
const { sha1 } = await from("sha1");
const { sha256 } = await from("sha256");
const { pieceRoot } = await from("hash");
const { parse } = await from("metainfo");
const { Picker } = await from("picker");
const wire = await from("wire");
const { choose } = await from("choker");
const { retryAfter } = await from("http");
const { Download } = await from("download");

const nodeHash = (kind, bytes) => new Uint8Array(createHash(kind).update(bytes).digest());

test("bencoding is read and written, and bad input is an error", () => {
  const value = decode(bytesOf("d1:ai-3e1:bl2:xyi0eee"));
  assert.equal(value.get("a"), -3);
  assert.deepEqual([...value.get("b")[0]], [0x78, 0x79]);
  assert.equal(Buffer.from(encode({ b: ["xy", 0], a: -3 })).toString(), "d1:ai-3e1:bl2:xyi0eee");
  for (const bad of ["", "i1", "ie", "i-0e", "i01e", "5:abc", "l", "d1:a", "di1ei1ee", "i1ei2e", "99999999999999999999:", "l".repeat(100), "x", "i99999999999999999e"]) assert.throws(() => decode(bytesOf(bad)), Error, bad);
  for (let i = 0; i < 2000; i++) { // anything is a value or an error
    try { decode(randomBytes(i % 40)); } catch (err) { assert.ok(err instanceof Error); }
  }
});

test("our hashes are those of the standards", () => {
  for (const n of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 70000]) {
    const bytes = randomBytes(n);
    assert.equal(hex(sha1(bytes)), hex(nodeHash("sha1", bytes)));
    assert.equal(hex(sha256(bytes)), hex(nodeHash("sha256", bytes)));
  }
});

// torrentV1 returns a .torrent of files, {path, data, pad} each.
function torrentV1(files, pieceLength, single = false) {
  const data = Buffer.concat(files.map((f) => f.data));
  let pieces = "";
  for (let at = 0; at < data.length; at += pieceLength) pieces += nodeHash("sha1", data.subarray(at, at + pieceLength)).reduce((s, b) => s + String.fromCharCode(b), "");
  const info = { name: "name", "piece length": pieceLength, pieces };
  if (single) info.length = data.length;
  else info.files = files.map((f) => ({ length: f.data.length, path: f.path.split("/"), ...(f.pad ? { attr: "p" } : {}) }));
  return { bytes: encode({ info }), data };
}

test("a v1 torrent with pad files is parsed and its pieces are checked", async () => {
  const { bytes, data } = torrentV1([{ path: "a", data: randomBytes(20000) }, { path: ".pad/x", data: Buffer.alloc(12768), pad: true }, { path: "d/b", data: randomBytes(40000) }], 32768);
  const t = await parse(bytes);
  assert.equal(t.count, 3);
  assert.equal(t.size, 60000);
  assert.equal(t.pieceSize(2), 72768 - 65536);
  assert.deepEqual(t.parts(19990, 20), [{ file: 0, from: 19990, length: 10 }, { file: 1, from: 0, length: 10 }]);
  assert.deepEqual(t.piecesOf(2), [1, 2]);
  for (let i = 0; i < 3; i++) {
    const piece = new Uint8Array(data.subarray(i * 32768, i * 32768 + t.pieceSize(i)));
    assert.ok(await t.check(i, piece));
    piece[5] ^= 1;
    assert.ok(!(await t.check(i, piece)));
  }
});

test("a torrent with dangerous names or wrong hashes is refused", async () => {
  for (const info of [
    { name: "..", "piece length": 16384, pieces: "x".repeat(20), length: 1 }, { name: "a/b", "piece length": 16384, pieces: "x".repeat(20), length: 1 },
    { name: "a", "piece length": 16384, pieces: "x".repeat(40), length: 1 }, { name: "a", "piece length": 0, pieces: "", length: 1 },
    { name: "a", "piece length": 16384, pieces: "x".repeat(20), files: [{ length: 1, path: ["..", "b"] }] }, { name: "a", "piece length": 16384, pieces: "", length: 0 },
  ]) await assert.rejects(parse(encode({ info })), Error);
});

test("a v2 torrent is parsed, and its hashes are checked against its roots", async () => {
  const a = randomBytes(100_000), b = randomBytes(5000), length = 32768;
  const root = async (data, leaves) => pieceRoot(new Uint8Array(data), leaves);
  const layer = Buffer.concat(await Promise.all([0, 1, 2, 3].map((i) => root(a.subarray(i * length, (i + 1) * length), 2))));
  const text = (bytes) => Buffer.from(bytes).toString("latin1");
  const rootA = text(await root(a, 8));
  const info = { name: "n", "piece length": length, "meta version": 2, "file tree": { a: { "": { length: a.length, "pieces root": rootA } }, b: { "": { length: b.length, "pieces root": text(await root(b, 1)) } } } };
  const t = await parse(encode({ info, "piece layers": { [rootA]: text(layer) } }));
  assert.equal(t.count, 5);
  assert.equal(t.pieceSize(3), 100_000 - 3 * length);
  assert.equal(t.pieceSize(4), 5000);
  assert.ok(await t.check(3, new Uint8Array(a.subarray(3 * length))));
  assert.ok(await t.check(4, new Uint8Array(b)));
  assert.ok(!(await t.check(1, new Uint8Array(a.subarray(0, length)))));
  layer[0] ^= 1;
  await assert.rejects(parse(encode({ info, "piece layers": { [rootA]: text(layer) } })));
});

// plain is a torrent of count pieces for a picker.
const plain = (count, size = 32768) => ({ count, length: count * size, pieceLength: size, pieceSize: () => size });
const everything = () => true;

test("the picker takes the rarest piece, finishes pieces, and doubles requests only at the end", () => {
  const p = new Picker(plain(4), new Uint8Array(4), new Uint8Array(4).fill(1));
  for (const i of [0, 1, 3]) p.announced(i, 2);
  p.announced(2, 1);
  const a = {}, b = {};
  const [[piece, block]] = p.pick(a, everything, 1);
  assert.deepEqual([piece.index, block], [2, 0]);
  assert.deepEqual(p.pick(b, everything, 1).map(([q, n]) => [q.index, n]), [[2, 1]]);
  const rest = p.pick(a, everything, 100);
  assert.equal(rest.length, 6);
  const more = p.pick(b, everything, 100); // all blocks are asked for
  assert.equal(more.length, 7);
  const got = p.received(b, 2, 0, new Uint8Array(16384));
  assert.deepEqual(got.others, [a]);
  assert.equal(p.received(a, 2, 0, new Uint8Array(16384)), null);
  assert.equal(p.received(a, 2, 1, new Uint8Array(1)), null);
  assert.equal(p.received(b, 2, 1, new Uint8Array(16384)).piece.left, 0);
  p.stored(2);
  assert.equal(p.missing, 3);
  assert.ok(!p.active.has(2));
});

test("blocks of a peer that has gone are asked from others", () => {
  const p = new Picker(plain(1), new Uint8Array(1), new Uint8Array([1]));
  const a = {}, b = {};
  assert.equal(p.pick(a, everything, 9).length, 2);
  p.forget(a);
  assert.equal(p.pick(b, everything, 9).length, 2);
  assert.deepEqual(p.active.get(0).asked.map((s) => [...s]), [[b], [b]]);
});

test("a row for the web server contains only pieces that fit and that nobody is asked for", () => {
  const p = new Picker(plain(10), new Uint8Array(10), new Uint8Array(10).fill(1));
  const [[busy]] = p.pick({}, (i) => i === 4, 1);
  assert.equal(busy.index, 4);
  const seen = new Set();
  for (;;) {
    const row = p.pickRun({}, 3 * 32768, (i) => i !== 7);
    if (!row) break;
    assert.ok(row[1] - row[0] < 3);
    for (let i = row[0]; i <= row[1]; i++) {
      assert.ok(!seen.has(i));
      seen.add(i);
    }
  }
  assert.deepEqual([...seen].sort((a, b) => a - b), [0, 1, 2, 3, 5, 6, 8, 9]);
});

test("messages come out whole however the bytes are cut, and bad ones are an error", () => {
  const all = Buffer.concat([wire.handshake(new Uint8Array(20).fill(7), new Uint8Array(20).fill(8)), wire.message(wire.have, [5]), wire.keepAlive(), wire.message(wire.piece, [1, 16384], new Uint8Array([1, 2, 3]))]);
  for (const step of [1, 3, 70, all.length]) {
    const r = new wire.Reader(100), out = [];
    for (let at = 0; at < all.length; at += step) {
      r.push(new Uint8Array(all.subarray(at, at + step)));
      for (let m = r.next(); m; m = r.next()) out.push(m);
    }
    assert.equal(out.length, 4);
    assert.equal(out[0].infoHash[0], 7);
    assert.ok(out[0].extended);
    assert.deepEqual([out[1].id, wire.number(out[1].body, 0), out[2].id], [wire.have, 5, -1]);
    assert.deepEqual([...out[3].body.subarray(8)], [1, 2, 3]);
  }
  const r = new wire.Reader(100);
  r.push(bytesOf("GET / HTTP/1.1"));
  assert.throws(() => r.next());
  const long = new wire.Reader(100);
  long.push(new Uint8Array([...all.subarray(0, 68), 0xff, 0, 0, 0]));
  long.next();
  assert.throws(() => long.next());
  assert.deepEqual([...wire.unpackBits(wire.packBits(new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 1])), 9)], [1, 0, 0, 0, 0, 0, 0, 0, 1]);
  assert.equal(wire.unpackBits(new Uint8Array([0xff]), 7), null);
});

test("the choker serves those who send most, and a random one", () => {
  const peers = [5, 4, 3, 2, 1].map((n) => ({ wants: true, down: { value: n }, up: { value: 0 } }));
  const { unchoke, lucky } = choose([...peers, { wants: false }], false, 0, undefined);
  assert.deepEqual(unchoke.slice(0, 3), peers.slice(0, 3));
  assert.ok(peers.slice(3).includes(lucky));
  assert.equal(choose(peers, false, 1, peers[4]).lucky, peers[4]);
});

test("Retry-After is a number or a date within bounds", () => {
  assert.equal(retryAfter("7", 0), 7);
  assert.equal(retryAfter(new Date(20_000).toUTCString(), 5000), 15);
  assert.equal(retryAfter("999999", 0), 600);
  for (const bad of [null, "soon", "-5"]) assert.ok(retryAfter(bad, 0) >= 1);
});

// memory is a store in memory.
class Memory {
  constructor() { this.data = new Map(); }
  async indexes() { return [...this.data.keys()]; }
  async put(_, pieces) { for (const [i, bytes] of pieces) this.data.set(i, bytes.slice()); }
  async read(_, i) { return this.data.get(i) ?? null; }
  async forget(_, i) { this.data.delete(i); }
  async record() { return undefined; }
}

// swarm connects downloads of a torrent: each link passes bytes both ways. cheat changes the bytes
// of piece messages that a member sends.
class Swarm {
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
    const link = this.next++;
    this.links.set(link, [a, b]);
    a.connected(link);
    b.connected(link);
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

const until = async (what, condition) => {
  for (let n = 0; !condition(); n++) {
    if (n > 20_000) throw new Error(`not reached: ${what}`);
    await new Promise((done) => setTimeout(done, 3));
  }
};

test("downloads exchange pieces, and none is fetched again after a restart", async () => {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(1_000_000) }], 65536, true);
  const torrent = await parse(bytes), swarm = new Swarm(torrent);
  const seed = await swarm.join(data), a = await swarm.join(), b = await swarm.join();
  for (const m of swarm.members) m.start(null);
  swarm.connect(seed, a);
  swarm.connect(a, b);
  await until("both are complete", () => a.complete && b.complete);
  assert.deepEqual(Buffer.concat([...Array(torrent.count).keys()].map((i) => b.store.data.get(i))), data);
  assert.equal(a.given, 1_000_000);
  const again = new Download(torrent, b.store, new Uint8Array(20).fill(9), { send() {}, close() {}, changed() {} });
  b.store.data.get(3)[7] ^= 1; // damaged on the disk
  await again.load(new Uint8Array(torrent.count).fill(1));
  assert.equal(again.picker.missing, 0);
  again.start(null);
  await until("the damaged piece is found", () => again.picker.missing === 1);
  await again.stop();
  await swarm.end();
});

test("a peer that lies is found and dropped, and the download is complete", async () => {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(600_000) }], 65536, true);
  const torrent = await parse(bytes), swarm = new Swarm(torrent);
  const lie = (m) => {
    if (m.length < 1000 || m[4] !== wire.piece) return m;
    const bad = m.slice();
    bad[500] ^= 1;
    return bad;
  };
  const liar = await swarm.join(data, lie), honest = await swarm.join(data), a = await swarm.join();
  for (const m of swarm.members) m.start(null);
  swarm.connect(liar, a);
  await until("the liar is dropped", () => a.banned.size === 1 || (swarm.links.size === 0 && a.bytes.wasted > 0));
  swarm.connect(honest, a);
  await until("complete", () => a.complete);
  assert.deepEqual(Buffer.concat([...Array(torrent.count).keys()].map((i) => a.store.data.get(i))), data);
  assert.ok(a.banned.has(String(liar.peerId)));
  assert.ok(!a.banned.has(String(honest.peerId)));
  await swarm.end();
});

test("a peer that sends short blocks is dropped, and its requests go to others", async () => {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(300_000) }], 65536, true);
  const torrent = await parse(bytes), swarm = new Swarm(torrent);
  const short = (m) => {
    if (m.length < 1000 || m[4] !== wire.piece) return m;
    const bad = m.slice(0, 14);
    bad.set([0, 0, 0, 10]);
    return bad;
  };
  const liar = await swarm.join(data, short), honest = await swarm.join(data), a = await swarm.join();
  for (const m of swarm.members) m.start(null);
  swarm.connect(liar, a);
  await until("the liar is dropped", () => a.banned.has(String(liar.peerId)));
  swarm.connect(honest, a);
  await until("complete", () => a.complete);
  await swarm.end();
});

test("of two peers that sent blocks of a bad piece, only the liar is dropped", async () => {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(300_000) }], 131072, true);
  const torrent = await parse(bytes), swarm = new Swarm(torrent);
  const lie = (m) => {
    if (m.length < 1000 || m[4] !== wire.piece) return m;
    const bad = m.slice();
    bad[500] ^= 1;
    return bad;
  };
  const liar = await swarm.join(data, lie), honest = await swarm.join(data), a = await swarm.join();
  for (const m of swarm.members) m.start(null);
  swarm.connect(honest, a);
  swarm.connect(liar, a);
  await until("complete", () => a.complete);
  assert.deepEqual(Buffer.concat([...Array(torrent.count).keys()].map((i) => a.store.data.get(i))), data);
  assert.ok(!a.banned.has(String(honest.peerId)));
  await swarm.end();
});
