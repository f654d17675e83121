// The worker of a download: it parses the torrent, picks, checks and stores. The window has the
// connections, because RTCPeerConnection exists only there.
//
// The window sends {do: ...} messages and gets {is: ...} messages. Tabs with the same download
// talk over a BroadcastChannel: one of them leads and downloads, the others show its state.
import { parse } from "./metainfo.js";
import { Download } from "./download.js";
import { Store } from "./store.js";
import { report } from "./report.js";
import { checkFile } from "./own.js";
import { lead } from "./tabs.js";

const reportTime = 400; // milliseconds

let torrent, store, record, download, channel, options;
let leading = false, leadAsked = false, others = null; // others is the state that another tab reported

const say = (message, transfer = []) => postMessage(message, transfer);

// peerId returns a random peer id in the style of BEP 20.
function peerId(prefix) {
  const id = crypto.getRandomValues(new Uint8Array(20));
  for (let i = 0; i < 20; i++) id[i] = i < prefix.length ? prefix.charCodeAt(i) : 0x61 + (id[i] % 26);
  return id;
}

// open reads the torrent and what is stored of it. The window shows it, and a download that was
// running when its page was closed goes on.
async function open(message) {
  options = message;
  const r = await fetch(message.torrent, { referrerPolicy: "no-referrer" });
  if (!r.ok) throw new Error(`the server answers ${r.status} to the request for the torrent`);
  torrent = await parse(new Uint8Array(await r.arrayBuffer()));
  store = await Store.open();
  record = await store.record(torrent.key);
  options.urls = torrent.files.map((f) => {
    if (options.byPath) return options.byPath[f.path.join("/")];
    return torrent.single ? options.data : `${options.data}${f.path.map(encodeURIComponent).join("/")}?via=page`;
  });
  channel = new BroadcastChannel(`spate-${torrent.key}`);
  channel.onmessage = ({ data }) => heard(data);
  await prepare();
  say({
    is: "opened", key: torrent.key, name: torrent.name, size: torrent.size, single: torrent.single,
    infoHash: torrent.infoHash, peerId: download.peerId, wanted: record?.files ?? null, given: record?.given ?? 0,
    files: torrent.files.map((f, i) => ({ i, path: f.path.join("/"), length: f.length })).filter((_, i) => !torrent.files[i].pad),
    goesOn: record?.running === true,
  });
  tell();
  channel.postMessage({ hello: true });
  if (record?.running) begin({ files: record.files });
}

// wantedPieces returns the pieces of the chosen files, or of all for null.
function wantedPieces(files) {
  const wanted = new Uint8Array(torrent.count).fill(files ? 0 : 1);
  for (const i of files ?? []) {
    const row = torrent.piecesOf(i);
    if (row) wanted.fill(1, row[0], row[1] + 1);
  }
  return wanted;
}

async function prepare() {
  const next = new Download(torrent, store, peerId(options.client), {
    send: (id, bytes) => {
      const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
      say({ is: "send", id, data: own.buffer }, [own.buffer]);
    },
    close: (id) => say({ is: "close", id }),
    changed: () => tell(),
  });
  next.tracked = options.tracked ? -1 : 0;
  await next.load(wantedPieces(record?.files));
  download = next;
}

// begin downloads, in this tab or, if another tab leads, in that one.
async function begin({ files = null, share = true }) {
  if (!leading) {
    channel.postMessage({ command: { do: "start", files, share } });
    if (leadAsked) return;
    leadAsked = true;
    await lead(`spate-${torrent.key}`);
    const tookOver = others !== null;
    leading = true;
    others = null;
    record = await store.record(torrent.key);
    await prepare();
    if (tookOver && !record?.running) return; // another tab has paused or deleted it
    if (tookOver) files = record.files;
  }
  record = { key: torrent.key, name: torrent.name, size: torrent.size, page: options.page, torrent: torrent.bytes, given: download.given, changed: Date.now(), files, running: true };
  try {
    await store.setRecord(record);
  } catch (err) {
    download.fail(err.name === "QuotaExceededError" ? "full" : "store", err.message);
    return;
  }
  download.want(wantedPieces(files));
  download.share(share);
  download.start((i) => options.urls[i]);
  say({ is: "lead" });
}

async function setRunning(running) {
  record = { ...(await store.record(torrent.key)), key: torrent.key, running };
  if (record.name) await store.setRecord(record);
}

// Commands that a tab may pass to the leading one.
const commands = {
  start: (m) => begin(m),
  async pause() {
    download.pause();
    await setRunning(false);
  },
  share: ({ on }) => download.share(on),
  // remove ends the download and deletes its data.
  async remove() {
    await download.stop();
    await store.remove(torrent.key);
    record = undefined;
    await prepare();
    say({ is: "removed" });
    channel.postMessage({ removed: true });
  },
};

function command(message) {
  if (leading || message.do === "start" || (message.do === "remove" && !others)) return commands[message.do](message);
  channel.postMessage({ command: message });
  return undefined;
}

// heard handles a message of another tab.
function heard(data) {
  if (data.command && leading) commands[data.command.do]?.(data.command);
  else if (data.hello && leading) tell();
  else if (data.removed) prepare().then(() => { others = null; tell(); });
  else if (data.state && !leading) {
    others = data.state;
    say({ ...data.state, is: "state", elsewhere: true });
  }
}

// tell reports the state to the window and to the other tabs.
function tell() {
  if (!download || (others && !leading)) return;
  const state = report(download);
  say({ is: "state", ...state });
  if (leading) channel.postMessage({ state });
}

const handlers = {
  open,
  start: command, pause: command, share: command, remove: command,
  // Connections of the window.
  connected: ({ id, who }) => download.connected(id, who),
  data: ({ id, data }) => download.arrived(id, new Uint8Array(data)),
  closed: ({ id }) => download.drop(id),
  sent: ({ id, n }) => download.sent(id, n),
  tracked: ({ peers }) => {
    download.tracked = peers;
    download.useWeb();
  },
  // file sends a file as a Blob that refers to the stored pieces.
  file: async ({ index }) => say({ is: "file", index, blob: await store.file(torrent, index) }),
  // own checks a file of the visitor and stores its good pieces.
  own: async ({ file, index }) => {
    const found = await checkFile(file, torrent, index, (pieces) => store.put(torrent.key, pieces), (done) => say({ is: "checking", done }));
    await prepare();
    say({ is: "checked", index, ...found });
    tell();
  },
  list: async () => say({ is: "list", downloads: await (store ?? (store = await Store.open())).list() }),
  delete: async ({ key }) => {
    await (store ?? (store = await Store.open())).remove(key);
    handlers.list();
  },
};

// Messages are handled in order, but those of connections do not wait for the others.
let last = Promise.resolve();
const direct = new Set(["connected", "data", "closed", "sent", "tracked", "list", "file"]);
onmessage = ({ data }) => {
  const run = () => handlers[data.do](data);
  if (direct.has(data.do)) {
    run();
    return;
  }
  last = last.then(run).catch((err) => say({ is: "failed", text: err.message, name: err.name }));
};

addEventListener("online", () => download?.online());

setInterval(() => { if (leading) tell(); }, reportTime);
