// Tests of the parts without elements: requests, lists, events, addresses, texts and numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Api, ApiError, pathOf, problemOf } from "../../static/lib/api.js";
import { Collection } from "../../static/lib/collection.js";
import { duration, percent, rate, ratio, readRate, size, timeLeft } from "../../static/lib/format.js";
import { nameOf } from "../../static/lib/keys.js";
import { hrefOf, parseRoute, takeStart } from "../../static/lib/route.js";
import { nextDelay, Stream } from "../../static/lib/stream.js";
import { Session } from "../../static/lib/session.js";
import { choose, t, useTexts } from "../../static/lib/words.js";

const answer = (status, body) => new Response(body === undefined ? null : JSON.stringify(body), { status });

test("requests that change something have the CSRF token, and errors their code and hint", async () => {
  const sent = [];
  const answers = [answer(204), answer(200, { a: 1 }), answer(409, { type: "about:blank", title: "Conflict", status: 409, detail: "it was added already", code: "exists", hint: "look", error: { code: "exists", message: "it was added already" } })];
  const api = new Api(async (url, init) => {
    sent.push([url, init]);
    return answers.shift();
  });
  api.csrf = "secret";
  assert.equal(await api.patch(pathOf("v1", "torrents", "a b/c"), { paused: true }), null);
  assert.deepEqual(await api.get("/v1/status", { q: "x y", none: undefined }), { a: 1 });
  await assert.rejects(api.post("/v1/torrents", {}), (err) => err instanceof ApiError && err.code === "exists" && err.hint === "look" && err.message === "it was added already" && err.status === 409);
  assert.equal(sent[0][0], "/v1/torrents/a%20b/c");
  assert.equal(sent[0][1].headers["X-Spate-CSRF"], "secret");
  assert.equal(sent[1][0], "/v1/status?q=x+y");
  assert.equal(sent[1][1].headers["X-Spate-CSRF"], undefined);
  assert.deepEqual(problemOf({ error: { code: "old", message: "m" } }), { code: "old", message: "m", hint: undefined });
});

test("a lost daemon and an ended session are told apart", async () => {
  let reply = async () => { throw new TypeError("failed"); };
  const api = new Api((...args) => reply(...args));
  const reached = [];
  api.onReached = (yes) => reached.push(yes);
  const session = new Session(api);
  await assert.rejects(session.resume(), { code: "unreachable", status: 0 });
  assert.equal(session.state.get().phase, "unknown");
  reply = async () => answer(200, { csrf: "c", scopes: ["read", "torrents"] });
  await session.resume();
  assert.equal(session.state.get().phase, "in");
  assert.ok(session.may("torrents") && !session.may("publish"));
  reply = async () => answer(401, { code: "unauthorized" });
  await assert.rejects(api.get("/v1/status"));
  assert.equal(session.state.get().phase, "out");
  assert.deepEqual(reached, [false, true, true]);
});

test("events during a load are newer than pages that were asked for before them", async () => {
  const list = new Collection((x) => x.ref);
  list.apply({ changed: [{ ref: "old", n: 0 }] });
  const pages = [[{ ref: "a", n: 1 }, { ref: "b", n: 1 }], [{ ref: "c", n: 1 }]];
  let calls = 0;
  await list.load(async (offset) => {
    const page = pages[offset / 2];
    if (calls++ === 0) list.apply({ changed: [{ ref: "a", n: 2 }, { ref: "new", n: 2 }] });
    return { total: 3, entries: page };
  });
  assert.ok(list.loaded);
  assert.deepEqual(Object.fromEntries([...list.entries].map(([ref, x]) => [ref, x.n])), { a: 2, b: 1, c: 1, new: 2 });
  const version = list.get();
  list.apply({ removed: ["b"] });
  assert.ok(!list.entries.has("b") && list.get() > version);
});

test("a list whose pages moved is loaded again", async () => {
  const list = new Collection((x) => x.ref);
  let there = ["a", "b", "c", "d"];
  const asked = [];
  await list.load(async (offset) => {
    asked.push(offset);
    const entries = there.slice(offset, offset + 2).map((ref) => ({ ref }));
    const total = there.length;
    if (asked.length === 1) {
      there = ["b", "c", "d"]; // c is skipped by the next page
      list.apply({ removed: ["a"] });
    }
    return { total, entries };
  });
  assert.deepEqual([...list.entries.keys()].sort(), ["b", "c", "d"]);
  assert.deepEqual(asked, [0, 2, 0, 2]);
});

