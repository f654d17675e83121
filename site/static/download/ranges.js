// Ranges of the torrent from the ports of peers over HTTP. A page takes what it can from these,
// because they cost a browser a tenth of the same bytes over WebRTC.
import { Blocks, Later, retryAfter } from "./http.js";
import { Rate } from "./rate.js";

const most = 4; // peers that are asked at the same time
const known = 16; // peers that are remembered
const patience = 10; // seconds for the start of an answer
const stall = 20; // seconds without data after which a request ends
const rest = 600; // seconds after which a peer that failed is tried again
const tries = 3; // failures in a row after which a peer is asked no more
const runTime = 4; // seconds that a request should take
const runLeast = 1 << 18; // bytes of a request
const runMost = 4 << 20;

// Peer ports that browsers refuse, or that belong to other services, are not asked.
const leastPort = 1024;

// hex returns bytes as hexadecimal digits.
export const hex = (bytes) => Array.from(bytes ?? [], (b) => b.toString(16).padStart(2, "0")).join("");

// isPublic reports whether an IP address, an IPv6 address without brackets, is one of the internet.
export function isPublic(ip) {
  if (ip.includes(":")) {
    const first = parseInt(ip.split(":")[0] || "0", 16);
    return first >= 0x2000 && first < 0x4000;
  }
  const [a, b] = ip.split(".").map(Number);
  return !(a === 0 || a === 10 || a === 127 || a >= 224 || (a === 100 && b >= 64 && b < 128) || (a === 169 && b === 254) || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168));
}

const ip4 = /^(\d{1,3}(?:\.\d{1,3}){3}):(\d{1,5})$/, ip6 = /^\[([0-9a-f:.]{2,45})\]:(\d{1,5})$/i;
const address = /^\d{1,3}(\.\d{1,3}){3}$|^\[[0-9a-f:.]+\]$/i;

// askable returns those of the addresses, each "ip:port", that a page may ask. A page on the internet
// asks no private address: the browser would ask the visitor first. here is the host of the page.
export function askable(addresses, here) {
  const local = here === "localhost" || (address.test(here) && !isPublic(here.replace(/^\[|\]$/g, "")));
  return addresses.filter((a) => {
    const m = typeof a === "string" ? a.match(ip4) ?? a.match(ip6) : null;
    if (!m || +m[2] < leastPort || +m[2] > 65535 || (a.match(ip4) && m[1].split(".").some((n) => n > 255))) return false;
    return local || isPublic(m[1]);
  });
}

// RangePeer is the port of a peer that serves ranges.
class RangePeer {
  constructor(download, at) {
    Object.assign(this, { download, at });
    this.url = `http://${at}/piece-data/${hex(download.torrent.infoHash)}`;
    this.notBefore = 0; // time in seconds before which the peer is not asked
    this.failures = 0; // in a row
    this.running = false;
    this.works = false; // the last answer had data
    this.id = ""; // its peer id in hexadecimal digits, once it has answered
    this.down = new Rate();
    this.gone = false; // it is asked no more
    this.abort = new AbortController();
  }

  // The picker and Suspects treat a request to a peer as one to a web server.
  barred() { return this.gone; }

  unask() {}

  // lied is called when a piece from the peer is wrong.
  lied() { this.download.ranges.ban(this); }

  // end ends all requests. The peer is asked again only if a tracker names it after some time.
  end() {
    this.gone = true;
    this.again = this.download.now() + rest;
    this.works = false;
    this.abort.abort();
  }

  // run asks for a row of pieces, and returns whether there was one.
  run(now) {
    const { picker, torrent } = this.download;
    const source = { unask() {}, web: this };
    const bytes = Math.min(runMost, Math.max(runLeast, runTime * this.down.value));
    // Pieces that no other peer shows are fetched first, so that this page can give them to others.
    const row = picker.pickRun(source, bytes, true, now) ?? picker.pickRun(source, bytes, false, now);
    if (!row) return false;
    const block = picker.active.get(row[0]).from.indexOf(null);
    const begin = row[0] * torrent.pieceLength + block * (1 << 14), end = row[1] * torrent.pieceLength + torrent.pieceSize(row[1]);
    this.running = true;
    this.fetch(source, begin, end).then(() => this.worked(), (err) => this.failed(err)).finally(() => {
      this.running = false;
      picker.forget(source);
      this.download.useRanges();
      this.download.kickSoon();
    });
    return true;
  }

