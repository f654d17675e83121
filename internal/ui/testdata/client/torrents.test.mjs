// Tests of the list of torrents and of the choice of files, without elements.
import assert from "node:assert/strict";
import { test } from "node:test";
import { windowOf } from "../../static/ui/virtual.js";
import { nameOf, sourcesIn } from "../../static/views/add/sources.js";
import { escapeGlob, indexesOf, openAtFirst, patternsOf, rowsOf, stateOf, toggled, treeOf } from "../../static/views/add/tree.js";
import { countGroups, matcher, Rows } from "../../static/views/torrents/filter.js";
import { changeOf, fieldsOf } from "../../static/views/torrents/optionsform.js";
import * as selection from "../../static/views/torrents/selection.js";
import { cellsOf, counts } from "../../static/views/torrents/details/pieces.js";
import { makeTorrents } from "../mock/torrents.mjs";

test("sources are found in text", () => {
  const hash = "0123456789abcdef0123456789abcdef01234567";
  assert.deepEqual(sourcesIn(`# a comment\nmagnet:?xt=urn:btih:${hash}&dn=x  https://example.org/a.torrent\r\n${hash}\nwords only ${hash}`),
    [`magnet:?xt=urn:btih:${hash}&dn=x`, "https://example.org/a.torrent", hash]);
  assert.equal(nameOf("offer:abc"), "The .torrent file");
  assert.equal(nameOf(`magnet:?xt=urn:btih:${hash}&dn=a+film`), "a film");
  assert.deepEqual(sourcesIn("javascript:alert(1) file:///etc/passwd ftp://x/y"), []);
});

test("the tree of files, and patterns for what is chosen", () => {
  const files = ["b/2.mkv", "b/10.mkv", "a/x[1].txt", "read me", "b/c/deep*"].map((path, i) => ({ path, length: i + 1 }));
  const root = treeOf(files);
  assert.deepEqual(root.children.map((n) => n.name), ["a", "b", "read me"]);
  assert.deepEqual(root.children[1].children.map((n) => n.name), ["c", "2.mkv", "10.mkv"]);
  assert.equal(root.children[1].length, 1 + 2 + 5);
  assert.deepEqual(indexesOf(root).sort(), [0, 1, 2, 3, 4]);
  const open = openAtFirst(root);
  assert.equal(rowsOf(root, open).length, 8);
  assert.equal(rowsOf(root, new Set()).length, 3);
  const every = new Set([0, 1, 2, 3, 4]);
  assert.deepEqual(patternsOf(root, every), []);
  const some = toggled(root.children[1].children[0], every); // without b/c
  assert.equal(stateOf(root.children[1], some), "some");
  assert.deepEqual(patternsOf(root, some), ["/a", "/b/2.mkv", "/b/10.mkv", "/read me"]);
  assert.deepEqual(patternsOf(root, new Set([2, 4])), ["/a", "/b/c"]);
  assert.equal(stateOf(root.children[1], toggled(root.children[1], some)), "all");
  assert.equal(escapeGlob("a/x[1]*?\\.txt"), "/a/x\\[1\\]\\*\\?\\\\.txt");
  const many = treeOf(Array.from({ length: 4000 }, (_, i) => ({ path: `${i}`, length: 1 })));
  assert.equal(patternsOf(many, new Set(Array.from({ length: 1500 }, (_, i) => i))), null);
});

