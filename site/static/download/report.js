// The state of a download for the page.
import { hex } from "./ranges.js";

const columns = 200; // of the map of pieces

// report returns the state of a download: numbers of bytes, rates in bytes a second, and the map,
// where each column is the share of its pieces that are stored, from 0 to 255. -1 stands for
// pieces that are not wanted.
export function report(d) {
  const { picker, torrent } = d;
  let size = 0, have = 0;
  const n = Math.min(columns, torrent.count), map = new Array(n).fill(0);
  const all = new Array(n).fill(0);
  for (let i = 0; i < torrent.count; i++) {
    if (!picker.wanted[i]) continue;
    const bytes = torrent.pieceSize(i), column = Math.floor((i * n) / torrent.count);
    size += bytes;
    all[column] += bytes;
    if (picker.have[i]) {
      have += bytes;
      map[column] += bytes;
    }
  }
  const peers = [...d.peers.values()].filter((p) => p.has !== null);
  const ids = new Set(peers.map((p) => hex(p.peerId))), apart = d.ranges.active().filter((r) => !ids.has(r.id));
  return {
    phase: phase(d), proved: d.proved, size, have, map: map.map((b, c) => (all[c] === 0 ? -1 : Math.round((255 * b) / all[c]))),
    rate: d.down.value, upRate: d.up.value, given: d.given,
    peers: peers.length + apart.length, senders: peers.filter((p) => p.down.value > 0).length + d.ranges.active().length, takers: peers.filter((p) => p.up.value > 0).length,
    fromPeers: d.bytes.peers, fromRanges: d.bytes.ranges, fromWeb: d.bytes.web, wasted: d.bytes.wasted, banned: d.banned.size + d.ranges.banned.size,
    asksWeb: (d.web?.running ?? 0) > 0, webProblem: d.web?.problem ?? "", webEnded: d.web?.ended ?? false, webAgain: Math.max(0, (d.web?.notBefore ?? 0) - d.now()),
    problem: d.problem, sharing: d.sharing, sha256: Boolean(torrent.layer), signature: d.signature ?? null,
  };
}

function phase(d) {
  if (d.problem) return "problem";
  if (d.complete) return "done";
  if (d.paused) return "paused";
  return d.proving ? "proving" : "running";
}