  worked() {
    this.failures = 0;
    this.works = !this.gone;
  }

  failed(err) {
    this.works = false;
    if (this.gone || err.name === "AbortError") return;
    const busy = err instanceof Later && err.busy;
    if (!busy) this.failures++;
    if (this.failures >= tries || (err instanceof Later && !busy)) this.end();
    this.notBefore = this.download.now() + (busy ? err.seconds : 5 * 2 ** this.failures) * (1 + Math.random() / 5);
  }

  // fetch asks for the bytes from begin to end of the torrent. An answer may have fewer.
  async fetch(source, begin, end) {
    const blocks = new Blocks((...block) => this.download.fromRanges(source, ...block), this.download.torrent);
    for (let at = begin; at < end;) at = await this.fetchPart(blocks, at, end);
  }

  async fetchPart(blocks, begin, end) {
    const own = new AbortController(), stop = () => own.abort(), { signal } = this.abort;
    signal.addEventListener("abort", stop);
    let timer = setTimeout(stop, 1000 * patience);
    try {
      const r = await fetch(this.url, { headers: { Range: `bytes=${begin}-${end - 1}` }, signal: own.signal, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" });
      if (r.status === 503 || r.status === 429) throw new Later(`the peer answers ${r.status}`, retryAfter(r.headers.get("Retry-After"), Date.now()), true);
      const range = (r.headers.get("Content-Range") ?? "").match(/^bytes (\d+)-(\d+)\//);
      if (r.status !== 206 || !range || +range[1] !== begin || +range[2] < begin || +range[2] >= end) throw new Later(`the peer answers ${r.status}`, 60);
      this.id = r.headers.get("X-Peer-Id") ?? "";
      this.works = true;
      const to = +range[2] + 1, reader = r.body.getReader();
      let at = begin;
      while (at < to) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the peer sent less than it said");
        clearTimeout(timer);
        timer = setTimeout(stop, 1000 * stall);
        const bytes = value.subarray(0, to - at);
        this.down.add(bytes.length);
        blocks.add(at, bytes);
        at += bytes.length;
        await this.download.room();
      }
      reader.cancel().catch(() => {});
      return to;
    } catch (err) {
      if (own.signal.aborted && !signal.aborted && err.name === "AbortError") throw new Error("the peer is silent");
      throw err;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}

// Ranges are the peers of a download that serve ranges.
export class Ranges {
  constructor(download) {
    this.download = download;
    this.peers = new Map(); // "ip:port" -> RangePeer
    this.banned = new Set(); // those that sent wrong data
  }

  // found adds peers that a tracker has named. Those that failed before get another try.
  found(addresses) {
    for (const at of addresses) {
      const before = this.peers.get(at);
      if (this.banned.has(at) || (before && !(before.gone && this.download.now() >= before.again))) continue;
      this.peers.delete(at);
      if (this.peers.size >= known) {
        const old = [...this.peers.values()].find((p) => p.gone);
        if (!old) return;
        this.peers.delete(old.at);
      }
      this.peers.set(at, new RangePeer(this.download, at));
    }
  }

  // use asks peers while some may be asked and pieces are free.
  use(now) {
    let running = this.running();
    for (const p of this.peers.values()) {
      if (running >= most) return;
      if (p.gone || p.running || now < p.notBefore) continue;
      if (!p.run(now)) return;
      running++;
    }
  }

  running() { return [...this.peers.values()].filter((p) => p.running).length; }

  // active returns the peers that send.
  active() { return [...this.peers.values()].filter((p) => p.works); }

  // helps reports whether a peer sends, or may be asked within some seconds.
  helps(now) { return [...this.peers.values()].some((p) => p.works || (!p.gone && p.failures === 0 && p.notBefore < now + 5)); }

  // covers reports whether the peer with an id sends ranges now, so that it is not asked over WebRTC.
  covers(peerId) { return this.active().some((p) => p.running && p.id === hex(peerId)); }

  ban(peer) {
    this.banned.add(peer.at);
    peer.end();
  }

  rate() { return [...this.peers.values()].reduce((n, p) => n + p.down.value, 0); }

  tick() { for (const p of this.peers.values()) p.down.tick(); }

  // stop ends all requests.
  stop() {
    for (const p of this.peers.values()) {
      p.abort.abort();
      p.abort = new AbortController();
      p.works = false;
    }
  }
}
