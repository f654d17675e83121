// Tests of publishing: the files of an upload, its parts, what goes on after failures, and the release at the end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Api } from "../../static/lib/api.js";
import { chosenOf, lengthOf, markOf, partOf, readEntries, requestOf } from "../../static/lib/publish/files.js";
import { linesOf } from "../../static/lib/publish/lines.js";
import { elementsOf, isLink } from "../../static/lib/publish/preview.js";
import { bodyOf, Publishing } from "../../static/lib/publish/publishing.js";
import { nextSize, pauseAfter, Uploader } from "../../static/lib/publish/uploader.js";
import { finishedOf, sortReleases, stateOf } from "../../static/views/releases/words.js";

const file = (text, name = "f", lastModified = 1) => new File([text], name, { lastModified });
const of = (...list) => list.map(([path, text]) => ({ path, file: file(text, path.split("/").at(-1)) }));
const form = { release: " game ", version: "", variant: "amd64", group: "", notes: "# n", newer: false };

test("a file, a folder and several files become one upload without hidden files", () => {
  assert.equal(chosenOf(of([".DS_Store", "x"]), "files"), null);
  assert.deepEqual(requestOf(chosenOf(of(["a.iso", "abc"]), "files")).length, 3);
  const folder = chosenOf(of(["d/b", "22"], ["d/.git/x", "x"], ["d/a/c", "333"]), "files");
  assert.deepEqual([folder.name, folder.left, requestOf(folder).files], ["d", 1, [{ path: "a/c", length: 3 }, { path: "b", length: 2 }]]);
  const loose = chosenOf(of(["b", "1"], ["a", "2"]), "files");
  assert.deepEqual([loose.name, loose.folder, loose.files.map((f) => f.path)], ["files", true, ["a", "b"]]);
  assert.deepEqual(chosenOf(of(["d/b", "1"], ["da/b", "1"]), "files").name, "files");
});

test("the mark is the same for the same files only", () => {
  const mark = (list) => markOf(chosenOf(list, "files"));
  const one = mark(of(["d/a", "1"], ["d/b", "2"]));
  assert.equal(mark(of(["d/b", "2"], ["d/a", "1"])), one);
  assert.notEqual(mark(of(["d/a", "1"], ["d/c", "2"])), one);
  assert.notEqual(mark(of(["d/a", "11"], ["d/b", ""])), one);
  assert.notEqual(mark([{ path: "a", file: file("x", "a", 1) }]), mark([{ path: "a", file: file("x", "a", 2) }]));
  assert.ok(mark(of(["a", "x"])).length < 256);
});

test("parts run across the files", async () => {
  const chosen = chosenOf(of(["d/a", "012"], ["d/b", ""], ["d/c", "3456"], ["d/e", "7"]), "files");
  assert.equal(lengthOf(chosen), 8);
  for (let from = 0; from <= 8; from++) {
    for (let size = 1; size <= 9; size++) assert.equal(await partOf(chosen, from, size).text(), "01234567".slice(from, from + size));
  }
});

test("dropped folders are read to the end", async () => {
  const leaf = (name) => ({ isFile: true, name, file: (done) => done(file(name, name)) });
  const dir = (name, parts) => ({ isFile: false, name, createReader: () => ({ readEntries: (done) => done(parts.shift() ?? []) }) });
  const found = await readEntries([dir("d", [[leaf("a")], [dir("s", [[leaf("b")]]), leaf("c")]])]);
  assert.deepEqual(found.map((f) => f.path), ["d/a", "d/s/b", "d/c"]);
});

// A daemon that has some bytes of an upload, and fails as told.
class Daemon {
  has = "";
  faults = [];
  api = new Api((url, init) => this.answer(init));

  async answer({ method, body, headers }) {
    const fault = method === "PATCH" ? this.faults.shift() : undefined;
    const head = () => ({ headers: { "Upload-Offset": String(this.has.length) } });
    if (fault === "lost") {
      this.has += (await body.text()).slice(0, 2); // the connection is lost on the way
      throw new TypeError("network");
    }
    if (fault) return new Response(JSON.stringify({ detail: "no", code: "c" }), { status: fault });
    if (method === "PATCH") {
      if (Number(headers["Upload-Offset"]) !== this.has.length) return new Response("{}", { status: 409, ...head() });
      this.has += await body.text();
    }
    return new Response(null, { status: method === "PATCH" ? 204 : 200, ...head() });
  }
}

test("an upload goes on where the daemon is, after every failure that passes", async () => {
  const text = "0123456789";
  const chosen = chosenOf(of(["f", text]), "files");
  const daemon = new Daemon();
  daemon.faults = ["lost", 503, "lost", 409];
  const waits = [];
  const troubles = [];
  const uploader = new Uploader(daemon.api, { wait: async (ms) => { waits.push(ms); } });
  await uploader.send("id", chosen, 10, { onTrouble: (err) => troubles.push(err?.message ?? "on") });
  assert.equal(daemon.has, text);
  assert.deepEqual(waits, [500, 1000, 2000, 4000]);
  assert.equal(troubles.at(-1), "on");
  daemon.has = "012";
  daemon.faults = [507];
  await assert.rejects(uploader.send("id", chosen, 10), (err) => err.status === 507 && err.message === "no" && err.code === "c");
  daemon.faults = [409, 409, 409, 409, 409];
  await assert.rejects(uploader.send("id", chosen, 10), (err) => err.status === 409);
  const stop = new AbortController();
  stop.abort();
  daemon.faults = ["lost"];
  await assert.rejects(uploader.send("id", chosen, 10, { signal: stop.signal }));
  assert.deepEqual([pauseAfter(0), pauseAfter(30)], [500, 15_000]);
  assert.deepEqual([nextSize(1 << 20, 10), nextSize(8 << 20, 4000), nextSize(64 << 20, 1)], [2 << 20, 4 << 20, 64 << 20]);
});

