// A download in the worker: it connects the picker, the peers, the web server and the store.
import { choose, slots } from "./choker.js";
import { equal } from "./hash.js";
import { WebSource } from "./http.js";
import { Leaves } from "./leaves.js";
import { Peer } from "./peer.js";
import { Picker } from "./picker.js";
import { Ranges } from "./ranges.js";
import { Rate } from "./rate.js";
import { Served } from "./served.js";
import { Suspects } from "./suspects.js";

// Times in seconds.
const waitForPeers = 2.5; // without a block from peers, after which the web server is asked
const slowTime = 10; // with a low rate from peers, after which the web server is asked for any piece
const chokeTime = 10;
const recordTime = 10;
const gatherTime = 50; // milliseconds for which pieces are collected before they are stored

const slow = 64 << 10; // bytes a second from peers
const runAlone = 4 << 20; // most bytes of a request to the web server without peers
const runBeside = 1 << 20; // and with peers
const runFirst = 1 << 18; // and the first time, if peers may send soon

// Download downloads a torrent into a store and gives it to peers. hooks has send(peer, bytes),
// close(peer) and changed().
export class Download {
  constructor(torrent, store, peerId, hooks) {
    Object.assign(this, { torrent, store, peerId, hooks });
    this.peers = new Map();
    this.banned = new Set(); // ids of the peers that sent wrong data: those that the tracker told, or else those of their connections
    this.paused = true;
    this.sharing = true;
    this.silentRuns = 0; // requests to the web server since the last block from a peer
    this.tracked = 0; // number of other peers that the tracker knows; -1 before its first answer
    this.bytes = { peers: 0, ranges: 0, web: 0, wasted: 0 }; // of this session; those of ranges are of peers too
    this.complete = false;
    this.down = new Rate();
    this.up = new Rate();
    this.problem = null; // {code}: why the download cannot go on, a message of the page
    this.over = false; // after stop
    this.proved = 0; // share of the pieces of earlier sessions that are checked, while proving
    this.checking = 0; // pieces whose hash is computed
    this.writes = [];
    this.writing = null;
    this.suspects = new Suspects(this);
    this.leaves = new Leaves(this);
    this.turn = 0;
    this.lucky = null;
    this.waiters = [];
    this.served = new Served(this);
    this.ranges = new Ranges(this);
  }

  now() { return performance.now() / 1000; }

  // load reads what is stored. wanted contains 1 for each piece that is to be downloaded.
  async load(wanted) {
    const { torrent, store } = this;
    const have = new Uint8Array(torrent.count);
    for (const i of await store.indexes(torrent.key)) if (i < torrent.count) have[i] = 1;
    this.unproved = new Set(); // pieces of earlier sessions, which are checked again before use
    have.forEach((set, i) => { if (set) this.unproved.add(i); });
    this.picker = new Picker(torrent, have, wanted);
    const record = await store.record(torrent.key);
    this.given = this.givenBefore = record?.given ?? 0;
  }

  // want changes the pieces to download.
  want(wanted) {
    this.picker.wanted = wanted;
    this.picker.recount();
    this.complete = false;
    for (const i of [...this.picker.active.keys()]) if (!wanted[i] && this.picker.active.get(i).left > 0) this.picker.drop(i);
    this.kick();
  }

  // start begins or continues. url(i) returns the URL of file i at the web server, or is null.
  start(url) {
    if (url && !this.web) this.web = new WebSource(this, url);
    this.web?.again();
    this.problem = null;
    this.paused = false;
    this.began = this.now();
    this.slowSince = this.lastBlock = this.now();
    this.timer ??= setInterval(() => this.tick(), 1000);
    this.kick();
  }

  pause() {
    this.paused = true;
    this.web?.stop();
    this.ranges.stop();
    for (const p of this.peers.values()) {
      this.picker.forget(p);
      p.asked.clear();
      p.ask(this.now());
    }
    this.hooks.changed();
  }

  // stop ends everything. Nothing is stored after it resolves.
  async stop() {
    this.over = true;
    this.pause();
    clearInterval(this.timer);
    this.timer = null;
    for (const id of [...this.peers.keys()]) this.drop(id);
    this.web?.stop();
    await this.writing;
  }

  // online asks the web server again at once, because the browser has a network again.
  online() {
    if (this.web) this.web.notBefore = 0;
    this.useWeb();
  }

  kick() {
    this.useRanges();
    for (const p of this.peers.values()) p.ask(this.now());
    this.useWeb();
    this.finish();
    this.hooks.changed();
  }

  // Connections.

  // connected begins a connection. who is the peer's id as the tracker told it, in text, or "".
  connected(id, who = "") { this.peers.set(id, new Peer(this, id, who, (bytes) => this.hooks.send(id, bytes), () => this.drop(id))); }

