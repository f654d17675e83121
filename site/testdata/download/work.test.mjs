// Tests of the worker, its storage and several tabs. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { from, torrentV1, until } from "./helpers.mjs";
import { install } from "./fakedatabase.mjs";

const { Work } = await from("work");
const { Store } = await from("store");
const { Lead } = await from("tabs");
const { checkFile } = await from("own");
const { parse } = await from("metainfo");

const times = { beat: 40, dead: 400, claim: 80 }; // milliseconds

// site serves the torrent of a random file, and the file, in ranges, until hold(begin) is true.
function site(size = 300_000, hold = () => false) {
  const { bytes, data } = torrentV1([{ path: "name", data: randomBytes(size) }], 32768, true);
  const s = { data, asked: 0 };
  globalThis.fetch = async (url, { headers, signal } = {}) => {
    if (url.endsWith(".torrent")) return new Response(bytes);
    const [, begin, end] = headers.Range.match(/(\d+)-(\d+)/);
    s.asked++;
    if (hold(+begin)) return new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
    return new Response(data.subarray(+begin, +end + 1), { status: 206 });
  };
  return s;
}

// Tab is the worker of a tab.
class Tab {
  constructor(options = {}) {
    this.got = [];
    this.work = new Work((m) => this.got.push(m), times);
    this.work.message({ do: "open", torrent: "http://site/t.torrent", data: "http://site/d", byPath: null, page: "http://site/", client: "-Sw0100-", tracked: false, ...options });
  }

  do(name, more = {}) { this.work.message({ do: name, ...more }); }
  last(is) { return this.got.findLast((m) => m.is === is); }
  get state() { return this.last("state"); }
  opened() { return until("the tab is open", () => this.last("opened")); }
  reaches(phase) { return until(`the state ${phase}, not ${JSON.stringify(this.state)}`, () => this.state?.phase === phase); }
}

const end = (...tabs) => Promise.all(tabs.map((t) => t.work.end()));

// freeze keeps a tab from running, and returns a function that wakes it.
function freeze(tab) {
  const { lead, channel } = tab.work, heard = [lead.channel.onmessage, channel.onmessage];
  clearInterval(lead.timer);
  clearInterval(tab.work.timer);
  lead.channel.onmessage = channel.onmessage = () => {};
  return () => {
    [lead.channel.onmessage, channel.onmessage] = heard;
    lead.timer = setInterval(() => lead.look(), times.beat);
    lead.look();
  };
}

test("a download is stored, given to a second tab as a state, and all of it is deleted", async () => {
  const db = install(), { data } = site();
  const a = new Tab();
  await a.opened();
  a.do("start");
  await a.reaches("done");
  a.do("file", { index: 0 });
  await until("the file", () => a.last("file"));
  assert.deepEqual(Buffer.from(await a.last("file").blob.arrayBuffer()), data);
  const b = new Tab();
  await until("the second tab shows the first", () => b.state?.elsewhere && b.state.phase === "done");
  b.do("remove");
  await until("both tabs say that it is gone", () => a.last("removed") && b.last("removed"));
  assert.deepEqual([db.rows("pieces"), db.rows("downloads")], [[], []]);
  await end(a, b);
});

test("a lost connection to the database is opened again", async () => {
  const db = install();
  site();
  const a = new Tab();
  await a.opened();
  db.cut(false);
  a.do("start");
  await a.reaches("done");
  db.cut(true);
  a.do("remove");
  await until("it is deleted", () => a.last("removed"));
  assert.equal(db.rows("pieces").length, 0);
  assert.ok(db.opened >= 3);
  await end(a);
});

