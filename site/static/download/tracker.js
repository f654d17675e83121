// A client of WebSocket trackers, in the protocol of the npm package bittorrent-tracker.
import { textOf } from "./bencode.js";

const retryLeast = 5, retryMost = 120; // seconds between attempts to connect
const lonely = 30; // seconds between announces while there are few peers

// Tracker announces a torrent to one tracker and passes on the offers and answers of peers.
//
// ends has infoHash, peerId, state() -> {left, downloaded, uploaded, hungry}, offers(n) which
// resolves to [{id, sdp}], offer(tracker, peerId, offerId, sdp), answer(peerId, offerId, sdp), and
// counted(tracker, peers). If it has ranged(addresses), the tracker is asked for peers that serve
// ranges over HTTP.
export class Tracker {
  constructor(url, ends) {
    Object.assign(this, { url, ends });
    this.retry = retryLeast;
    this.event = "started";
    this.peers = -1; // other peers that could take offers, as far as the tracker says
    this.failure = "";
    this.connect();
  }

  connect() {
    if (this.closed) return;
    try {
      this.socket = new WebSocket(this.url);
    } catch {
      this.ends.counted();
      return; // an https page may not use ws
    }
    this.socket.onopen = () => {
      this.retry = retryLeast;
      this.announce();
    };
    this.socket.onmessage = ({ data }) => this.message(data);
    this.socket.onclose = () => {
      clearTimeout(this.timer);
      if (this.closed) return;
      this.event = "started";
      if (this.peers < 0) this.peers = 0;
      this.ends.counted();
      this.timer = setTimeout(() => this.connect(), this.retry * 1000 * (1 + Math.random() / 2));
      this.retry = Math.min(retryMost, 2 * this.retry);
    };
  }

  // online connects again at once, because the browser has a network again. A socket of the network
  // before may stay open for minutes though nothing comes through it.
  online() {
    if (this.closed) return;
    clearTimeout(this.timer);
    if (this.socket) {
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
    }
    this.retry = retryLeast;
    this.event = "started";
    this.connect();
  }

  send(message) {
    if (this.socket?.readyState !== 1) return;
    this.socket.send(JSON.stringify({ ...message, info_hash: textOf(this.ends.infoHash), peer_id: textOf(this.ends.peerId) }));
  }

  // announce tells the tracker about us, with offers if we want more peers.
  async announce(event = this.event) {
    this.event = "";
    const socket = this.socket;
    const { left, downloaded, uploaded, hungry } = this.ends.state();
    const offers = hungry > 0 ? await this.ends.offers(hungry) : [];
    if (this.closed || socket !== this.socket || socket?.readyState !== 1) return; // lost meanwhile; onclose connects again
    const message = { action: "announce", uploaded, downloaded, left, numwant: offers.length };
    if (event) message.event = event;
    if (this.ends.ranged && left > 0) message.ranges = true; // an addition of spate's tracker
    if (offers.length > 0) message.offers = offers.map((o) => ({ offer_id: o.id, offer: { type: "offer", sdp: o.sdp } }));
    this.send(message);
    this.plan();
  }

  plan() {
    clearTimeout(this.timer);
    const seconds = this.ends.state().hungry > 0 ? Math.min(this.interval ?? lonely, lonely) : this.interval ?? 120;
    this.timer = setTimeout(() => this.announce(), 1000 * seconds);
  }

  message(text) {
    let m;
    try {
      m = JSON.parse(text);
    } catch {
      return;
    }
    if (m === null || typeof m !== "object" || (m.info_hash !== undefined && m.info_hash !== textOf(this.ends.infoHash))) return;
    this.failure = typeof m["failure reason"] === "string" ? m["failure reason"] : "";
    if (this.failure) this.peers = Math.max(0, this.peers);
    if (m.interval > 0) this.interval = Math.min(3600, Math.max(20, m.interval));
    if (Number.isInteger(m.takers) && m.takers >= 0) this.peers = m.takers; // an addition of spate's tracker
    else if (Number.isInteger(m.complete) && Number.isInteger(m.incomplete)) this.peers = Math.max(0, m.complete + m.incomplete - 1);
    if (typeof m.offer?.sdp === "string" && typeof m.offer_id === "string" && typeof m.peer_id === "string") this.ends.offer(this, m.peer_id, m.offer_id, m.offer.sdp);
    else if (typeof m.answer?.sdp === "string" && typeof m.offer_id === "string") this.ends.answer(typeof m.peer_id === "string" ? m.peer_id : "", m.offer_id, m.answer.sdp);
    if (Array.isArray(m.ranges)) this.ends.ranged?.(m.ranges);
    this.ends.counted();
  }

  // answer sends our answer to the offer of a peer.
  answer(peerId, offerId, sdp) { this.send({ action: "announce", to_peer_id: peerId, offer_id: offerId, answer: { type: "answer", sdp } }); }

  close() {
    if (this.closed) return;
    const { left, downloaded, uploaded } = this.ends.state();
    this.send({ action: "announce", event: "stopped", uploaded, downloaded, left, numwant: 0 });
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }
}
