// Tests of whole downloads, run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { from, Swarm, torrentV1, until } from "./helpers.mjs";

const { parse } = await from("metainfo");
const { Download } = await from("download");
const wire = await from("wire");

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
  assert.ok(a.banned.has("peer 0"));
  assert.ok(!a.banned.has("peer 1"));
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
  await until("the liar is dropped", () => a.banned.has("peer 0"));
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
  assert.ok(!a.banned.has("peer 1"));
  await swarm.end();
});

test("free slots are given to peers that want pieces at once", async () => {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(400_000) }], 65536, true);
  const torrent = await parse(bytes), swarm = new Swarm(torrent);
  const seed = await swarm.join(data), takers = await Promise.all(Array.from({ length: 7 }, () => swarm.join()));
  seed.rechoke = () => {}; // no turn of the choker comes
  for (const m of swarm.members) m.start(null);
  for (const t of takers) swarm.connect(seed, t);
  await until("four are complete", () => takers.filter((t) => t.complete).length >= 4);
  await until("all are complete", () => takers.every((t) => t.complete));
  await swarm.end();
});
