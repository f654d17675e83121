// Tests of what the page says. Run by node --test.
import { test } from "node:test";
import assert from "node:assert/strict";
import { from } from "./helpers.mjs";

globalThis.document = { documentElement: { lang: "en" } };
const { Teller, words, details } = await from("words");

const m = { get: (name) => name, time: () => "" };
const running = { phase: "running", have: 1, size: 9, rate: 0, peers: 0, webProblem: "", webAgain: 0, webEnded: false };

test("the words name the reason for which nothing comes", () => {
  const say = (state, online = true) => words({ ...running, ...state }, m, online);
  assert.equal(say({}), "slow");
  assert.equal(say({ rate: 5 }, false), "running");
  assert.equal(say({ webProblem: "busy", webAgain: 9 }), "busy");
  assert.equal(say({ webProblem: "busy", webAgain: 9 }, false), "offline");
  assert.equal(say({ webProblem: "gone", webAgain: 9 }), "unreachable");
  assert.equal(say({ webProblem: "wrong", webAgain: 9 }), "wronger");
  assert.equal(say({ webProblem: "wrong", webEnded: true }), "webwrong");
  assert.equal(say({ phase: "problem", problem: { code: "full" } }), "full");
  assert.equal(details({ ...running, banned: 1 }, m), "bannedone");
});

test("a text that changes often is shown at once and said seldom", () => {
  const seen = {}, said = {}, t = new Teller(seen, said);
  let spoken = 0, before;
  for (let ms = 0; ms < 60_000; ms += 400) {
    t.tell(`text ${ms}`, "running", 1 + ms);
    assert.equal(seen.textContent, `text ${ms}`);
    if (said.textContent !== before) spoken++;
    before = said.textContent;
  }
  assert.equal(spoken, 6);
  t.tell("done", "done", 60_000);
  assert.equal(said.textContent, "done");
});
