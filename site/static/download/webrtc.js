// Connections to peers: one ordered WebRTC data channel each, as webtorrent has them. The
// descriptions contain all candidates, because the trackers pass on one message each way.

const gatherTime = 1000; // milliseconds for candidates
const connectTime = 25_000; // milliseconds from an answer to an open channel
const offerTime = 60_000; // milliseconds that an offer waits for an answer
const high = 1 << 20, low = 1 << 18; // bytes that wait in a channel
const mostPeers = 30, mostOffers = 5;

// Connections has the connections of a download. ends has opened(id, who), data(id, buffer),
// closed(id) and sent(id, bytes).
export class Connections {
  constructor(stun, ends) {
    this.config = { iceServers: stun.map((urls) => ({ urls })) };
    this.ends = ends;
    this.all = new Map(); // id -> {pc, channel, open, waiting}
    this.offers = new Map(); // offer id -> id
    this.next = 1;
  }

  // hungry returns the number of offers to make for more peers.
  hungry() { return Math.max(0, Math.min(mostOffers, mostPeers - this.all.size)); }

  create() {
    const id = this.next++, pc = new RTCPeerConnection(this.config);
    const c = { id, pc, channel: null, open: false, queue: [], who: "" };
    this.all.set(id, c);
    pc.onconnectionstatechange = () => { if (pc.connectionState === "failed" || pc.connectionState === "closed") this.close(id); };
    return c;
  }

  // expire closes a connection that is not open in time.
  expire(c, milliseconds) {
    clearTimeout(c.timer);
    c.timer = setTimeout(() => { if (!c.open) this.close(c.id); }, milliseconds);
  }

  // makeOffers resolves to n offers as [{id, sdp}].
  async makeOffers(n) {
    const made = await Promise.all(Array.from({ length: n }, async () => {
      const c = this.create();
      try {
        this.channel(c, c.pc.createDataChannel("spate"));
        await c.pc.setLocalDescription(await c.pc.createOffer());
        await gathered(c.pc);
        const offerId = String.fromCharCode(...crypto.getRandomValues(new Uint8Array(20)));
        this.offers.set(offerId, c.id);
        this.expire(c, offerTime);
        return { id: offerId, sdp: c.pc.localDescription.sdp };
      } catch {
        this.close(c.id);
        return null;
      }
    }));
    return made.filter(Boolean);
  }

  // answered takes the answer to one of our offers from the peer that the tracker calls who.
  async answered(offerId, sdp, who) {
    const c = this.all.get(this.offers.get(offerId));
    if (!c || !this.offers.delete(offerId)) return;
    c.who = who;
    this.expire(c, connectTime);
    try {
      await c.pc.setRemoteDescription({ type: "answer", sdp });
    } catch {
      this.close(c.id);
    }
  }

  // accept resolves to the answer to the offer of a peer, or to null.
  async accept(sdp, who) {
    if (this.all.size >= mostPeers + mostOffers) return null;
    const c = this.create();
    c.who = who;
    this.expire(c, connectTime);
    c.pc.ondatachannel = ({ channel }) => this.channel(c, channel);
    try {
      await c.pc.setRemoteDescription({ type: "offer", sdp });
      await c.pc.setLocalDescription(await c.pc.createAnswer());
      await gathered(c.pc);
      return c.pc.localDescription.sdp;
    } catch {
      this.close(c.id);
      return null;
    }
  }

  channel(c, channel) {
    if (c.channel) return;
    c.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = low;
    channel.onopen = () => {
      c.open = true;
      this.ends.opened(c.id, c.who);
    };
    channel.onmessage = ({ data }) => { if (data instanceof ArrayBuffer) this.ends.data(c.id, data); };
    channel.onclose = () => this.close(c.id);
    channel.onbufferedamountlow = () => this.flush(c);
  }

  send(id, buffer) {
    const c = this.all.get(id);
    if (!c) return;
    c.queue.push(buffer);
    this.flush(c);
  }

  // flush passes what waits to the channel, as much as it takes.
  flush(c) {
    try {
      while (c.queue.length > 0 && c.channel.bufferedAmount < high) {
        const buffer = c.queue.shift();
        c.channel.send(buffer);
        this.ends.sent(c.id, buffer.byteLength);
      }
    } catch {
      this.close(c.id);
    }
  }

  close(id) {
    const c = this.all.get(id);
    if (!c) return;
    this.all.delete(id);
    for (const [offer, of] of this.offers) if (of === id) this.offers.delete(offer);
    clearTimeout(c.timer);
    c.pc.close();
    if (c.open) this.ends.closed(id);
  }

  closeAll() { for (const id of [...this.all.keys()]) this.close(id); }

  // open returns the number of open connections.
  open() { return [...this.all.values()].filter((c) => c.open).length; }
}

// gathered resolves when the local description has all candidates, or after gatherTime.
function gathered(pc) {
  if (pc.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    const timer = setTimeout(done, gatherTime);
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      done();
    });
  });
}
