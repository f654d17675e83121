// Tests of saving into a folder. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { from } from "./helpers.mjs";

const { saveFolder } = await from("save");

// Folder is a directory handle that keeps its content in memory.
class Folder {
  entries = new Map();
  async getDirectoryHandle(name, { create }) {
    assert.ok(create);
    if (!this.entries.has(name)) this.entries.set(name, new Folder());
    return this.entries.get(name);
  }
  async getFileHandle(name) {
    const chunks = [], { entries } = this;
    return { createWritable: async () => new WritableStream({ write: (c) => { chunks.push(c); }, close: () => { entries.set(name, Buffer.concat(chunks).toString()); } }) };
  }
}

test("a tree is saved into a folder with its subfolders, and a lost file is an error", async () => {
  const top = new Folder(), said = [];
  globalThis.showDirectoryPicker = async () => top;
  const files = ["a.txt", "sub/b.txt", "sub/deep/c.txt"].map((path, i) => ({ i, path }));
  await saveFolder(files, "tree", async (i) => new Blob([`text ${i}`]), (n) => said.push(n));
  const tree = top.entries.get("tree"), sub = tree.entries.get("sub");
  assert.deepEqual([tree.entries.get("a.txt"), sub.entries.get("b.txt"), sub.entries.get("deep").entries.get("c.txt")], ["text 0", "text 1", "text 2"]);
  assert.deepEqual(said, [0, 1, 2, 3]);
  await assert.rejects(saveFolder(files, "other", async (i) => (i === 1 ? null : new Blob(["x"])), (n) => said.push(n)), /stored/);
  assert.equal(said.at(-1), 1);
});