  arrived(id, bytes) {
    const peer = this.peers.get(id);
    if (peer) this.guard(peer, () => peer.data(bytes, this.now()));
  }

  // guard ends the connection to a peer that breaks the protocol.
  guard(peer, f) {
    try {
      f();
    } catch {
      this.drop(peer.id);
    }
  }

  // drop ends a connection.
  drop(id) {
    const peer = this.peers.get(id);
    if (!peer) return;
    this.peers.delete(id);
    peer.gone();
    this.hooks.close(id);
    this.fillSlots();
  }

  // shaken checks a peer after its handshake.
  shaken(peer) {
    if (this.banned.has(peer.who)) throw new Error("this peer sent wrong data");
    // What a peer says of itself counts only where no tracker told who it is, so that nobody
    // keeps another peer out.
    const same = (p) => (p.who && peer.who ? p.who === peer.who : p.peerId && equal(p.peerId, peer.peerId));
    for (const p of this.peers.values()) if (p !== peer && same(p)) throw new Error("connected already");
    if (this.peers.size <= 8) this.rechoke(); // in a larger swarm the peer waits for the next turn
  }

  ban(peer) {
    if (!(peer instanceof Peer)) return;
    this.banned.add(peer.who || peer.id);
    this.drop(peer.id);
  }

  sent(id, n) {
    const peer = this.peers.get(id);
    if (!peer) return;
    peer.credit += n;
    this.serve(peer);
  }

  serve(peer) { this.served.serve(peer); }

  // Blocks.

  received(source, i, block, data) {
    this.bytes.peers += data.length;
    this.lastBlock = this.now();
    this.silentRuns = 0;
    this.take(source, i, block, data);
  }

  // fromRanges takes a block that a peer sent over HTTP.
  fromRanges(source, i, block, data) {
    this.bytes.ranges += data.length;
    this.received(source, i, block, data);
  }

  // fromWeb takes a block from the web server. A server without ranges sends all blocks.
  fromWeb(source, i, block, data) {
    if (!this.picker.needs(i) || this.web.barred(i)) return;
    if (!this.picker.active.has(i)) this.picker.start(i);
    this.bytes.web += data.length;
    this.take(source, i, block, data);
  }

  take(source, i, block, data) {
    this.down.add(data.length);
    const result = this.picker.received(source, i, block, data);
    if (!result) {
      this.bytes.wasted += data.length;
      return;
    }
    for (const other of result.others) other.unask(result.piece, block);
    if (result.piece.left === 0) this.check(result.piece);
  }

  // check checks the hash of a piece and stores it.
  async check(piece) {
    this.checking++;
    const good = await this.torrent.check(piece.index, piece.data);
    this.checking--;
    if (this.over) return;
    if (!good) {
      if (!this.leaves.ask(piece)) this.failed(piece);
      return;
    }
    this.suspects.good(piece);
    this.web?.proved(piece);
    this.writes.push([piece.index, piece.data]);
    this.writing ??= this.write().finally(() => { this.writing = null; });
  }

  // failed fetches a wrong piece again.
  failed(piece) {
    this.bytes.wasted += piece.size;
    this.suspects.failed(piece);
    this.kick();
  }

  // write stores the checked pieces, and those that come meanwhile.
  async write() {
    while (this.writes.length > 0) {
      if (this.picker.missing > this.writes.length) await new Promise((done) => setTimeout(done, gatherTime));
      const batch = this.writes;
      this.writes = [];
      if (this.over) return;
      try {
        await this.store.put(this.torrent.key, batch);
      } catch (err) {
        for (const [i] of [...batch, ...this.writes.splice(0)]) this.picker.drop(i);
        this.fail(problemOf(err));
        return;
      }
      for (const [i, data] of batch) this.gain(i, data);
      for (const done of this.waiters.splice(0)) done();
      this.useRanges();
      this.useWeb();
      this.finish();
    }
  }

  // gain records that a piece is stored, and tells the peers.
  gain(i, data) {
    this.picker.stored(i);
    if (data) this.served.keep(i, data);
    for (const p of this.peers.values()) p.tell(i);
  }

  // found records that pieces were stored by someone else: pieces of a file of the visitor, or of
  // another tab. They are checked before they are used.
  found(indexes) {
    for (const i of indexes) {
      if (this.picker.have[i]) continue;
      for (const [b, asked] of this.picker.active.get(i)?.asked.entries() ?? []) for (const p of asked.keys()) p.unask?.(this.picker.active.get(i), b);
      this.unproved.add(i);
      this.gain(i, null);
    }
    this.kick();
  }

  // room resolves when the buffers of pieces are not full.
  room() {
    if (this.picker.activeBytes < 128 << 20) return undefined;
    return new Promise((done) => this.waiters.push(done));
  }

  fail(code) {
    this.problem = { code };
    this.pause();
  }

  // guilty handles a source that sent wrong data.
  guilty(source, index) {
    if (source.lied) source.lied(index);
    else this.ban(source);
  }