test("filters, counts and order", () => {
  const entries = makeTorrents(200);
  const { groups, labels } = countGroups(entries.values());
  assert.equal(groups.all, 200);
  assert.equal([...labels.values()].reduce((a, b) => a + b), 200);
  const all = { text: "", group: "all", label: null };
  assert.equal([...entries.values()].filter(matcher({ ...all, group: "seeding" })).length, groups.seeding);
  assert.ok([...entries.values()].filter(matcher({ ...all, text: "DEBIAN 13" })).every((x) => x.name.includes("debian-13")));
  assert.ok([...entries.values()].filter(matcher({ ...all, label: "" })).every((x) => !x.label));
  const rows = new Rows();
  const sizes = (list) => list.map((x) => x.total_length);
  const sorted = (list) => list.every((n, i) => i === 0 || list[i - 1] >= n);
  assert.ok(sorted(sizes(rows.refresh(entries, all, { by: "total_length", down: true }))));
  const [first] = entries.keys();
  entries.set(first, { ...entries.get(first), total_length: 1e15 });
  const gone = [...entries.keys()][5];
  entries.delete(gone);
  const next = rows.refresh(entries, all, { by: "total_length", down: true });
  assert.equal(next.length, 199);
  assert.equal(next[0].info_hash, first);
  assert.ok(sorted(sizes(next)));
  assert.equal(rows.refresh(entries, { ...all, group: "seeding" }, { by: "name", down: false }).length, groups.seeding);
  assert.equal(rows.refresh(entries, all, { by: "name", down: false }).length, 199);
});

test("selection by keys and ranges", () => {
  const rows = ["a", "b", "c", "d"].map((info_hash) => ({ info_hash }));
  let now = selection.move(selection.none, rows, 1, false);
  assert.equal(now.at, "a");
  now = selection.move(selection.move(now, rows, 1, true), rows, 1, true);
  assert.deepEqual([...now.keys], ["a", "b", "c"]);
  now = selection.move(now, rows, -1, true);
  assert.deepEqual([...now.keys], ["a", "b"]);
  now = selection.toggle(now, "d");
  assert.deepEqual([...now.keys], ["a", "b", "d"]);
  assert.deepEqual([...selection.extend(now, rows, "b").keys], ["b", "c", "d"]);
  assert.equal(selection.move(now, rows, Infinity, false).at, "d");
  assert.equal(selection.move(now, rows, -Infinity, false).at, "a");
  assert.equal(selection.all(now, rows).keys.size, 4);
  const kept = selection.keep(now, new Map([["a", {}]]));
  assert.deepEqual([[...kept.keys], kept.at], [["a"], null]);
  assert.equal(selection.move(selection.none, [], 1, false), selection.none);
});

test("settings of torrents are sent only if they were touched", () => {
  const torrents = [{ label: "x", down: 500_000, ratio: 1.5 }, { label: "y", down: 500_000, ratio: 1.5, sequential: true }];
  const before = fieldsOf(torrents);
  assert.deepEqual(before, { label: "", down: "500 k", up: "", ratio: "1.5", hours: "", sequential: null });
  assert.deepEqual(changeOf(before, before), { change: {} });
  assert.deepEqual(changeOf(before, { ...before, down: "", hours: "0,5", label: " films ", sequential: true }), { change: { down: 0, seed_time: 1800, label: "films", sequential: true } });
  assert.deepEqual(changeOf(before, { ...before, up: "much" }), { wrong: "up" });
  assert.deepEqual(changeOf(before, { ...before, ratio: "-1" }), { wrong: "ratio" });
});

test("pieces are shared among cells", () => {
  const have = Buffer.from([0b11110000, 0b10000000]).toString("base64");
  const pieces = { pieces: 10, have, open: [5], skipped: Buffer.from([0, 0b01000000]).toString("base64") };
  assert.deepEqual(counts(pieces), { have: 5, open: 1 });
  assert.deepEqual(cellsOf(pieces, 5), [{ have: 1, open: 0, skipped: 0 }, { have: 1, open: 0, skipped: 0 }, { have: 0, open: 0.5, skipped: 0 }, { have: 0, open: 0, skipped: 0 }, { have: 0.5, open: 0, skipped: 0.5 }]);
  assert.equal(cellsOf(pieces, 500).length, 10);
  assert.deepEqual(cellsOf({ pieces: 3, have: "" }, 5), []);
});

test("rows in sight", () => {
  assert.deepEqual(windowOf({ top: 0, height: 400, row: 40, count: 1000, more: 2 }), { first: 0, last: 12 });
  assert.deepEqual(windowOf({ top: 4000, height: 400, row: 40, count: 105, more: 2 }), { first: 98, last: 105 });
  assert.deepEqual(windowOf({ top: 9000, height: 400, row: 40, count: 5, more: 2 }), { first: 5, last: 5 });
});
