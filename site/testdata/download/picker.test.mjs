// Tests of what is asked from whom, run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { from } from "./helpers.mjs";

const { Picker } = await from("picker");
const { Pool } = await from("pool");

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
  assert.equal(p.pick(b, everything, 100, 0, false).length, 0); // all blocks are asked for, and b has others to send
  const more = p.pick(b, everything, 100);
  assert.equal(more.length, 4);
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
  assert.deepEqual(p.active.get(0).asked.map((s) => [...s.keys()]), [[b], [b]]);
});

test("a row for the web server contains only pieces that fit and that nobody is asked for", () => {
  const p = new Picker(plain(10), new Uint8Array(10), new Uint8Array(10).fill(1));
  const [[busy]] = p.pick({}, (i) => i === 4, 1);
  assert.equal(busy.index, 4);
  p.announced(7, 1);
  const seen = new Set();
  for (;;) {
    const row = p.pickRun({}, 3 * 32768, true);
    if (!row) break;
    assert.ok(row[1] - row[0] < 3);
    for (let i = row[0]; i <= row[1]; i++) {
      assert.ok(!seen.has(i));
      seen.add(i);
    }
  }
  assert.deepEqual([...seen].sort((a, b) => a - b), [0, 1, 2, 3, 5, 6, 8, 9]);
});

test("the pool has the rarest pieces first, whatever changes", () => {
  const n = 40, p = new Pool(n), peers = new Array(n).fill(0), inside = new Set();
  for (let k = 0; k < 5000; k++) {
    const i = Math.floor(Math.random() * n), act = Math.random();
    if (act < 0.3) p.add(i) ?? inside.add(i);
    else if (act < 0.5) p.remove(i) ?? inside.delete(i);
    else if (act < 0.75 || peers[i] === 0) p.announced(i, 1) ?? peers[i]++;
    else p.announced(i, -1) ?? peers[i]--;
    const row = [...p.order.subarray(0, p.size)];
    assert.deepEqual(new Set(row), inside);
    assert.equal(row.length, inside.size);
    row.forEach((j, at) => assert.ok(p.place[j] === at && (at === 0 || peers[row[at - 1]] <= peers[j])));
    p.ends.forEach((end, level) => assert.equal(end, row.filter((j) => peers[j] <= level).length));
  }
});

test("a choice among many pieces looks at few", () => {
  const n = 100_000, p = new Picker(plain(n, 16384), new Uint8Array(n), new Uint8Array(n).fill(1));
  let looks = 0;
  const all = () => ++looks > 0, none = () => ++looks < 0;
  assert.equal(p.pick({}, all, 200).length, 200);
  assert.ok(looks < 1000, `${looks} looks for 200 pieces`);
  const poor = {};
  looks = 0;
  for (let k = 0; k < 100; k++) assert.equal(p.pick(poor, none, 10).length, 0);
  assert.ok(looks < 2 * n, `${looks} looks for a source that has nothing`);
  looks = 0;
  p.announced(77_777, 1, poor);
  assert.equal(p.pick(poor, (i) => i === 77_777, 10).length, 1);
});

test("blocks that a peer does not send are free for others and for the web server", () => {
  const p = new Picker(plain(2), new Uint8Array(2), new Uint8Array(2).fill(1));
  const silent = {}, other = {}, web = {};
  assert.equal(p.pick(silent, everything, 9, 100).length, 4);
  assert.equal(p.pickRun(web, 1 << 20, false, 105), null);
  p.active.get(0).asked.forEach((_, b) => assert.ok(!p.active.get(0).free(b, 105)));
  assert.deepEqual(p.pick(other, (i) => i === 0, 9, 111).map(([q, b]) => [q.index, b]), [[0, 0], [0, 1]]);
  assert.deepEqual(p.pickRun(web, 1 << 20, false, 111), [1, 1]);
  assert.equal(p.pickRun({}, 1 << 20, false, 1000)?.[0], 0); // others wait for the web server only
});

test("pieces of a file that is played are begun first, in their order, from peers and from web servers", () => {
  const p = new Picker(plain(10), new Uint8Array(10), new Uint8Array(10).fill(1)), a = {};
  for (let i = 3; i < 8; i++) p.announced(i, 9); // the least rare
  p.stored(3);
  p.row = { next: 3, last: 7 };
  assert.deepEqual(p.pick(a, (i) => i !== 5, 6).map(([q]) => q.index), [4, 4, 6, 6, 7, 7]);
  assert.deepEqual(p.pickRun({}, 65536, false), [5, 5]);
  for (let i = 4; i < 8; i++) p.stored(i);
  assert.ok(![3, 4, 5, 6, 7].includes(p.pick(a, everything, 1)[0][0].index));
  assert.equal(p.row, null);
});
