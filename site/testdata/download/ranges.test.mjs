// Tests of ranges from peers over HTTP. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { from, Memory, torrentV1, until } from "./helpers.mjs";

const { parse } = await from("metainfo");
const { Download } = await from("download");
const { askable, hex } = await from("ranges");
const { report } = await from("report");
const wire = await from("wire");

// begun returns a download of a random file that has begun. servers are functions that answer the
// requests to an "ip:port", and site answers those to the site.
async function begun(size, pieceLength, servers, site = null) {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(size) }], pieceLength, true);
  const torrent = await parse(bytes), sent = [];
  globalThis.fetch = async (url, options) => {
    const [, at] = url.match(/^http:\/\/([^/]+)\//), [, begin, end] = options.headers.Range.match(/(\d+)-(\d+)/);
    if (at === "site") return site(data, +begin, +end);
    assert.equal(new URL(url).pathname, `/piece-data/${hex(torrent.infoHash)}`);
    return servers[at](data, +begin, +end, options.signal);
  };
  const d = new Download(torrent, new Memory(), new Uint8Array(20).fill(1), { send: (id, b) => sent.push(b), close() {}, changed() {} });
  let clock = 1000;
  d.now = () => clock;
  d.tracked = 1;
  await d.load(new Uint8Array(torrent.count).fill(1));
  d.start(site && (() => "http://site/"));
  clearInterval(d.timer);
  return { d, data, sent, torrent, pass: (seconds) => { clock += seconds; d.tick(); } };
}

// answer is the answer of a peer with a range, of at most most bytes.
const answer = (data, begin, end, most = 1e9, change = (b) => b) => {
  end = Math.min(end, begin + most - 1);
  return new Response(change(new Uint8Array(data.subarray(begin, end + 1))), { status: 206, headers: { "Content-Range": `bytes ${begin}-${end}/${data.length}`, "X-Peer-Id": "07".repeat(20) } });
};
const busy = () => new Response("", { status: 503, headers: { "Retry-After": "3" } });
const noise = (b) => b.map((x) => x ^ 1);

const whole = (d, data) => {
  const got = Buffer.alloc(data.length);
  for (const [i, b] of d.store.data) got.set(b, i * d.torrent.pieceLength);
  return got.equals(data);
};

test("a download takes everything from peers over HTTP and nothing from the site", async () => {
  const asked = [];
  const server = (data, begin, end) => { asked.push([begin, end]); return answer(data, begin, end, 100_000); };
  const { d, data } = await begun(3_000_000, 65536, { "8.8.8.8:6881": server, "9.9.9.9:6881": server }, () => assert.fail("the site is asked"));
  d.serving(["8.8.8.8:6881", "9.9.9.9:6881"]);
  await until("the download is complete", () => d.complete);
  assert.ok(whole(d, data));
  const r = report(d);
  assert.deepEqual([r.fromPeers, r.fromRanges, r.fromWeb, r.wasted], [data.length, data.length, 0, 0]);
  assert.ok(asked.some(([begin]) => begin % 65536 !== 0), "short answers are continued");
  await d.stop();
});

test("a peer that sends wrong pieces over HTTP is asked no more", async () => {
  let lies = 0;
  const liar = (data, begin, end) => { lies++; return answer(data, begin, end, 1e9, noise); };
  const { d, data } = await begun(2_000_000, 65536, { "8.8.8.8:6881": liar, "9.9.9.9:6881": (data, begin, end) => answer(data, begin, end) });
  d.serving(["8.8.8.8:6881", "9.9.9.9:6881"]);
  await until("the download is complete", () => d.complete);
  assert.ok(whole(d, data));
  const before = lies;
  d.serving(["8.8.8.8:6881"]);
  assert.equal(lies, before);
  assert.equal(report(d).banned, 1);
  await d.stop();
});

