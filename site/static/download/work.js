// What the worker of a download does: it parses the torrent, picks, checks and stores. The window
// has the connections, because RTCPeerConnection exists only there.
//
// The window sends {do: ...} messages and gets {is: ...} messages. Tabs with the same download
// talk over a BroadcastChannel: one of them leads and downloads, the others show its state.
import { parse } from "./metainfo.js";
import { Download, problemOf } from "./download.js";
import { Store } from "./store.js";
import { report } from "./report.js";
import { checkFile } from "./own.js";
import { check, keyId } from "./signature.js";
import { Lead } from "./tabs.js";

const reportTime = 400; // milliseconds

// Messages that do not wait for those before them.
const direct = new Set(["connected", "data", "closed", "sent", "tracked", "ranged", "list", "delete", "file", "part", "own", "online", "offline"]);

// Failure is an error with the code of a message of the page.
class Failure extends Error {
  constructor(code, cause) {
    super(cause.message, { cause });
    this.code = code;
  }
}
const as = (code) => (err) => { throw new Failure(code, err); };

// load resolves to the bytes of a file of the site.
async function load(url) {
  const r = await fetch(url, { referrerPolicy: "no-referrer" });
  if (!r.ok) throw new Error(String(r.status));
  return new Uint8Array(await r.arrayBuffer());
}

const text = (bytes) => new TextDecoder().decode(bytes);

// checkSigned resolves to what is known of the signature of a .torrent: {is, key}, where is is "good",
// "wrong", or "unknown" if it could not be loaded, or to null if there is none. signed is that of
// target: with must, what is not signed is as wrong as what is signed by somebody else.
async function checkSigned(signed, torrent) {
  if (!signed) return null;
  let is = signed.must ? "wrong" : "unknown", of = {};
  try {
    const found = text(await load(signed.torrent));
    is = "wrong";
    of = check(signed.key, torrent, found);
    if (!of.release || of.release === signed.ref) is = "good";
  } catch {}
  return { is, key: is === "good" ? keyId(signed.key) : "", ...of };
}

// peerId returns a random peer id in the style of BEP 20.
function peerId(prefix) {
  const id = crypto.getRandomValues(new Uint8Array(20));
  for (let i = 0; i < 20; i++) id[i] = i < prefix.length ? prefix.charCodeAt(i) : 0x61 + (id[i] % 26);
  return id;
}

// Work is the worker. say(message, transfer) sends a message to the window.
export class Work {
  others = null; // state of the leader, if that is another tab
  wish = null; // {files, share, id} of a start that no leader has carried out yet
  last = Promise.resolve();

  constructor(say, times) {
    this.say = say;
    this.times = times;
    this.timer = setInterval(() => { if (this.lead?.leading) this.tell(); }, reportTime);
  }

  // message handles a message of the window.
  message(m) {
    if (direct.has(m.do)) this[m.do](m);
    else this.queue(() => this[m.do](m));
  }

  // queue runs f after what waits already.
  queue(f) {
    this.last = this.last.then(f).catch((err) => this.say({ is: "failed", code: err.code ?? problemOf(err), text: err.message }));
    return this.last;
  }

  // open reads the torrent and what is stored of it. The window shows it, and a download that was
  // running when its page was closed goes on.
  async open(options) {
    this.options = options;
    this.sharing = options.share !== false;
    const bytes = await load(options.torrent).catch(as("network"));
    const torrent = this.torrent = await parse(bytes).catch(as("torrent"));
    this.signature = await checkSigned(options.signed, bytes);
    if (torrent.v1 && !torrent.layer && options.v2) await torrent.readBeside(await this.v2Hashes().catch(() => null)); // else SHA-1 is enough
    this.peerId = peerId(options.client);
    this.store ??= await Store.open().catch(as("storage"));
    const record = await this.store.record(torrent.key);
    this.urls = torrent.files.map((f) => {
      if (options.byPath) return options.byPath[f.path.join("/")];
      return torrent.single ? options.data : `${options.data}${f.path.map(encodeURIComponent).join("/")}?via=page`;
    });
    const name = this.name = `spate-${torrent.key}`;
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = ({ data }) => this.heard(data);
    this.lead = new Lead(name, {
      won: () => this.queue(() => this.won()),
      lost: () => this.queue(() => this.lost()),
      silent: () => this.queue(() => this.alone()),
    }, this.times);
    await this.prepare(record);
    this.say({
      is: "opened", key: torrent.key, name: torrent.name, size: torrent.size, single: torrent.single, channel: name,
      infoHash: torrent.infoHash, peerId: this.peerId, wanted: record?.files ?? null, given: record?.given ?? 0,
      files: torrent.files.map((f, i) => ({ i, path: f.path.join("/"), length: f.length })).filter((_, i) => !torrent.files[i].pad),
    });
    this.tell();
    this.channel.postMessage({ hello: true });
    if (record?.running) this.lead.seek();
  }