test("the stream goes on where it was, and slows down", () => {
  const opened = [];
  class Source extends EventTarget {
    close() { this.closed = true; }
  }
  const got = [];
  const sources = [];
  const stream = new Stream({ torrents: (data) => got.push(data) }, { open: (url) => {
    opened.push(url);
    sources.push(new Source());
    return sources.at(-1);
  } });
  stream.start();
  const [first] = sources;
  first.onopen();
  assert.equal(stream.state.get(), "live");
  first.dispatchEvent(Object.assign(new MessageEvent("torrents", { data: "{\"changed\":[]}", lastEventId: "e-7" })));
  first.onerror();
  assert.equal(stream.state.get(), "lost");
  assert.ok(first.closed);
  stream.retry();
  assert.deepEqual(opened, ["/v1/events", "/v1/events?last_event_id=e-7"]);
  stream.stop();
  assert.deepEqual(got, [{ changed: [] }]);
  assert.deepEqual([0, 1, 2, 3, 4, 40].map(nextDelay), [1000, 2000, 4000, 8000, 15000, 15000]);
});

test("addresses", () => {
  assert.deepEqual(parseRoute("#/torrents/ab%20c/files?x=1"), { view: "torrents", parts: ["ab c", "files"], query: { x: "1" } });
  assert.deepEqual(parseRoute(""), { view: "", parts: [], query: {} });
  assert.deepEqual(parseRoute("#/a/%zz").parts, ["%zz"]);
  assert.equal(hrefOf("releases", "a b/c"), "#/releases/a%20b%2Fc");
  assert.deepEqual(takeStart("#once=abc&add=magnet%3A%3Fxt%3Durn%3Abtih%3A1%26dn%3Dx"), { once: "abc", add: ["magnet:?xt=urn:btih:1&dn=x"] });
  assert.equal(takeStart("#/torrents"), null);
  assert.equal(takeStart(""), null);
});

test("numbers", () => {
  assert.deepEqual([0, 999, 1000, 1500, 99_950, 999_499, 999_500, 12_345_678, 5e12].map(size), ["0 B", "999 B", "1.00 kB", "1.50 kB", "100 kB", "999 kB", "1.00 MB", "12.3 MB", "5.00 TB"]);
  assert.equal(rate(0), "");
  assert.deepEqual([0, 0.001, 0.9999, 1].map(percent), ["0 %", "0.1 %", "99.9 %", "100 %"]);
  assert.deepEqual([5, 65, 3700, 90_000, Infinity].map(duration), ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h", "∞"]);
  assert.equal(timeLeft({ total_length: 100, done: 50, down_rate: 10 }), 5);
  assert.equal(ratio({ downloaded: 0, done: 100, uploaded: 50 }), 0.5);
  assert.deepEqual(["", "500k", "2 MB/s", "1,5M", "1KiB", "12", "fast", "-1"].map(readRate), [0, 500_000, 2_000_000, 1_500_000, 1024, 12, null, null]);
});

test("keys and texts", () => {
  assert.equal(nameOf({ key: "ArrowDown", shiftKey: true }), "Shift+ArrowDown");
  assert.equal(nameOf({ key: "?", shiftKey: true }), "?");
  assert.equal(nameOf({ key: " " }), "Space");
  assert.equal(nameOf({ key: "a", metaKey: true }), "Ctrl+a");
  assert.equal(choose(["fr-FR", "de-AT"]).code, "de");
  assert.equal(choose(["zh-CN"]).tag, "zh-Hans");
  assert.equal(t("%d torrent|%d torrents", 1), "1 torrent");
  assert.equal(t("%d torrent|%d torrents", 1200), "1,200 torrents");
  assert.equal(t("%1s of %2s", "a", "b"), "a of b");
  useTexts({ code: "de", tag: "de", name: "" }, { "%d torrent|%d torrents": { one: "%d Torrent", other: "%d Torrents" }, "%1s of %2s": "%2s hat %1s" });
  assert.equal(t("%d torrent|%d torrents", 1), "1 Torrent");
  assert.equal(t("%d torrent|%d torrents", 1200), "1.200 Torrents");
  assert.equal(t("%1s of %2s", "a", "b"), "b hat a");
  useTexts({ code: "en", tag: "en", name: "" }, {});
});
