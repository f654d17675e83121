// Tests of bad sources: silent and lying peers and web servers. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { from, Memory, torrentV1, until } from "./helpers.mjs";

const { parse } = await from("metainfo");
const { Download } = await from("download");
const { Picker } = await from("picker");
const { Suspects } = await from("suspects");
const { report } = await from("report");
const wire = await from("wire");

// begun returns a download of a random file that has begun and whose clock the test moves.
async function begun(size, pieceLength, url = null, options = {}) {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(size) }], pieceLength, true);
  const torrent = await parse(bytes), closed = [];
  const d = new Download(torrent, new Memory(), new Uint8Array(20).fill(1), { send() {}, close: (id) => closed.push(id), changed() {} });
  let clock = 1000;
  d.now = () => clock;
  d.tracked = options.tracked ?? 1;
  await d.load(new Uint8Array(torrent.count).fill(1));
  d.start(url);
  clearInterval(d.timer);
  return { d, data, closed, pass: (seconds) => { clock += seconds; d.tick(); } };
}

// shake connects a peer that has everything and that calls itself by a number.
function shake(d, id, number, who = "") {
  d.connected(id, who);
  d.arrived(id, wire.handshake(d.torrent.infoHash, new Uint8Array(20).fill(number)));
  d.arrived(id, wire.message(wire.bitfield, [], wire.packBits(new Uint8Array(d.torrent.count).fill(1))));
}

// webServer answers the requests of downloads from data, changed by change(bytes, from), and
// returns a list of the ranges. The data never come if data is null.
function webServer(data, change = (bytes) => bytes) {
  const asked = [];
  globalThis.fetch = async (_, { headers, signal }) => {
    const [, begin, end] = headers.Range.match(/(\d+)-(\d+)/);
    asked.push([+begin, +end]);
    if (!data) return new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
    return new Response(change(new Uint8Array(data.subarray(+begin, +end + 1)), +begin), { status: 206 });
  };
  return asked;
}

const settled = (d) => until("no request runs", () => d.web.running === 0 && d.checking === 0 && !d.writing);

test("a silent peer that repeats that it does not choke is asked for nothing more", async () => {
  const { d, pass } = await begun(100_000, 65536);
  shake(d, 1, 7);
  const asked = () => [...d.picker.active.values()].some((p) => p.asked.some((a) => a.size > 0));
  d.arrived(1, wire.message(wire.unchoke));
  assert.ok(asked());
  for (let s = 0; s < 25; s++) {
    pass(1);
    d.arrived(1, wire.message(wire.unchoke));
  }
  assert.ok(!asked());
  for (let s = 0; s < 45; s++) pass(1);
  assert.ok(asked(), "the peer is tried again later");
  await d.stop();
});

test("peers that choke do not keep a download from the web server for long", async () => {
  const asked = webServer(null);
  const { d, pass } = await begun(100_000, 65536, () => "http://web/");
  shake(d, 1, 7);
  pass(2);
  assert.equal(asked.length, 0);
  pass(1);
  assert.ok(asked.length > 0);
  await d.stop();
});

test("a web server with wrong data is asked a few times, and then no more", async () => {
  const asked = webServer(randomBytes(1_000_000));
  const { d, pass } = await begun(1_000_000, 65536, () => "http://web/", { tracked: 0 });
  for (let n = 0; n < 8; n++) {
    await settled(d);
    assert.ok(d.web.ended || d.web.notBefore > d.now() + 5, "it is asked again at once");
    pass(100);
  }
  assert.ok(report(d).webEnded);
  assert.equal(report(d).webProblem, "wrong");
  const before = asked.length;
  assert.ok(before <= 16, `${before} requests`);
  pass(1000);
  assert.equal(asked.length, before);
  await d.stop();
});

test("a web server with one damaged piece sends all others", async () => {
  const { d, data, pass } = await begun(1_000_000, 65536, () => "http://web/", { tracked: 0 });
  const asked = webServer(data, (bytes, begin) => {
    const at = 3 * 65536 + 100 - begin;
    if (at >= 0 && at < bytes.length) bytes[at] ^= 1;
    return bytes;
  });
  d.web.again(); // the first request came before the server
  for (let n = 0; n < 12; n++) {
    pass(100);
    await settled(d);
  }
  assert.equal(d.picker.missing, 1);
  assert.equal(d.web.wrong.get(3), 2);
  const before = asked.length;
  pass(100);
  assert.equal(asked.length, before);
  await d.stop();
});

// suspicion returns a download with two peers that sent parts of a wrong piece, and others.
function suspicion(...others) {
  const torrent = { count: 1, length: 65536, pieceLength: 65536, pieceSize: () => 65536 };
  const picker = new Picker(torrent, new Uint8Array(1), new Uint8Array([1]));
  const peer = (id) => ({ id, has: [1], choked: false }), liar = peer(1), honest = peer(2);
  const d = { picker, guilt: [], time: 0, peers: new Map([liar, honest, ...others].map((p) => [p.id, p])), now: () => d.time, guilty: (source) => d.guilt.push(source) };
  d.suspects = new Suspects(d);
  const piece = picker.start(0);
  const send = (source, b, byte) => picker.received(source, 0, b, new Uint8Array(16384).fill(byte));
  send(liar, 0, 9);
  for (const b of [1, 2, 3]) send(honest, b, 1);
  d.suspects.failed(piece);
  return { d, piece, liar, honest, send };
}

test("a bad piece of several peers is fetched from one that had no part in it", () => {
  const third = { id: 3, has: [1], choked: false };
  const { d, piece, liar, send } = suspicion({ id: 4, has: [1], choked: true }, third);
  assert.equal(piece.only, third);
  for (const b of [0, 1, 2, 3]) assert.equal(send(liar, b, 9), null);
  for (const b of [0, 1, 2, 3]) send(third, b, 1);
  assert.equal(piece.left, 0);
  d.suspects.good(piece);
  assert.deepEqual(d.guilt, [liar]);
});

test("a liar that is asked alone and sends nothing does not hold up the piece", () => {
  const { d, piece, liar, honest, send } = suspicion();
  assert.equal(piece.only, liar);
  send(liar, 0, 1);
  d.suspects.tick(10);
  d.time = 30;
  d.suspects.tick(30);
  assert.equal(piece.only, honest);
  for (const b of [1, 2, 3]) send(honest, b, 1);
  d.suspects.good(piece);
  assert.deepEqual(d.guilt, [liar]);
});

test("a web server that sent a part of a bad piece is found", () => {
  const { d, piece, liar, honest, send } = suspicion();
  d.suspects.wrong.clear();
  const web = { usable: () => true }, request = { web };
  piece.restart();
  send(request, 0, 9);
  for (const b of [1, 2, 3]) send(honest, b, 1);
  d.suspects.failed(piece);
  assert.equal(piece.only, liar);
  for (const b of [0, 1, 2, 3]) send(liar, b, 1);
  d.suspects.good(piece);
  assert.deepEqual(d.guilt, [web]);
});

test("a peer is banned by what the tracker calls it, and not by what it calls itself", async () => {
  const { d, closed } = await begun(100_000, 65536);
  shake(d, 1, 7, "liar");
  d.ban(d.peers.get(1));
  shake(d, 2, 7, "other"); // has the id that the liar stated
  shake(d, 3, 8, "liar");
  shake(d, 4, 7, "third"); // states the id of another
  assert.deepEqual(closed, [1, 3]);
  assert.deepEqual([...d.peers.keys()], [2, 4]);
  await d.stop();
});