  // finish checks the pieces of earlier sessions when nothing is missing, and reports the end.
  async finish() {
    if (this.picker.missing > 0 || this.complete || this.proving) return;
    this.proving = true;
    const old = [...this.unproved].filter((i) => this.picker.wanted[i]);
    try {
      for (const [n, i] of old.entries()) {
        this.proved = n / old.length;
        await this.served.prove(i);
        if (this.over) return;
      }
    } catch (err) {
      this.fail(problemOf(err));
      return;
    } finally {
      this.proving = false;
    }
    if (this.picker.missing > 0) {
      this.kick();
      return;
    }
    this.complete = true;
    this.web?.stop();
    this.ranges.stop();
    await this.record();
    this.rechoke();
    this.hooks.changed();
  }

  fileNeeded(index) {
    const row = this.torrent.piecesOf(index);
    for (let i = row?.[0]; row && i <= row[1]; i++) if (this.picker.needs(i)) return true;
    return false;
  }

  // serving takes the addresses of peers that serve ranges over HTTP.
  serving(addresses) {
    this.ranges.found(addresses);
    this.useRanges();
  }

  // useRanges asks peers that serve ranges over HTTP for what is missing.
  useRanges() {
    if (!this.paused && !this.over && this.picker.missing > 0) this.ranges.use(this.now());
  }

  // kickSoon asks the other peers again, because a request over HTTP has ended.
  kickSoon() {
    if (this.over) return;
    for (const p of this.peers.values()) p.ask(this.now());
    this.useWeb();
  }

  // useWeb asks the web server for what peers do not send.
  useWeb() {
    const { web, picker } = this, now = this.now();
    if (!web || this.paused || picker.missing === 0) return;
    const peers = [...this.peers.values()];
    const nobody = this.tracked === 0 && !peers.some((p) => p.wanted) && !this.ranges.helps(now);
    // Peers that choke, or that have sent nothing for some time, are as good as none. But they may
    // send again, so that the server is asked for little at first. A piece that no peer shows may
    // come from peers: the only seed of a swarm shows its pieces one after another.
    const silent = now - this.lastBlock >= waitForPeers;
    if (!nobody && !silent && now - this.slowSince < slowTime) return;
    const most = nobody ? 2 : 1, bytes = nobody ? runAlone : silent ? Math.min(runAlone, runFirst << this.silentRuns) : runBeside;
    while (web.running < most) {
      if (!web.run(bytes, false, now)) break;
      this.silentRuns = Math.min(8, this.silentRuns + 1);
    }
  }

  tick() {
    const now = this.now();
    this.down.tick();
    this.up.tick();
    this.suspects.tick(now);
    this.leaves.tick(now);
    this.ranges.tick();
    this.useRanges();
    for (const p of [...this.peers.values()]) this.guard(p, () => p.tick(now));
    const rate = [...this.peers.values()].reduce((n, p) => n + p.down.value, this.ranges.rate());
    if (rate >= slow || this.paused) this.slowSince = now;
    for (const p of this.peers.values()) this.serve(p);
    this.turn++;
    if (this.turn % chokeTime === 0) this.rechoke();
    if (this.turn % recordTime === 0 && this.given !== this.givenBefore) this.record();
    this.useWeb();
  }

  // rechoke decides which peers are served.
  rechoke() {
    const peers = [...this.peers.values()].filter((p) => p.has !== null);
    const { unchoke, lucky } = choose(peers, this.complete, Math.floor(this.turn / chokeTime), this.lucky);
    this.lucky = lucky;
    const open = this.sharing ? unchoke : [];
    for (const p of peers) p.setChoking(!(open.includes(p) || (this.sharing && peers.length <= slots)));
    this.fillSlots();
  }

  // fillSlots serves peers that want pieces while slots are free, so that they do not wait for the
  // next turn. It is called whenever a peer begins or ceases to want pieces, or has gone.
  fillSlots() {
    if (!this.sharing) return;
    const peers = [...this.peers.values()].filter((p) => p.has !== null && p.wants), waiting = peers.filter((p) => p.choking);
    for (let free = slots - (peers.length - waiting.length); free > 0 && waiting.length > 0; free--) {
      waiting.splice(Math.floor(Math.random() * waiting.length), 1)[0].setChoking(false);
    }
  }

  share(on) {
    this.sharing = on;
    this.rechoke();
  }

  // record stores what was given, beside the name and size for the list of downloads.
  async record() {
    this.givenBefore = this.given;
    try {
      await this.store.change(this.torrent.key, { given: this.given, changed: Date.now() });
    } catch {} // it is written again later
  }
}

// problemOf returns the code of the problem that an error of the store is.
export const problemOf = (err) => (err.name === "QuotaExceededError" ? "full" : err.name === "Removed" ? "removed" : "store");