test("lines are read across the parts of an answer", async () => {
  const bytes = new TextEncoder().encode('{"a":"ü"}\n\n{"b":2}');
  const stream = new ReadableStream({
    start(c) {
      for (const b of bytes) c.enqueue(Uint8Array.of(b));
      c.close();
    },
  });
  const got = [];
  for await (const line of linesOf(stream)) got.push(line);
  assert.deepEqual(got, [{ a: "ü" }, { b: 2 }]);
});

test("a form becomes a request", () => {
  assert.deepEqual(bodyOf(form, { upload: "u" }), { upload: "u", release: "game", notes: "# n", variants: ["amd64"] });
  assert.deepEqual(bodyOf({ ...form, release: "", variant: " ", notes: "", newer: true }, { paths: ["/x"] }), { paths: ["/x"], newer: true });
});

test("a job uploads, publishes, and keeps the form for an upload that is left", async () => {
  const kept = new Map();
  const store = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v), removeItem: (k) => kept.delete(k) };
  let publish = '{"event":"progress","done":1,"total":3}\n{"event":"error","error":{"code":"exists","message":"taken","hint":"h"}}\n';
  const uploads = [];
  const api = {
    get: async () => ({ uploads }),
    post: async (path, body) => ({ ...body, id: "u1", length: 3, offset: 0 }),
    delete: async () => null,
    raw: async () => new Response(publish),
  };
  const sent = [];
  const publishing = new Publishing({ api }, { store, uploader: { send: async (id) => sent.push(id) } });
  const ended = (id) => new Promise((done) => publishing.jobs.observe(() => ["done", "failed"].includes(publishing.job(id)?.state) && done(publishing.job(id))));
  const chosen = chosenOf(of(["f", "abc"]), "files");
  const first = await ended(publishing.upload(chosen, form));
  assert.deepEqual([first.state, first.error.message, first.error.hint, first.upload, sent], ["failed", "taken", "h", "u1", ["u1"]]);
  assert.deepEqual(publishing.formOf("u1"), form);
  uploads.push({ id: "u1", name: "f", length: 3, offset: 3, mark: markOf(chosen) });
  await publishing.forget(first.id);
  assert.equal(publishing.matching(chosen).id, "u1");
  assert.equal(publishing.matching(chosenOf(of(["f", "abcd"]), "files")), null);
  publish = '{"event":"published","release":{"ref":"game~1","page_url":"http://x"}}\n';
  const second = await ended(publishing.publishUpload(uploads[0], form));
  assert.deepEqual([second.state, second.release.ref, publishing.left.get()], ["done", "game~1", []]);
  publish = '{"event":"progress","done":1,"total":3}\n';
  assert.equal((await ended(publishing.publishPath("/srv/x", form))).state, "failed");
});

test("only known elements and links of notes are copied", () => {
  const text = (data) => ({ nodeType: 3, data, childNodes: [] });
  const element = (localName, childNodes, attributes = {}) => ({ nodeType: 1, localName, childNodes, getAttribute: (name) => attributes[name] ?? null });
  const link = (href) => element("a", [text("l")], { href, onclick: "y" });
  const names = [];
  const walk = (node) => {
    if (Array.isArray(node)) return node.forEach(walk);
    if (node?.type) {
      names.push([node.type, node.props.href, node.props.onclick]);
      walk(node.props.children);
    }
    return undefined;
  };
  walk(elementsOf(element("body", [element("p", [text("a"), element("script", [text("evil()")]), link("javascript:x"), link("https://x")]), element("iframe", [])])));
  assert.deepEqual(names, [["p", undefined, undefined], ["a", "https://x", undefined]]);
  for (const bad of ["javascript:alert(1)", "data:text/html,x", "//x", " https://x", null]) assert.equal(isLink(bad), false);
});

test("releases are found by words and sorted by time", () => {
  const list = [{ ref: "a~1", slug: "a", version: "1", name: "a.iso", published: "2026-01-01" }, { ref: "b~1~x", slug: "b", version: "1", variant: "x", group: "Games", name: "b", published: "2026-02-01" }];
  assert.deepEqual(sortReleases(list, "").map((r) => r.ref), ["b~1~x", "a~1"]);
  assert.deepEqual(sortReleases(list, "GAMES x").map((r) => r.ref), ["b~1~x"]);
  assert.deepEqual(sortReleases(list, "iso").map((r) => r.ref), ["a~1"]);
  assert.equal(stateOf({ live: { state: "checking", progress: 0.5 } }), "Checking 50.0 %");
  assert.equal(finishedOf({ completed: 1, direct: 5, archives: 2, num_files: 2 }), 3);
  assert.equal(finishedOf({ completed: 1, direct: 5, num_files: 1 }), 6);
});