  // v2Hashes resolves to the v2 hashes that the .torrent leaves out. If it was signed, they must be too.
  async v2Hashes() {
    const { v2, signed } = this.options, hashes = await load(v2);
    if (this.signature?.is !== "good") return hashes;
    const of = check(signed.key, hashes, text(await load(signed.v2)));
    return of.release === this.signature.release && of.published === this.signature.published ? hashes : null;
  }

  // wantedPieces returns the pieces of the chosen files, or of all for null.
  wantedPieces(files) {
    const { torrent } = this, wanted = new Uint8Array(torrent.count).fill(files ? 0 : 1);
    for (const i of files ?? []) {
      const row = torrent.piecesOf(i);
      if (row) wanted.fill(1, row[0], row[1] + 1);
    }
    return wanted;
  }

  // prepare makes a download of what is stored, in place of the one before.
  async prepare(record) {
    await this.download?.stop();
    const next = new Download(this.torrent, this.store, this.peerId, {
      send: (id, bytes) => {
        const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
        this.say({ is: "send", id, data: own.buffer }, [own.buffer]);
      },
      close: (id) => this.say({ is: "close", id }),
      changed: () => { if (this.download === next) this.tell(); },
    });
    next.tracked = this.options.tracked ? -1 : 0;
    next.signature = this.signature;
    await next.load(this.wantedPieces(record?.files));
    this.download = next;
  }

  // Commands of the window. The leader carries them out, whichever tab that is.

  start(m) {
    if (this.lead.leading) return this.begin(m);
    this.wish = { ...m, id: Math.random() };
    this.command(this.wish);
    this.lead.seek(); // if no leader answers
    return undefined;
  }

  pause(m) {
    this.wish = null;
    return this.lead.leading ? this.rest() : this.command(m);
  }

  share(m) {
    this.sharing = m.on;
    if (this.lead.leading) this.download.share(m.on);
    else this.command(m);
  }

  remove(m) {
    this.wish = null;
    return this.lead.leading || !this.others ? this.clear() : this.command(m);
  }

  command(command) { this.channel.postMessage({ command }); }

  // begin downloads in this tab.
  async begin({ files = null, share = this.sharing }) {
    const { torrent, store } = this;
    if (this.signature?.is === "wrong") {
      this.download.fail("forged");
      return;
    }
    if (this.download.problem?.code === "removed") await this.prepare();
    const record = { key: torrent.key, name: torrent.name, size: torrent.size, page: this.options.page, torrent: torrent.bytes, given: this.download.given, changed: Date.now(), files, running: true };
    try {
      await store.setRecord(record);
    } catch (err) {
      this.download.fail(problemOf(err));
      return;
    }
    this.download.want(this.wantedPieces(files));
    this.download.share(share);
    this.download.start((i) => this.urls[i]);
    this.say({ is: "lead" });
  }

  async rest() {
    this.download.pause();
    await this.store.change(this.torrent.key, { running: false });
  }

  // clear ends the download and deletes its data.
  async clear() {
    await this.download.stop();
    await this.store.remove(this.torrent.key);
    this.channel.postMessage({ removed: true });
    await this.forgotten();
  }

  // forgotten begins again after the data were deleted.
  async forgotten() {
    this.others = null;
    await this.prepare();
    this.say({ is: "removed" });
    this.tell();
  }

  // Other tabs.

  // won is called when this tab leads. It does what the visitor wished last.
  async won() {
    if (!this.lead.leading) return;
    this.others = null;
    const record = await this.store.record(this.torrent.key), { wish } = this;
    this.wish = null;
    await this.prepare(record);
    if (wish) await this.begin(wish);
    else if (record?.running) await this.begin({ files: record.files });
    else this.tell();
  }

  // lost is called when another tab leads because this one was frozen.
  async lost() {
    if (this.lead.leading) return;
    this.say({ is: "follow" });
    await this.prepare(await this.store.record(this.torrent.key));
    this.channel.postMessage({ hello: true });
  }

  // alone is called when the leader has ended. What it stored is shown.
  async alone() {
    if (this.lead.leading) return;
    this.others = null;
    await this.prepare(await this.store.record(this.torrent.key));
    this.tell();
  }

