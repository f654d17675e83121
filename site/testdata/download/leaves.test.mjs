// Tests of the v2 hashes beside a v1 torrent. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { from, Swarm, torrentV1, until, withV2 } from "./helpers.mjs";

const { parse } = await from("metainfo");
const { blockHashes } = await from("hash");
const wire = await from("wire");

const pieceLength = 131072;
const release = async (size) => withV2(torrentV1([{ path: "name", data: randomBytes(size) }], pieceLength, true), pieceLength);

test("v2 hashes beside a v1 torrent check its pieces, and bad ones are ignored", async () => {
  const { bytes, data, hashes } = await release(300_000);
  const t = await parse(bytes);
  assert.equal(t.layer.length, 3);
  const last = new Uint8Array(data.subarray(2 * pieceLength));
  assert.ok(await t.check(2, last));
  last[1] ^= 1;
  assert.ok(!(await t.check(2, last)));
  assert.ok(t.layer, "a wrong piece says nothing about the hashes");
  for (const at of [0, 32 * 3 + 1]) { // a piece and the file contradict each other
    const bad = hashes.slice();
    bad[at] ^= 1;
    const other = await parse(torrentV1([{ path: "name", data }], pieceLength, true).bytes);
    await other.readBeside(bad);
    assert.equal(other.layer, null);
    await other.readBeside(hashes.subarray(32));
    assert.equal(other.layer, null);
    await other.readBeside(hashes);
    assert.ok(other.layer);
  }
  t.layer[0] = { ...t.layer[0], root: new Uint8Array(32) }; // they describe other data
  assert.ok(await t.check(0, new Uint8Array(data.subarray(0, pieceLength))));
  assert.equal(t.layer, null);
});

// mixed lets a fetch the first piece from two members: the odd blocks from liar.
function mixed(a, liar, honest) {
  const peers = [...a.peers.values()], of = (m) => peers.find((p) => p.who === `peer ${m}`);
  const { data } = a.torrent.test, piece = a.picker.start(0);
  for (let b = 0; b < piece.blocks; b++) {
    const block = new Uint8Array(data.subarray(b * 16384, b * 16384 + piece.length(b))), source = of(b % 2 ? liar : honest);
    if (b === 3) block[9] ^= 1;
    a.take(source, 0, b, block);
  }
}

async function three(cheat) {
  const { bytes, data } = await release(131072);
  const torrent = await parse(bytes);
  torrent.test = { data };
  const swarm = new Swarm(torrent);
  const members = [await swarm.join(data), await swarm.join(data, cheat), await swarm.join(data), await swarm.join()];
  const a = members[3];
  for (const m of members.slice(0, 3)) m.start(null);
  for (const m of members.slice(0, 3)) swarm.connect(m, a);
  await until("the peers have shown what they have", () => [...a.peers.values()].filter((p) => p.hasCount === 1 && p.knowsBlocks).length === 3);
  return { swarm, a, data };
}

test("a peer that sent one wrong block is named by the hashes of the blocks, and only this block is fetched again", async () => {
  const { swarm, a, data } = await three();
  mixed(a, 1, 0);
  await until("the liar is dropped", () => a.banned.size > 0);
  assert.deepEqual([...a.banned], ["peer 1"]);
  assert.equal(a.picker.active.get(0).left, 1);
  a.start(null);
  await until("complete", () => a.complete);
  assert.deepEqual(Buffer.from(a.store.data.get(0)), data);
  assert.deepEqual([a.bytes.wasted, a.bytes.peers], [16384, 16384]);
  await swarm.end();
});

test("hashes that do not fold to the root accuse nobody, and the next peer is asked", async () => {
  let asked = 0;
  const { swarm, a } = await three((m) => {
    if (m[4] !== wire.hashes) return m;
    asked++;
    const bad = m.slice();
    bad[60] ^= 1;
    return bad;
  });
  mixed(a, 2, 0); // peer 1 had no part in the piece, so it is asked first
  await until("the liar is dropped", () => a.banned.size > 0);
  assert.equal(asked, 1);
  assert.deepEqual([...a.banned], ["peer 2"]);
  await swarm.end();
});

test("requests for hashes are answered within a budget, and others are refused", async () => {
  const { swarm, a, data } = await three();
  const seed = swarm.members[0], [peer] = seed.peers.values(), got = [];
  peer.send = (bytes) => got.push(bytes);
  const tree = seed.torrent.layer[0], ask = wire.hashRange(wire.hashRequest, tree).subarray(5);
  await seed.leaves.requested(peer, ask);
  assert.equal(got[0][4], wire.hashes);
  assert.deepEqual(Buffer.from(got[0].subarray(5 + 48)), Buffer.concat(await blockHashes(new Uint8Array(data))));
  for (const [at, value] of [[0, 255], [35, 1], [39, 7], [43, 64], [47, 2]]) {
    const bad = ask.slice();
    bad[at] = value ^ bad[at];
    await seed.leaves.requested(peer, bad);
    assert.equal(got.at(-1)[4], wire.hashReject, String(at));
    assert.deepEqual(got.at(-1).subarray(5), bad);
  }
  seed.now = () => 0; // no time passes
  seed.leaves.budget = seed.leaves.filled = 0;
  await seed.leaves.requested(peer, ask);
  assert.equal(got.at(-1)[4], wire.hashReject);
  assert.throws(() => wire.readHashRange(new Uint8Array(47)));
  await swarm.end();
});
