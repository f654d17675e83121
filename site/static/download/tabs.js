// Several tabs are one download: one of them, the leader, has the connections. The others show
// its state and take over when it ends.

const beat = 1000; // milliseconds between signs of life
const dead = 3500; // without a sign of life, after which another tab takes over

// lead resolves when this tab is the leader for a name. It resolves at once if there is none.
// Pages at http addresses have no Web Locks and agree over a BroadcastChannel.
export function lead(name) {
  if (navigator.locks) return new Promise((done) => navigator.locks.request(name, () => { done(); return new Promise(() => {}); }));
  return byChannel(name);
}

function byChannel(name) {
  const channel = new BroadcastChannel(name + "/leader");
  const id = Math.random();
  let leading = false, heard = 0;
  return new Promise((done) => {
    // A claim that nobody contradicts within the time of a beat makes a leader. Of several
    // tabs that claim at once, the one with the smallest number wins.
    let claimed = 0;
    channel.onmessage = ({ data }) => {
      if (leading) channel.postMessage({ lead: id });
      else if (data.lead !== undefined || data.claim < id) {
        heard = performance.now();
        claimed = 0;
      }
    };
    const look = () => {
      const now = performance.now();
      if (leading) channel.postMessage({ lead: id });
      else if (claimed > 0 && now - claimed > 300) {
        leading = true;
        channel.postMessage({ lead: id });
        done();
      } else if (claimed === 0 && now - heard > dead) {
        claimed = now;
        channel.postMessage({ claim: id });
        setTimeout(look, 350);
      }
    };
    heard = -dead;
    setInterval(look, beat);
    look();
  });
}
