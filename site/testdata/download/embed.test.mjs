// Tests of what a page takes from another host: from a tracker, and for <spate-download>.
import { test } from "node:test";
import assert from "node:assert/strict";

const from = (name) => import(new URL(`../../static/download/${name}.js`, import.meta.url));
const { build, webURL } = await from("embed");
const { Tracker } = await from("tracker");

// Element is the part of a DOM that build needs.
class Element {
  constructor(name) {
    Object.assign(this, { name, attributes: new Map(), children: [], content: name === "template" ? new Element("fragment") : undefined });
  }
  setAttribute(key, value) { this.attributes.set(key, value); }
  append(...children) { this.children.push(...children); }
  all() { return [this, ...(this.content?.all() ?? []), ...this.children.flatMap((c) => (c instanceof Element ? c.all() : []))]; }
}

test("texts of another host never become markup or scripts", () => {
  globalThis.document = { createElement: (name) => new Element(name) };
  const evil = '"><img src=x onerror=steal(1)><script>steal(1)</script>';
  const words = Object.fromEntries(["label", "before", "plain", "choose", "save", "folder", "play", "pause", "again", "remove", "delete", "keep", "bar"].map((k) => [k, evil]));
  const { start, root } = build({ words, messages: [["done", evil]], plain: "https://host.example/d/x", single: false });
  const all = [...start.all(), ...root.all()], names = new Set(all.map((e) => e.name));
  for (const name of names) assert.ok(["div", "p", "a", "button", "span", "details", "summary", "ul", "canvas", "label", "input", "template", "fragment"].includes(name), name);
  for (const e of all) {
    assert.ok(!("innerHTML" in e));
    for (const [key, value] of e.attributes) assert.ok(!key.startsWith("on") && (key === "aria-label" || !value.includes("steal")), key);
  }
  assert.ok(all.some((e) => e.children.includes(evil)), "the texts are missing");
  for (const act of ["start", "save", "folder", "play", "pause", "start-again", "remove", "delete"]) assert.equal(all.filter((e) => e.attributes.get("data-act") === act).length, 1, act);
});

test("links of another host are web addresses", () => {
  assert.equal(webURL("/d/x", "https://host.example/r/x"), "https://host.example/d/x");
  for (const bad of ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "blob:https://a/b", "", null, undefined, "http://["]) assert.equal(webURL(bad, "https://host.example/r/x"), "", String(bad));
});

test("the page counts the peers that can take offers, if the tracker says so", () => {
  globalThis.WebSocket = class { };
  const counts = [];
  const tracker = new Tracker("wss://t.example", { infoHash: new Uint8Array(20), peerId: new Uint8Array(20), counted: () => counts.push(tracker.peers) });
  for (const m of [{ complete: 5, incomplete: 3 }, { complete: 5, incomplete: 3, takers: 0 }, { complete: 5, incomplete: 3, takers: 2 }, { complete: 5, incomplete: 3, takers: -1 }, { complete: 5, incomplete: 3, takers: "9" }]) {
    tracker.message(JSON.stringify(m));
  }
  tracker.closed = true;
  assert.deepEqual(counts, [7, 0, 2, 7, 7]);
});

test("a tracker is connected again at once when there is a network again", () => {
  const sockets = [];
  globalThis.WebSocket = class {
    constructor() { sockets.push(this); }
    close() { this.readyState = 3; }
  };
  const tracker = new Tracker("wss://t.example", { infoHash: new Uint8Array(20), peerId: new Uint8Array(20), counted() {}, state: () => ({}) });
  sockets[0].onclose(); // it would connect in some seconds
  tracker.online();
  assert.equal(sockets.length, 2);
  sockets[1].readyState = 1; // open, but to the network before
  tracker.online();
  assert.deepEqual([sockets.length, sockets[1].readyState, sockets[1].onclose], [3, 3, null]);
  tracker.socket = null;
  tracker.close();
  tracker.online();
  assert.equal(sockets.length, 3);
});
