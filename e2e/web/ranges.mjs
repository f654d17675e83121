// Downloads a release in its page from a peer that serves ranges over HTTP:
// node ranges.mjs PAGE FILE INFOHASH TRACKER SEED
//
// PAGE is the URL of a release page at an address that is not this machine's own, FILE has the data,
// TRACKER is the announce URL and SEED the "ip:port" of the peer. Then this machine announces a peer
// that sends wrong ranges. The script prints one problem per line and exits with 1 if there are any.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [url, file, infoHash, tracker, seed] = process.argv.slice(2);
const data = readFileSync(file);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });

// download downloads the release in a page of a new visitor. It returns the peers that were asked for
// ranges, the number of bytes that each sent, and what the page says.
async function download(name) {
  const context = await browser.newContext({ acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(180_000); // it only detects hangs
  page.on("pageerror", (e) => wrong.push(`${name}: ${e}`));
  const sent = {};
  page.on("response", (r) => {
    const at = new URL(r.url());
    const range = r.headers()["content-range"]?.match(/(\d+)-(\d+)/);
    if (at.pathname === `/piece-data/${infoHash}` && r.status() === 206 && range) sent[at.host] = (sent[at.host] ?? 0) + +range[2] - range[1] + 1;
  });
  await page.route(/\/d\//, (route) => route.abort()); // nothing over HTTP from the publisher
  await page.goto(url);
  check(!(await page.evaluate(() => isSecureContext)), "the page is a secure context");
  const event = page.waitForEvent("download");
  await page.locator("button[data-act=start]").click();
  const got = await event;
  check(data.equals(readFileSync(await got.path())), `${name}: the file differs`);
  const says = await page.locator("[data-detail]").textContent();
  await context.close();
  return { sent, says };
}

const honest = await download("honest");
check((honest.sent[seed] ?? 0) >= data.length / 2, `the page took ${JSON.stringify(honest.sent)} over HTTP of ${data.length} bytes, and says ${honest.says}`);

// A peer on this machine announces itself and sends noise.
let lies = 0;
const liar = createServer((request, answer) => {
  const [, begin, end] = request.headers.range.match(/(\d+)-(\d+)/);
  const bytes = Buffer.alloc(end - begin + 1, 7);
  lies++;
  answer.writeHead(206, { "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Content-Range", "Content-Range": `bytes ${begin}-${end}/${data.length}`, "Content-Length": bytes.length });
  answer.end(bytes);
});
await new Promise((done) => liar.listen(0, done));
const escaped = infoHash.replace(/../g, "%$&");
const announced = await fetch(`${tracker}?info_hash=${escaped}&peer_id=-XX0000-liarliarliar&port=${liar.address().port}&uploaded=0&downloaded=0&left=0&event=started&ranges=1`);
check(announced.status === 200, `the tracker answers ${announced.status}`);
const fooled = await download("with a liar");
check(lies > 0, "the liar was not asked");
check(/wrong data was dropped/.test(fooled.says), `with a liar the page says ${fooled.says}`);
liar.close();
await browser.close();
for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems; over HTTP: ${JSON.stringify(honest.sent)}; the page says: ${honest.says}; lies: ${lies}`);
process.exit(wrong.length === 0 ? 0 : 1);
