// A download as the page sees it: the worker, the trackers and the connections to peers.
import { Connections } from "./webrtc.js";
import { Tracker } from "./tracker.js";
import { askable } from "./ranges.js";
import { channelName } from "./tabs.js";

const client = "-Sw0100-"; // start of the peer ids

// possible returns "" or what this browser lacks for a download in the page.
export function possible() {
  const w = globalThis;
  for (const name of ["Worker", "indexedDB", "BroadcastChannel", "WebSocket", "ReadableStream"]) if (!w[name]) return name;
  return "";
}

// Session runs a download. options are those of target, and worker, a function that returns a
// Worker.
// on(message) gets the messages of the worker that are not about connections.
export class Session {
  constructor(options, on) {
    this.options = options;
    this.on = on;
    this.trackers = [];
    this.ended = new AbortController();
    this.worker = options.worker();
    this.worker.onmessage = ({ data }) => this.message(data);
    this.worker.onerror = () => on({ is: "failed", code: "failed" });
    this.waiting = new Map(); // index of a file -> functions that wait for its Blob
    const { torrent, v2, signed, data, byPath, page } = options;
    this.do({ do: "open", torrent, v2, signed, data, byPath, page, client, share: !options.metered, tracked: options.trackers.length > 0 && typeof RTCPeerConnection !== "undefined" });
    const { signal } = this.ended;
    addEventListener("pagehide", () => this.leave(), { signal });
    addEventListener("online", () => {
      for (const t of this.trackers) t.online();
      this.do({ do: "online" });
    }, { signal });
    addEventListener("offline", () => this.do({ do: "offline" }), { signal });
    addEventListener("pageshow", (event) => { if (event.persisted && this.leading) this.connect(); }, { signal });
  }

  // leave lets another tab lead at once, because the browser may freeze or end this one.
  leave() {
    this.disconnect();
    if (!this.leading) return;
    const channel = new BroadcastChannel(channelName(this.opened.channel));
    channel.postMessage({ bye: true });
    channel.close();
  }

  // end ends the session: the worker and all connections.
  end() {
    if (this.ended.signal.aborted) return;
    this.ended.abort();
    this.leave();
    this.worker.terminate();
    for (const list of this.waiting.values()) for (const done of list) done(null);
  }

  do(message, transfer = []) { this.worker.postMessage(message, transfer); }

  start(files = null) { this.do({ do: "start", files, share: !this.options.metered }); }

  message(m) {
    switch (m.is) {
      case "send":
        this.connections?.send(m.id, m.data);
        return;
      case "close":
        this.connections?.close(m.id);
        return;
      case "opened":
        this.opened = m;
        break;
      case "lead":
        this.leading = true;
        this.connect();
        break;
      case "follow":
      case "removed":
        this.leading = false;
        this.disconnect();
        break;
      case "state":
        this.follow(m);
        break;
      case "file":
        for (const done of this.waiting.get(m.index) ?? []) done(m.blob);
        this.waiting.delete(m.index);
        return;
      case "part":
        this.parted?.(m);
        return;
    }
    this.on(m);
  }

  // follow connects and disconnects as the state changes.
  follow(state) {
    const before = this.state;
    this.state = state;
    if (!this.leading || state.elsewhere) return;
    const idle = state.phase === "paused" || state.phase === "problem" || (state.phase === "done" && !state.sharing);
    if (idle) this.disconnect();
    else this.connect();
    if (state.phase === "done" && before && before.phase !== "done" && this.left() === 0) for (const t of this.trackers) t.announce("completed");
  }

  // left returns the number of bytes that are missing of the whole release.
  left() { return this.opened.size - (this.state?.have ?? 0); }

  connect() {
    if (this.trackers.length > 0 || this.ended.signal.aborted || typeof RTCPeerConnection === "undefined") return;
    const { infoHash, peerId } = this.opened;
    this.connections = new Connections(this.options.stun, {
      opened: (id, who) => this.do({ do: "connected", id, who }),
      data: (id, data) => this.do({ do: "data", id, data }, [data]),
      closed: (id) => this.do({ do: "closed", id }),
      sent: (id, n) => this.do({ do: "sent", id, n }),
    });
    const ends = {
      infoHash, peerId,
      state: () => {
        const s = this.state;
        return { left: this.left(), downloaded: s?.fromPeers + s?.fromWeb || 0, uploaded: s?.given ?? 0, hungry: s?.phase === "done" ? 0 : this.connections?.hungry() ?? 0 };
      },
      offers: (n) => this.connections.makeOffers(n),
      offer: async (tracker, peerId, offerId, sdp) => {
        const answer = await this.connections?.accept(sdp, peerId);
        if (answer) tracker.answer(peerId, offerId, answer);
      },
      answer: (peerId, offerId, sdp) => this.connections?.answered(offerId, sdp, peerId),
      counted: () => {
        const counts = this.trackers.map((t) => t.peers);
        this.do({ do: "tracked", peers: counts.some((n) => n < 0) ? Math.max(-1, ...counts) : Math.max(0, ...counts) });
      },
    };
    // An https page may not use http, and is not shown to peers for nothing.
    if (location.protocol === "http:") ends.ranged = (list) => this.do({ do: "ranged", addresses: askable(list, location.hostname) });
    this.trackers = this.options.trackers.map((url) => new Tracker(url, ends));
  }

  disconnect() {
    for (const t of this.trackers) t.close();
    this.trackers = [];
    this.connections?.closeAll();
    this.connections = null;
  }

  // part resolves to {blob, whole}: the start of a file that is here. blob is null if nothing is.
  part(index) {
    return new Promise((done) => {
      this.parted = done;
      this.do({ do: "part", index });
    });
  }

  // file resolves to a file of the download as a Blob, or to null.
  file(index) {
    return new Promise((done) => {
      this.waiting.set(index, [...(this.waiting.get(index) ?? []), done]);
      this.do({ do: "file", index });
    });
  }
}
