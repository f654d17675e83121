// Several tabs are one download: one of them, the leader, has the connections. The others show
// its state and take over when it ends. The tabs agree over a BroadcastChannel, which pages at http
// addresses have too, and which notices a leader that the browser has frozen.

const usual = { beat: 1000, dead: 3500, claim: 300 }; // milliseconds, see below

// channelName returns the name of the channel on which the tabs agree who leads.
export const channelName = (name) => `${name}/leader`;

// Lead is one tab. The leader gives a sign of life each beat. After a time without one, dead, a tab
// that seeks to lead claims it, and leads if nobody contradicts within the time claim. A tab that
// was alone for that long leads at once: it asks when it begins who else is there. If two lead
// nevertheless, such as when a frozen one wakes, the one that began last stays.
export class Lead {
  leading = false;
  seeking = false;
  since = 0; // when this tab claimed
  claimed = false;
  heard = -Infinity; // time of the last sign of a leader
  alone = true; // no other tab was heard

  // ends has won() and lost(), and silent(), which is called when the leader of others has ended.
  constructor(name, ends, times = usual) {
    this.ends = ends;
    this.times = times;
    this.id = Math.random();
    this.channel = new BroadcastChannel(channelName(name));
    this.channel.onmessage = ({ data }) => this.message(data);
    this.looked = performance.now(); // time of the last look
    this.began = this.looked; // since when it listens for others
    this.channel.postMessage({ who: true });
    this.timer = setInterval(() => this.look(), times.beat);
  }

  // seek lets this tab lead when nobody does.
  seek() {
    this.seeking = true;
    this.look();
  }

  // end ends the tab's part. Later calls do nothing.
  end() {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    clearTimeout(this.soon);
    if (this.leading) this.channel.postMessage({ bye: true });
    this.channel.close();
  }

  beat() { this.channel.postMessage({ lead: this.id, since: this.since }); }

  look() {
    if (this.ended) return; // a call that waited for something else can come after the end
    const now = performance.now(), { beat, claim, dead } = this.times;
    if (now - this.looked > 3 * beat) { // this tab stood still, and others perhaps too: it listens first
      if (this.heard > -Infinity) this.heard = now;
      this.claimTime = this.began = now;
    }
    this.looked = now;
    if (this.leading) {
      this.beat();
      return;
    }
    if (now - this.heard <= dead) return;
    if (this.heard > -Infinity) {
      this.heard = -Infinity;
      this.ends.silent();
    }
    if (!this.seeking) return;
    if (this.alone && now - this.began >= claim) {
      this.since = Date.now();
      this.win();
      return;
    }
    if (!this.claimed) {
      this.claimed = true;
      this.claimTime = now;
      this.since = Date.now();
      this.channel.postMessage({ claim: this.id });
    } else if (now - this.claimTime >= claim) {
      this.win();
      return;
    }
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.look(), claim + 20);
  }

  win() {
    this.claimed = false;
    this.leading = true;
    this.beat();
    this.ends.won();
  }

  message(m) {
    if (this.ended) return;
    this.alone = false;
    if (m.who) {
      this.channel.postMessage({ here: true });
      if (this.leading) this.beat();
    } else if (m.bye) {
      if (this.leading) return;
      this.heard = Math.min(this.heard, performance.now() - this.times.dead - 1);
      this.look();
    } else if (m.claim !== undefined) {
      if (this.leading) this.beat();
      else if (m.claim < this.id) this.claimed = false;
    } else if (m.lead !== undefined) {
      if (this.leading) {
        if (m.since < this.since || (m.since === this.since && m.lead > this.id)) {
          this.beat(); // the other one yields
          return;
        }
        this.leading = false;
        this.ends.lost();
      }
      this.claimed = false;
      this.heard = performance.now();
    }
  }
}
