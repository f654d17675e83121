// Tests of the schedule and of the feeds, without elements.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf, changeOf, countFates, formOf, periodInWords, ruleFieldsOf, ruleInWords, ruleOf, sortFeeds, stateOf } from "../../static/views/feeds/rule.js";
import { daysInWords, daysOf, fieldsOf, limitsOf, nextClock, replaced, textOfDays, whatOf, whenOf, windowOf } from "../../static/views/schedule/windows.js";

test("days are read and written as the daemon does", () => {
  for (const [text, same] of [["", ""], ["mon-sun", ""], ["mon-fri,sun", "mon-fri,sun"], ["Friday-mon", "mon,fri-sun"], ["sat, sun", "sat,sun"], ["wed", "wed"]]) {
    assert.equal(textOfDays(daysOf(text)), same, text);
  }
  assert.equal(daysInWords("mon-fri,sun"), "Mon–Fri, Sun");
  assert.equal(daysInWords("mon-sun"), "Every day");
  assert.deepEqual(daysOf("sun-mon"), [true, false, false, false, false, false, true]);
});

test("windows in words", () => {
  assert.equal(whenOf({ days: "sat-sun", from: "08:00", to: "23:00" }), "Sat, Sun, 08:00–23:00");
  assert.equal(whenOf({ from: "22:00", to: "6:00" }), "Every day, 22:00–6:00 of the next day");
  assert.equal(whenOf({ from: "9:30", to: "10:00" }), "Every day, 9:30–10:00"); // no comparison of texts
  assert.equal(whenOf({ days: "mon" }), "Mon, the whole day");
  assert.match(whenOf({ until: "2026-12-01T07:00:00Z" }), /^Once, until .*2026/);
  assert.equal(whatOf({ up: 500_000, down: 2_000_000 }), "upload at most 500 kB/s, download at most 2.00 MB/s");
  assert.equal(whatOf({ pause: true }), "paused");
  assert.equal(whatOf({}), "");
});

test("a form becomes a window", () => {
  const form = { ...fieldsOf({ from: "22:00", to: "24:00" }), up: "500k" };
  assert.equal(form.to, "00:00"); // fields of the browser have no 24:00
  assert.deepEqual(windowOf(form), { window: { up: 500_000, from: "22:00", to: "00:00" } });
  const weekend = { ...form, days: daysOf("sat,sun"), whole: true, pause: true, label: " films " };
  assert.deepEqual(windowOf(weekend), { window: { pause: true, days: "sat,sun", label: "films" } });
  for (const [change, wrong] of [[{ up: "fast" }, "up"], [{ down: "x" }, "down"], [{ up: "" }, "none"], [{ up: "0" }, "none"], [{ days: daysOf("").fill(false) }, "days"], [{ to: "" }, "times"]]) {
    assert.deepEqual(windowOf({ ...form, ...change }), { wrong });
  }
  const exact = { up: 1_234_567, days: "mon" };
  assert.deepEqual(windowOf(fieldsOf(exact), exact), { window: exact }); // what was not edited is not rounded
  assert.deepEqual(limitsOf({ pause: true, up: "x", down: "" }), { limits: { pause: true } });
});

test("a window is replaced in what the daemon has now", () => {
  const [a, b, c] = [{ up: 1, label: "x" }, { pause: true, days: "mon" }, { down: 2 }];
  assert.deepEqual(replaced([a, b], undefined, c), [a, b, c]);
  assert.deepEqual(replaced([a, b], { label: "x", up: 1, days: "" }, c), [c, b]);
  assert.deepEqual(replaced([a, b], b, null), [a]);
  assert.deepEqual(replaced([a], b, null), [a]); // another client has removed it
  assert.deepEqual(replaced([a], b, c), [a, c]);
});

test("tonight is the next time that the clock shows", () => {
  const evening = new Date(2026, 10, 30, 22, 15, 30);
  assert.deepEqual(nextClock("07:00", evening), new Date(2026, 11, 1, 7));
  assert.deepEqual(nextClock("23:00", evening), new Date(2026, 10, 30, 23));
  assert.deepEqual(nextClock("22:15", evening), new Date(2026, 11, 1, 22, 15));
});

test("a rule as fields, and back", () => {
  const rule = { all: ["a b", "c,d"], not: ["cam"], min_size: 1_234_567, newer: true };
  const fields = ruleFieldsOf(rule);
  assert.deepEqual(fields, { all: "a b, c d", any: "", not: "cam", min: "1.23 MB", max: "", newer: true });
  assert.deepEqual(ruleOf(fields, rule), { rule }); // nothing was edited, and nothing is rounded
  assert.deepEqual(ruleOf({ ...fields, all: " x ,, y z,", min: "", max: "2G", newer: false }, rule), { rule: { all: ["x", "y z"], not: ["cam"], max_size: 2e9 } });
  assert.deepEqual(ruleOf({ ...fields, min: "much" }), { wrong: "min" });
  assert.deepEqual(ruleOf({ ...fields, min: "2 GB", max: "1 GB" }), { wrong: "max" });
  assert.equal(ruleInWords(rule), "with “a b”, “c,d”, without “cam”, at least 1.23 MB, only newer versions");
  assert.equal(ruleInWords({}), "everything");
});

test("a feed is followed and changed by what was written", () => {
  const form = { ...formOf(), url: " https://example.org/feed ", label: "x" };
  assert.deepEqual(bodyOf(form, { newer: true }), { url: "https://example.org/feed", name: "", rule: { newer: true }, label: "x" });
  assert.deepEqual(bodyOf({ ...form, label: "", every: "3600", existing: true, dir: "/d" }, {}), { url: "https://example.org/feed", name: "", rule: {}, dir: "/d", every: 3600, existing: true });
  const feed = { name: "n", url: "u", label: "l", every: 7200, rule: { not: ["b"], all: ["a"] } };
  const same = formOf(feed);
  assert.deepEqual(changeOf(feed, same, ruleOf(same.rule, feed.rule).rule), {});
  assert.deepEqual(changeOf({ name: "n", url: "u" }, formOf({ name: "n" }), {}), {}); // the daemon leaves out what is empty
  assert.deepEqual(changeOf(feed, { ...same, label: "", every: "0" }, { all: ["a"] }), { label: "", every: 0, rule: { all: ["a"] } });
});

test("states of feeds, and what becomes of items", () => {
  const now = Date.UTC(2026, 10, 30, 12);
  const checked = "2026-11-30T11:59:00Z";
  assert.deepEqual([{ paused: true, error: "x" }, { error: "x", failures: 3, checked }, { error: "x", failures: 1 }, {}, { checked }].map((f) => stateOf(f, now).words),
    ["Paused", "Failed 3 times", "Failed", "Not checked yet", "Checked 1 min 0 s ago"]);
  assert.deepEqual([0, 900, 3600, 10_800, 86_400, 604_800].map(periodInWords), ["every 30 minutes", "every 15 minutes", "every hour", "every 3 hours", "every day", "every 7 days"]);
  const items = [{ match: true }, { match: true, here: true, seen: true }, { match: true, seen: true }, { match: false, seen: true, why: "w" }];
  assert.deepEqual(countFates(items), { wanted: 1, here: 1, seen: 1, out: 1 });
  const feeds = [{ id: "1", name: "b", url: "u" }, { id: "2", url: "https://a.example/x", label: "films" }];
  assert.deepEqual(sortFeeds(feeds, "").map((f) => f.id), ["1", "2"]);
  assert.deepEqual(sortFeeds(feeds, "FILMS a.example").map((f) => f.id), ["2"]);
});