test("nothing is stored of a download that was deleted", async () => {
  const db = install();
  site();
  const a = new Tab();
  await a.opened();
  const store = await Store.open(), { key } = a.last("opened");
  await assert.rejects(store.put(key, [[0, new Uint8Array(9)]]), { name: "Removed" });
  assert.equal(await store.change(key, { given: 5 }), undefined);
  assert.equal(db.rows("downloads").length, 0);
  // Blocks whose hash is computed when the download is deleted.
  const checks = [];
  a.work.torrent.check = () => new Promise((done) => checks.push(done));
  a.do("start");
  await until("a piece is checked", () => checks.length > 0);
  const { download } = a.work;
  a.do("remove");
  await until("it is deleted", () => a.last("removed"));
  for (const done of checks) done(true);
  await new Promise((done) => setImmediate(done));
  await download.writing;
  await a.work.last;
  assert.deepEqual([db.rows("pieces"), db.rows("downloads")], [[], []]);
  await end(a);
});

test("the file of a visitor goes into a running download", async () => {
  const db = install(), { data } = site(300_000, (begin) => begin >= 0);
  const a = new Tab();
  await a.opened();
  a.do("start");
  await a.reaches("running");
  const running = a.work.download;
  a.do("own", { file: new Blob([data]), index: 0 });
  await a.reaches("done");
  assert.equal(a.work.download, running, "another download runs beside");
  assert.equal(db.rows("downloads").length, 1);
  await end(a);
});

test("a file is checked without a download, and what is kept of it is listed", async () => {
  install();
  const { data } = site();
  const a = new Tab();
  await a.opened();
  a.do("own", { file: new Blob([randomBytes(300_000)]), index: 0 });
  await until("it is checked", () => a.last("checked"));
  assert.equal(a.last("checked").good, 0);
  a.do("list");
  await until("the list is empty", () => a.last("list")?.downloads.length === 0);
  a.do("own", { file: new Blob([data.subarray(0, 100_000)]), index: 0 });
  await until("it is checked", () => a.last("checked").good === 3);
  assert.equal(a.state.have, 3 * 32768);
  a.do("list");
  await until("the copy is listed", () => a.last("list").downloads.length === 1);
  assert.equal(a.last("list").downloads[0].stored, 3 * 32768);
  await end(a);
});

test("a file that ends early or shares its pieces is not called complete", async () => {
  const zeros = torrentV1([{ path: "name", data: Buffer.alloc(100_000) }], 32768, true);
  const cut = await checkFile(new Blob([new Uint8Array(40_000)]), await parse(zeros.bytes), 0, async () => {}, () => {});
  assert.deepEqual([cut.good, cut.pieces, cut.wrong], [1, 4, [[32768, 100_000]]]);
  const tree = torrentV1([{ path: "a", data: randomBytes(1000) }, { path: "b", data: randomBytes(40_000) }], 32768);
  const small = await checkFile(new Blob([tree.data.subarray(0, 1000)]), await parse(tree.bytes), 0, async () => {}, () => {});
  assert.deepEqual([small.pieces, small.unchecked], [0, 1000]);
});

test("after a reload on a line that costs by volume, nothing is given", async () => {
  install();
  site(300_000, () => true);
  const a = new Tab();
  await a.opened();
  a.do("start", { share: false });
  await a.reaches("running");
  await end(a);
  const b = new Tab({ share: false });
  await b.reaches("running");
  assert.equal(b.state.sharing, false);
  await end(b);
});

test("one peer id is used for all downloads of a tab", async () => {
  install();
  site();
  const a = new Tab();
  await a.opened();
  a.do("start");
  await a.reaches("done");
  assert.deepEqual(a.work.download.peerId, a.last("opened").peerId);
  a.do("remove");
  await until("it is deleted", () => a.last("removed"));
  assert.deepEqual(a.work.download.peerId, a.last("opened").peerId);
  await end(a);
});

test("a tab goes on when the leader is closed, and after a wish that no leader has heard", async () => {
  install();
  let held = true;
  site(300_000, () => held);
  const a = new Tab();
  await a.opened();
  a.do("start");
  await a.reaches("running");
  const b = new Tab();
  await until("the second tab shows the first", () => b.state?.elsewhere);
  a.do("pause");
  await until("the second tab shows the pause", () => b.state.phase === "paused");
  freeze(a);
  held = false;
  b.do("start"); // the leader does not hear it
  await until("the second tab downloads", () => b.state.phase === "done" && !b.state.elsewhere);
  await end(a, b);
});