  // heard handles a message of another tab.
  heard(m) {
    const { lead } = this;
    if (m.command && lead.leading) {
      this.queue(async () => {
        if (!lead.leading) return;
        await this[m.command.do](m.command);
        if (m.command.id) this.channel.postMessage({ done: m.command.id });
      });
    } else if (m.done && m.done === this.wish?.id) this.wish = null;
    else if (m.hello && lead.leading) this.tell();
    else if (m.removed) this.queue(() => this.forgotten());
    else if (m.found && lead.leading) this.stored(m.found).catch(() => {});
    else if (m.state && !lead.leading) {
      this.others = m.state;
      this.say({ ...m.state, is: "state", elsewhere: true });
    }
  }

  // stored takes pieces that another tab has stored.
  async stored(indexes) {
    await this.store.load(this.torrent.key);
    this.download.found(indexes);
  }

  // tell reports the state to the window and to the other tabs.
  tell() {
    const leading = this.lead?.leading;
    if (!this.download || (this.others && !leading)) return;
    const state = report(this.download);
    this.say({ is: "state", ...state });
    if (leading) this.channel.postMessage({ state });
  }

  // Connections of the window.

  connected({ id, who }) { this.download.connected(id, who); }
  data({ id, data }) { this.download.arrived(id, new Uint8Array(data)); }
  closed({ id }) { this.download.drop(id); }
  sent({ id, n }) { this.download.sent(id, n); }
  tracked({ peers }) {
    this.download.tracked = peers;
    this.download.useWeb();
  }

  // online and offline are called when the browser finds a network or loses it.
  online() { this.download?.online(); }

  // offline shows at once that nothing comes.
  offline() {
    for (const rate of [this.download?.down, this.download?.up]) rate?.reset();
    this.tell();
  }

  ranged({ addresses }) { this.download.serving(addresses); }

  // file sends a file as a Blob that refers to the stored pieces, or null.
  async file({ index }) {
    const blob = await this.store.file(this.torrent, index).catch(() => null);
    this.say({ is: "file", index, blob });
  }

  // part sends the start of a file that is here and checked, to be played, and lets the rest of the
  // file come in its order.
  async part({ index }) {
    const { torrent, download, store } = this, row = torrent.piecesOf(index), { picker, served, unproved } = download;
    let blob = null, end = row?.[0];
    try {
      while (row && end <= row[1] && picker.have[end] && (!unproved.has(end) || (await served.prove(end)))) end++;
      if (row && end > row[0]) blob = await store.file(torrent, index, end);
      if (row) picker.row = { next: end, last: row[1] };
    } catch {} // it is asked for again
    this.say({ is: "part", index, blob, whole: Boolean(row) && end > row[1] });
  }

  // own checks a file of the visitor and stores its good pieces. While it does, they have a record.
  async own({ file, index }) {
    const { torrent, store } = this;
    try {
      const fresh = !(await store.record(torrent.key));
      if (fresh) await store.setRecord({ key: torrent.key, name: torrent.name, size: torrent.size, page: this.options.page, torrent: torrent.bytes, given: 0, changed: Date.now(), files: null, running: false });
      let any = false;
      const put = async (pieces) => {
        any = true;
        await store.put(torrent.key, pieces);
        const indexes = pieces.map(([i]) => i);
        this.download.found(indexes);
        this.channel.postMessage({ found: indexes });
      };
      const found = await checkFile(file, torrent, index, put, (done) => this.say({ is: "checking", done }));
      if (fresh && !any && !this.download.began) await store.remove(torrent.key);
      this.say({ is: "checked", index, ...found });
      this.tell();
    } catch (err) {
      this.say({ is: "unchecked", code: err.name === "NotReadableError" || err.name === "NotFoundError" ? "unreadable" : problemOf(err) });
    }
  }

  async list() {
    try {
      this.store ??= await Store.open();
      this.say({ is: "list", downloads: await this.store.list() });
    } catch {} // a browser that stores nothing has no list
  }

  // delete deletes another download of this browser. Tabs that have it begin again.
  async delete({ key }) {
    try {
      this.store ??= await Store.open();
      await this.store.remove(key);
      const channel = new BroadcastChannel(`spate-${key}`);
      channel.postMessage({ removed: true });
      channel.close();
    } catch (err) {
      this.say({ is: "failed", code: problemOf(err), text: err.message });
    }
    await this.list();
  }

  // end ends everything, for tests. A browser ends the whole worker.
  async end() {
    clearInterval(this.timer);
    this.lead?.end();
    await this.last;
    await this.download?.stop();
    this.channel?.close();
  }
}
