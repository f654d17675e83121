// Lets two pages of a browser meet through a WebSocket tracker: node meet.mjs URL INFOHASH
//
// The pages are of another site than the tracker. One announces, the other announces with an offer
// of a WebRTC connection. They talk over the connection, and the tracker's counts follow them. It
// prints one problem per line and exits with 1 if there are any.
import { chromium } from "playwright-core";

const [url, hash] = process.argv.slice(2);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets"],
});

// open returns a page of another site with the functions of a client.
async function open(id) {
  const page = await browser.newPage();
  await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>x</title>" }));
  await page.goto("http://other.example/");
  await page.evaluate(async ({ url, hash, id }) => {
    const info_hash = String.fromCharCode(...hash.match(/../g).map((h) => parseInt(h, 16)));
    const peer_id = ("-WW0207-" + id + "\xff\x00\xe9".repeat(4)).slice(0, 20);
    const socket = new WebSocket(url);
    await new Promise((ok, no) => ((socket.onopen = ok), (socket.onerror = () => no(new Error("the socket fails")))));
    const waiting = [], came = [];
    socket.onmessage = (e) => (waiting.length ? waiting.shift()(JSON.parse(e.data)) : came.push(JSON.parse(e.data)));
    window.next = () => (came.length ? Promise.resolve(came.shift()) : new Promise((ok) => waiting.push(ok)));
    window.say = (m) => socket.send(JSON.stringify({ action: "announce", info_hash, peer_id, uploaded: 0, downloaded: 0, ...m }));
    window.ask = (m) => (socket.send(JSON.stringify(m)), window.next());
    window.bye = () => socket.close();
    window.info_hash = info_hash;
    // described waits until a description has all candidates.
    window.described = async (peer, description) => {
      await peer.setLocalDescription(description);
      while (peer.iceGatheringState !== "complete") await new Promise((ok) => (peer.onicegatheringstatechange = ok));
      return { type: peer.localDescription.type, sdp: peer.localDescription.sdp };
    };
    window.offer_id = "\x00\x7f\x80\xff" + id.repeat(16).slice(0, 16);
  }, { url, hash, id });
  return page;
}

const seed = await open("a"), leech = await open("b");
let reply = await seed.evaluate(() => (say({ left: 0, event: "started" }), next()));
check(reply.complete === 1 && reply.incomplete === 0 && reply.interval > 0, "the seed got " + JSON.stringify(reply));
reply = await leech.evaluate(async () => {
  window.peer = new RTCPeerConnection();
  window.channel = peer.createDataChannel("x");
  say({ left: null, event: "started", numwant: 1, offers: [{ offer: await described(peer, await peer.createOffer()), offer_id }] });
  return next();
});
check(reply.complete === 1 && reply.incomplete === 1 && reply.takers === 1, "the leecher got " + JSON.stringify(reply));
await seed.evaluate(async () => {
  const m = await next();
  window.peer = new RTCPeerConnection();
  peer.ondatachannel = (e) => (e.channel.onmessage = (x) => e.channel.send("heard " + x.data));
  await peer.setRemoteDescription(m.offer);
  say({ answer: await described(peer, await peer.createAnswer()), offer_id: m.offer_id, to_peer_id: m.peer_id });
});
const heard = await leech.evaluate(async () => {
  const m = await next();
  if (m.offer_id !== offer_id) return "the answer has another offer_id";
  const done = new Promise((ok) => (channel.onmessage = (e) => ok(e.data)));
  channel.onopen = () => channel.send("hello");
  await peer.setRemoteDescription(m.answer);
  return done;
});
check(heard === "heard hello", "over the connection came " + heard);
reply = await leech.evaluate(() => (say({ left: 0, event: "completed" }), next()));
check(reply.complete === 2 && reply.downloaded === 1, "after the download: " + JSON.stringify(reply));
await leech.evaluate(() => bye());
for (let tries = 0; ; tries++) {
  const file = (await seed.evaluate(() => ask({ action: "scrape", info_hash }))).files[await seed.evaluate(() => info_hash)];
  if (file.complete === 1 && file.downloaded === 1) break;
  if (tries > 1000) {
    check(false, "after the page was closed: " + JSON.stringify(file));
    break;
  }
}
await browser.close();
for (const w of wrong) console.log(w);
process.exit(wrong.length ? 1 : 0);