test("a tab that only shows the leader notices that it has ended", async () => {
  install();
  site(300_000, () => true);
  const a = new Tab();
  await a.opened();
  a.do("start");
  await a.reaches("running");
  const b = new Tab();
  await until("the second tab shows the first", () => b.state?.elsewhere);
  b.work.lead.seeking = false;
  await end(a);
  await until("the second tab shows what is stored", () => b.state.phase === "paused" && !b.state.elsewhere);
  await end(b);
});

test("a frozen leader that wakes follows the one that took over", async () => {
  install();
  site(300_000, () => true);
  const a = new Tab(), events = [];
  await a.opened();
  a.do("start");
  await a.reaches("running");
  const b = new Tab(); // it goes on when the first ends
  await until("the second tab shows the first", () => b.state?.elsewhere);
  const wake = freeze(a);
  await until("the second tab leads", () => b.work.lead.leading && b.state.phase === "running" && !b.state.elsewhere);
  assert.ok(a.work.lead.leading);
  wake();
  await until("only one leads", () => !a.work.lead.leading && a.last("follow"));
  await until("its download has ended", () => a.work.download.began === undefined);
  await end(a, b);
});

test("of several tabs that seek at once one leads", async () => {
  const tabs = Array.from({ length: 5 }, () => new Lead("many", { won() {}, lost() {}, silent() {} }, times));
  for (const t of tabs) t.seek();
  await until("one leads", () => tabs.filter((t) => t.leading).length === 1 && tabs.every((t) => t.leading || t.heard > 0));
  for (const t of tabs) t.end();
});

test("without a network the rate is zero at once", async () => {
  install();
  site(300_000, (begin) => begin > 0);
  const a = new Tab();
  await a.opened();
  a.do("start");
  await a.reaches("running");
  a.work.download.down.value = 5000;
  a.work.offline();
  assert.equal(a.state.rate, 0);
  await end(a);
});

test("the start of a file is handed out while the rest comes, and only what was checked", async () => {
  install();
  const { data } = site();
  let a = new Tab();
  await a.opened();
  a.do("part", { index: 0 });
  await until("an answer", () => a.last("part"));
  assert.deepEqual([a.last("part").blob, a.last("part").whole], [null, false]);
  const store = a.work.store, pieces = [0, 1, 2].map((i) => [i, new Uint8Array(data.subarray(i * 32768, (i + 1) * 32768))]);
  pieces[1][1][5] ^= 1; // damaged since it was stored
  await store.setRecord({ key: a.work.torrent.key, size: 1, files: null, running: false });
  await store.put(a.work.torrent.key, pieces);
  await end(a);
  a = new Tab();
  await a.opened();
  a.do("part", { index: 0 });
  await until("an answer", () => a.last("part"));
  assert.deepEqual(Buffer.from(await a.last("part").blob.arrayBuffer()), data.subarray(0, 32768));
  assert.deepEqual([a.last("part").whole, a.work.download.picker.row], [false, { next: 1, last: 9 }]);
  await end(a);
});

test("a tab that has ended seeks nothing", async () => {
  const a = new Lead("ended", { won() { assert.fail("it leads"); }, lost() {}, silent() {} }, times);
  await until("it has listened", () => performance.now() - a.began >= times.claim);
  a.end();
  a.seek();
  a.end();
  assert.ok(!a.leading);
});

test("a tab that was alone leads at once, and one beside another asks first", async () => {
  const ends = { won() {}, lost() {}, silent() {} };
  const a = new Lead("alone", ends, times);
  await until("it has listened", () => performance.now() - a.began >= times.claim);
  a.seek();
  assert.ok(a.leading);
  a.end();
  const b = new Lead("beside", ends, times), c = new Lead("beside", ends, times);
  await until("they know of each other", () => !b.alone && !c.alone && performance.now() - c.began >= times.claim);
  b.seek();
  assert.ok(!b.leading);
  await until("it leads", () => b.leading);
  const d = new Lead("beside", ends, times);
  await until("a new one hears the leader", () => d.heard > 0);
  d.seek();
  assert.ok(!d.leading);
  for (const t of [b, c, d]) t.end();
});
