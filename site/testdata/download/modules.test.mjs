// Tests of the modules of the download in a page, run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { from, nodeHash, torrentV1 } from "./helpers.mjs";

const { decode, encode, bytesOf, hex } = await from("bencode");
const { sha1 } = await from("sha1");
const { sha256 } = await from("sha256");
const { pieceRoot } = await from("hash");
const { parse } = await from("metainfo");
const wire = await from("wire");
const { choose } = await from("choker");
const { retryAfter } = await from("http");

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
