// The state of a download in words.
import { bytes, number } from "./format.js";

const spoken = 10_000; // milliseconds between texts that a screen reader says, while nothing else happens

// words returns a sentence for a state. online tells whether the browser has a network.
export function words(s, m, online) {
  const values = { have: bytes(s.have), size: bytes(s.size), rate: bytes(s.rate) };
  if (s.phase === "problem") return m.get(s.problem.code, values);
  if (s.phase === "proving") return m.get("proving", { percent: Math.floor(100 * s.proved) });
  if (s.phase === "done" && s.sha256) return m.get("done256", values);
  if (s.phase !== "running") return m.get(s.phase, values);
  if (s.rate >= 1) return m.get("running", { ...values, left: m.time((s.size - s.have) / s.rate) });
  if (!online) return m.get("offline", values);
  if (s.webEnded) return m.get("webwrong", values);
  if (s.webProblem && s.webAgain > 1) return m.get(s.webProblem === "busy" ? "busy" : s.webProblem === "wrong" ? "wronger" : "unreachable", { ...values, n: number(s.webAgain) });
  return m.get(s.have > 0 ? "slow" : "waiting", values);
}

// details returns what is known of the sources and takers.
export function details(s, m) {
  const out = [];
  if (s.peers > 0) out.push(m.get(s.peers === 1 ? "peer" : "peers", { n: number(s.peers) }));
  if (s.fromWeb > 0) out.push(m.get("origin", { bytes: bytes(s.fromWeb) }));
  if (s.given > 0 && s.have > 0) out.push(m.get("gave", { ratio: number(s.given / s.have, 1) }));
  if (s.upRate >= 1) out.push(m.get("giving", { rate: bytes(s.upRate) }));
  if (s.banned > 0) out.push(m.get(s.banned === 1 ? "bannedone" : "banned", { n: number(s.banned) }));
  if (s.elsewhere) out.push(m.get("elsewhere"));
  return out.join(" · ");
}

// proof returns what the check of the publisher's signature has found, for a complete download.
export function proof({ phase, signature }, m) {
  if (phase !== "done" || !signature) return "";
  return signature.is === "good" ? m.get("signed", { key: signature.key }) : m.get("unproved");
}

// Teller writes texts that change often: at once where they are seen, and seldom where they are
// said. A new kind of text is said at once.
export class Teller {
  constructor(seen, said) {
    Object.assign(this, { seen, said, kind: null, time: 0 });
  }

  tell(text, kind, now = performance.now()) {
    if (this.seen.textContent !== text) this.seen.textContent = text;
    if (kind === this.kind && now - this.time < spoken) return;
    this.kind = kind;
    this.time = now;
    if (this.said.textContent !== text) this.said.textContent = text;
  }
}