test("a busy peer is asked again later, a dead one seldom, and the site only then", async () => {
  const times = { busy: 0, dead: 0, site: 0 };
  let open = false;
  const servers = {
    "8.8.8.8:6881": (data, begin, end) => { times.busy++; return open ? answer(data, begin, end) : busy(); },
    "9.9.9.9:6881": async () => { times.dead++; throw new TypeError("refused"); },
  };
  const { d, pass } = await begun(300_000, 65536, servers, () => { times.site++; return busy(); });
  d.serving(["8.8.8.8:6881", "9.9.9.9:6881"]);
  const settled = () => until("no request runs", () => d.ranges.running() === 0 && d.web.running === 0);
  await settled();
  assert.deepEqual(times, { busy: 1, dead: 1, site: 0 });
  for (let n = 0; n < 100; n++) {
    pass(1);
    await settled();
  }
  assert.ok(times.busy > 20 && times.busy < 40, `${times.busy} requests to a busy peer`);
  assert.equal(times.dead, 3);
  assert.ok(times.site > 0, "the site is asked when no peer sends");
  open = true;
  for (let n = 0; n < 100 && !d.complete; n++) {
    pass(1);
    await settled();
    await until("the pieces are stored", () => d.checking === 0 && !d.writing && !d.proving);
  }
  assert.ok(d.complete);
  await d.stop();
});

test("a silent peer does not keep a piece", async () => {
  const silent = (_, begin, end, signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
  const timer = globalThis.setTimeout;
  globalThis.setTimeout = (f, ms, ...rest) => timer(f, ms / 1000, ...rest);
  try {
    const { d, data } = await begun(100_000, 65536, { "8.8.8.8:6881": silent, "9.9.9.9:6881": (data, begin, end) => answer(data, begin, end) });
    d.serving(["8.8.8.8:6881", "9.9.9.9:6881"]);
    await until("the download is complete", () => d.complete);
    assert.ok(whole(d, data));
    await d.stop();
  } finally {
    globalThis.setTimeout = timer;
  }
});

test("a peer that sends ranges is not asked over WebRTC meanwhile", async () => {
  let go;
  const server = async (data, begin, end) => {
    await new Promise((done) => { go = done; });
    return answer(data, begin, end, 16384);
  };
  const { d, sent } = await begun(300_000, 16384, { "8.8.8.8:6881": server });
  d.serving(["8.8.8.8:6881"]);
  go();
  await until("the peer has answered", () => d.ranges.active().length > 0);
  const before = sent.length;
  d.connected(1, "");
  d.arrived(1, wire.handshake(d.torrent.infoHash, new Uint8Array(20).fill(7)));
  d.arrived(1, wire.message(wire.bitfield, [], wire.packBits(new Uint8Array(d.torrent.count).fill(1))));
  d.arrived(1, wire.message(wire.unchoke));
  const interested = () => sent.slice(before).some((b) => b.length === 5 && b[4] === wire.interested);
  assert.ok(!interested());
  d.ranges.stop();
  d.kick();
  assert.ok(interested(), "without ranges it is asked over WebRTC");
  go();
  await d.stop();
});

test("a page on the internet asks no private address, and no page asks what is not an address", () => {
  const all = ["8.8.8.8:6881", "[2001:db8::1]:6881", "10.0.0.1:6881", "192.168.1.1:6881", "127.0.0.1:6881", "169.254.1.1:6881", "100.64.0.1:6881", "[::1]:6881", "[fd00::1]:6881", "[fe80::1]:6881"];
  const bad = ["example.org:6881", "8.8.8.8:80", "8.8.8.8:99999", "8.8.8.8", "300.1.1.1:6881", "8.8.8.8:6881/x", "a@8.8.8.8:6881", 5, null, "[::ffff:10.0.0.1]:6881"];
  const open = all.slice(0, 2);
  for (const here of ["example.org", "203.0.113.5", "[2001:db8::2]"]) assert.deepEqual(askable([...all, ...bad], here), open, here);
  for (const here of ["10.1.2.3", "localhost", "[fd00::2]"]) assert.deepEqual(askable([...all, ...bad.slice(0, -1)], here), all, here);
});
