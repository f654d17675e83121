// Tests of what is played while it comes. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { from } from "./helpers.mjs";

const { Player, playable } = await from("media");

// Media is a video or audio element that the test plays.
class Media extends EventTarget {
  currentTime = 0;
  ended = false;
  canPlayType(type) { return type === "audio/flac" ? "" : "maybe"; }
  is(name, fields) {
    Object.assign(this, fields);
    this.dispatchEvent(new Event(name));
  }
}
globalThis.document = { createElement: () => new Media() };

test("the first file that the browser can play is played", () => {
  const files = ["a.txt", "b.flac", "c.MP3", "d.mp4"].map((path, i) => ({ i, path, length: 9 }));
  assert.deepEqual(playable(files), { i: 2, path: "c.MP3", length: 9, type: "audio/mpeg" });
  assert.equal(playable(files.slice(0, 2)), null);
});

test("where a part of a file ends, a longer one goes on at the same place", async () => {
  const said = [], answers = [[100_000, false], [300_000, false], [400_000, false], [700_000, true]];
  const session = { part: async () => ({ blob: new Blob([new Uint8Array(answers[0][0])]), whole: answers.shift()[1] }) };
  const p = new Player(session, { i: 0, type: "audio/wav" }, { replaceChildren() {} }, (waits) => said.push(waits)), e = p.element;
  let now = performance.now();
  const step = () => p.more((now += 2000));
  await step(); // the constructor has asked once: too little
  assert.deepEqual([p.size, p.waits, said], [300_000, false, [true, false]]);
  e.is("timeupdate", { currentTime: 12 });
  e.is("timeupdate", { currentTime: 99, ended: true }); // Chromium says so of a WebM file without its end
  e.is("ended");
  await step();
  assert.deepEqual([p.size, p.waits], [300_000, true], "it goes on with too little more");
  await step();
  assert.deepEqual([p.size, e.currentTime, p.whole, said], [700_000, 12, true, [true, false, true, false]]);
  e.is("ended");
  assert.equal(p.waits, false);
});
