// Ranges of the data from web servers, the last source of a download.
import { blockSize } from "./hash.js";

const stall = 30; // seconds without data after which a request ends
const longest = 600; // most seconds that a server can make us wait
const mostLies = 4; // times of wrong pieces after which a server is asked no more

// later is an error after which the server is asked again only after some seconds.
export class Later extends Error {
  constructor(why, seconds, busy = false) {
    super(why);
    this.seconds = seconds;
    this.busy = busy;
  }
}

// retryAfter returns the seconds of a Retry-After header, which is a number or a date.
export function retryAfter(header, now) {
  if (!header) return 30;
  const seconds = /^\d+$/.test(header) ? +header : (Date.parse(header) - now) / 1000;
  return Math.min(longest, Math.max(1, Number.isFinite(seconds) ? seconds : 30));
}

// WebSource is a web server with the files of a torrent. url(i) returns the URL of file i.
export class WebSource {
  constructor(download, url) {
    this.download = download;
    this.url = url;
    this.notBefore = 0; // time in seconds
    this.failures = 0;
    this.running = 0;
    this.ranges = true; // whether the server answers with ranges
    this.problem = ""; // why the server sends nothing now: "busy", "gone" or "wrong"
    this.lies = 0; // times that it sent wrong pieces without a good one between them
    this.wrong = new Map(); // index -> number of times that it sent the piece wrong
    this.abort = new AbortController();
  }

  // unask is called when another source has sent a block.
  unask() {}

  // stop ends all requests.
  stop() {
    this.abort.abort();
    this.abort = new AbortController();
  }

  // ended reports whether the server is asked no more, because it sent wrong data again and again.
  get ended() { return this.lies >= mostLies; }

  // barred reports whether the server is not asked for a piece, because it has sent it wrong twice.
  barred(i) { return this.wrong.get(i) >= 2; }

  // usable reports whether the server may be asked for a piece in the next seconds.
  usable(i) { return !this.ended && this.ranges && !this.barred(i) && this.notBefore < this.download.now() + 5; }

  // lied is called when a piece from the server has a wrong hash.
  lied(i) {
    this.stop();
    if (this.problem === "wrong" && this.download.now() < this.notBefore) return; // asked for before the last time
    this.wrong.set(i, (this.wrong.get(i) ?? 0) + 1);
    this.lies++;
    this.failures = this.lies + 1;
    this.failed(new Error("the server sends other data than the torrent has"), "wrong");
  }

  // proved is called for a good piece.
  proved(piece) {
    if (!piece.from.some((source) => source.web === this)) return;
    this.lies = 0;
    if (this.problem === "wrong") this.problem = "";
  }

  // again forgets what the server did, because the visitor wants it to be asked.
  again() {
    this.lies = this.failures = this.notBefore = 0;
    this.wrong.clear();
    this.problem = "";
  }

  // run fetches a row of pieces of at most bytes: of all, or with unseen of those that no peer
  // has. It returns whether there was one.
  run(bytes, unseen, now) {
    if (now < this.notBefore || this.ended || (!this.ranges && this.running > 0)) return false;
    const { picker, torrent } = this.download;
    const source = {}; // each request is a source of its own, so that it can be forgotten alone
    source.unask = () => {};
    source.web = this;
    let begin = 0, end = torrent.length;
    if (this.ranges) {
      const row = picker.pickRun(source, bytes, unseen, now);
      if (!row) return false;
      const piece = picker.active.get(row[0]);
      begin = row[0] * torrent.pieceLength + blockSize * piece.from.indexOf(null);
      end = row[1] * torrent.pieceLength + torrent.pieceSize(row[1]);
    }
    this.running++;
    this.fetch(source, begin, end).then(() => {
      if (this.problem === "wrong") return; // only good pieces show that it is better now
      this.failures = 0;
      this.problem = "";
    }, (err) => this.failed(err)).finally(() => {
      this.running--;
      picker.forget(source);
    });
    return true;
  }

