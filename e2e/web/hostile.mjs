// Visits pages of a stranger that attack a site on the visitor's network: node hostile.mjs SITE API
//
// SITE is the URL of a site whose tracker serves the pages of https://example.org only, and API is
// that of its daemon. The browser's own checks of the local network are off. The script prints one
// problem per line and exits with 1 if there are any.
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [site, api] = process.argv.slice(2);
const { hostname, port, host } = new URL(site);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets", `--host-resolver-rules=MAP evil.example ${hostname}`],
});
const page = await browser.newPage();
const stranger = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!DOCTYPE html><title>A stranger</title>"));
await new Promise((done) => stranger.listen(0, "127.0.0.1", done));

// opens tells whether a WebSocket to a URL opens in the page.
const opens = (url) => page.evaluate((u) => new Promise((done) => {
  const s = new WebSocket(u);
  s.onopen = () => done(true);
  s.onerror = () => done(false);
}), url);

// reads returns the status of a request whose answer the page can read, or the error.
const reads = (url, options) => page.evaluate(([u, o]) => fetch(u, o).then((r) => r.status, String), [url, options]);

await page.goto(`http://127.0.0.1:${stranger.address().port}/`);
check(/TypeError/.test(await reads(site)), "a page of a stranger reads the index");
check(/TypeError/.test(await reads(`${site}stats`)), "a page of a stranger reads the statistics");
const token = { Authorization: "Bearer x" }; // a preflight asks first
check(/TypeError/.test(await reads(`${api}v1/status`, { headers: token })), "a page of a stranger reads the API");
check(/TypeError/.test(await reads(`${api}v1/releases/a.iso`, { method: "DELETE", headers: token })), "a page of a stranger uses the API");
check(/TypeError/.test(await reads(`${api}v1/backup`, { method: "POST", body: "{}" })), "a page of a stranger reads an answer of the API");
check((await reads(`${site}index.json`)) === 200, "a page of a stranger does not read the list for programs");
check(!(await opens(`ws://${host}/announce`)), "a page of a stranger uses the tracker");
await page.evaluate((u) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = frame.onerror = done;
  frame.src = u;
  document.body.append(frame);
}), site);
check(page.frames().every((f) => f === page.mainFrame() || !f.url().startsWith(site)), "a page of a stranger shows the site in a frame");

// The name of a stranger resolves to the site.
const rebound = await page.goto(`http://evil.example:${port}/`);
check(rebound.status() === 421, `under the name of a stranger the site answers ${rebound.status()}`);
check((await reads("/d/a.iso")) === 421, "under the name of a stranger a page reads a file");
check((await reads("/stats")) === 421, "under the name of a stranger a page reads the statistics");
check(!(await opens(`ws://evil.example:${port}/announce`)), "under the name of a stranger a page uses the tracker");
check(/TypeError/.test(await reads(`http://evil.example:${new URL(api).port}/v1/status`, { headers: token })), "under the name of a stranger a page reads the API");

// Its own pages use the tracker.
await page.goto(site);
check(await opens(`ws://${host}/announce`), "a page of the site does not use its tracker");
await browser.close();
stranger.close();
for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