  failed(err, problem = err instanceof Later && err.busy ? "busy" : "gone") {
    if (err.name === "AbortError") return;
    this.failures++;
    this.problem = problem;
    const wait = err instanceof Later ? err.seconds : Math.min(60, 2 ** this.failures);
    this.notBefore = this.download.now() + wait * (1 + Math.random() / 5); // not all pages at once
  }

  // fetch asks for the bytes from begin to end of the torrent, file by file.
  async fetch(source, begin, end) {
    const { torrent } = this.download, { signal } = this.abort;
    const blocks = new Blocks((...block) => this.download.fromWeb(source, ...block), torrent);
    for (const part of torrent.parts(begin, end - begin)) {
      const file = torrent.files[part.file], at = file.offset + part.from;
      if (file.pad) {
        blocks.add(at, new Uint8Array(part.length));
        continue;
      }
      if (!this.ranges && !this.download.fileNeeded(part.file)) continue;
      await this.fetchPart(part, at, blocks, signal);
      if (signal.aborted) throw signal.reason;
    }
  }

  async fetchPart(part, at, blocks, signal) {
    const own = new AbortController(), stop = () => own.abort();
    signal.addEventListener("abort", stop);
    let timer = setTimeout(stop, 1000 * stall);
    try {
      const headers = { Range: `bytes=${part.from}-${part.from + part.length - 1}` };
      const r = await fetch(this.url(part.file), { headers, signal: own.signal, cache: "no-store", referrerPolicy: "no-referrer" });
      if (r.status === 503 || r.status === 429) throw new Later(`the server answers ${r.status}`, retryAfter(r.headers.get("Retry-After"), Date.now()), true);
      if (r.status !== 206 && r.status !== 200) throw new Later(`the server answers ${r.status}`, 60);
      if (r.status === 200 && part.from > 0) {
        own.abort();
        this.ranges = false;
        throw new Later("the server sends no ranges", 0);
      }
      const range = r.headers.get("Content-Range");
      if (r.status === 206 && range && !range.startsWith(`bytes ${part.from}-`)) throw new Later("the server sends another range", 60);
      const reader = r.body.getReader();
      let left = part.length;
      while (left > 0) {
        const { done, value } = await reader.read();
        if (done) throw new Error("the server sent less than asked for");
        clearTimeout(timer);
        timer = setTimeout(stop, 1000 * stall);
        const bytes = value.subarray(0, left);
        blocks.add(at + part.length - left, bytes);
        left -= bytes.length;
        await this.download.room();
      }
      reader.cancel().catch(() => {});
    } catch (err) {
      if (own.signal.aborted && !signal.aborted && err.name === "AbortError") throw new Error("the server is silent");
      throw err;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  }
}

// Blocks joins bytes that come in order to the blocks of a torrent, and passes each to
// use(piece, block, bytes).
export class Blocks {
  constructor(use, torrent) {
    this.use = use;
    this.torrent = torrent;
    this.block = new Uint8Array(blockSize);
    this.filled = 0;
    this.at = -1; // position in the torrent of the next byte
  }

  // add takes the bytes at position at of the torrent.
  add(at, bytes) {
    const { torrent } = this;
    if (at !== this.at) this.filled = 0;
    this.at = at;
    while (bytes.length > 0) {
      const i = Math.floor(this.at / torrent.pieceLength), inPiece = this.at - i * torrent.pieceLength;
      const size = torrent.pieceSize(i), number = Math.floor(inPiece / blockSize);
      const length = Math.min(blockSize, size - number * blockSize), inBlock = inPiece - number * blockSize;
      const part = bytes.subarray(0, length - inBlock);
      if (inBlock === this.filled) { // otherwise the bytes before are missing
        this.block.set(part, inBlock);
        this.filled += part.length;
      }
      this.at += part.length;
      bytes = bytes.subarray(part.length);
      if (inBlock + part.length < length) continue;
      if (this.filled === length) this.use(i, number, this.block.subarray(0, length));
      this.filled = 0;
    }
  }
}
