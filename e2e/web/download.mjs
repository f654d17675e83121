// Downloads releases in their pages: node download.mjs PAGE FILE [DIR [seed|secure]]
//
// PAGE is the URL of a release page at an address that is not this machine's own, so that it is
// no secure context, and FILE has the data. The script prints one problem per line and exits
// with 1 if there are any. Screenshots go to DIR. With "seed" it downloads from the publisher's
// seed over WebRTC, and with "secure" also over HTTPS, whose certificate it does not check;
// otherwise the publisher has only HTTP.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const [url, file, shots, scenario] = process.argv.slice(2);
const data = readFileSync(file);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-features=WebRtcHideLocalIpsWithMdns"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });

// visitor opens a browser of its own.
async function visitor(name) {
  const context = await browser.newContext({ acceptDownloads: true, ignoreHTTPSErrors: scenario === "secure" });
  const page = await context.newPage();
  page.setDefaultTimeout(180_000); // it only detects hangs
  page.on("console", (m) => m.type() === "error" && wrong.push(`${name}: console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`${name}: ${e}`));
  return page;
}

// changeModule replaces a text in a module of the page. The page itself is not changed, because
// Chromium then takes it for one of the internet that may not connect to private addresses.
const changeModule = (page, file, from, to) => page.context().route((u) => u.pathname.endsWith(`/${file}`), async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, body: (await response.text()).replace(from, to) });
});

const start = (page) => page.locator("button[data-act=start]");
const shot = async (page, name) => {
  for (const width of shots ? [390, 1280, 2560] : []) {
    await page.setViewportSize({ width, height: width < 600 ? 844 : 900 });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${shots}/${name}-${colorScheme}-${width}.png` });
    }
  }
};

// saved waits for the file that the page saves, and compares it.
async function saved(page, name, act) {
  const event = page.waitForEvent("download");
  await act();
  const download = await event;
  check(data.equals(readFileSync(await download.path())), `${name}: the file differs`);
  return download;
}

// stored returns the indexes of the pieces in the page's storage.
const stored = (page) => page.evaluate(() => new Promise((done) => {
  const open = indexedDB.open("spate-downloads");
  open.onsuccess = () => {
    const all = open.result.transaction("pieces").objectStore("pieces").getAll();
    all.onsuccess = () => done(all.result.flatMap((r) => r.pieces.map(([i]) => i)));
  };
}));

// ranges collects the ranges of the data that a page asks for. hold stops all after the first n.
function ranges(page, hold = Infinity) {
  const list = [];
  page.route(/\/d\/.*via=page/, async (route) => {
    const [, from, to] = (route.request().headers().range ?? `bytes=0-${data.length - 1}`).match(/bytes=(\d+)-(\d+)/);
    if (list.length >= hold) return; // it waits until the page is reloaded
    list.push([+from, +to]);
    await route.continue();
  });
  return list;
}

// A download over HTTP alone goes on after a reload, without a piece that was stored before.
async function reloads() {
  const page = await visitor("reload");
  const before = ranges(page, 2);
  await page.goto(url);
  check(!(await page.evaluate(() => isSecureContext)), "the page is a secure context, which hides what http pages lack");
  await start(page).waitFor();
  check(await page.getByText("sends parts to other visitors").isVisible(), "the page does not say what it does before the click");
  check((await page.locator("main .button.main:visible").count()) === 1, "the page shows several main buttons");
  await shot(page, "before");
  await start(page).click();
  await page.waitForFunction(() => (document.querySelector("[data-bar]").ariaValueNow ?? document.querySelector("[data-bar]").getAttribute("aria-valuenow")) > 0);
  await page.waitForTimeout(1000); // the stored pieces of the held requests
  await shot(page, "running");
  const had = await stored(page);
  check(had.length > 0, "no piece was stored before the reload");
  await page.unroute(/\/d\/.*via=page/);
  const after = ranges(page);
  const pieceLength = 16384;
  await page.reload();
  await page.locator("button[data-act=save]").waitFor();
  await saved(page, "reload", () => page.locator("button[data-act=save]").click());
  const says = `${await page.locator("[data-say]").textContent()} ${await page.locator("[data-proof]").textContent()}`;
  check(/SHA-256 hash .*key [0-9A-F]{16} is right/.test(says), `a complete and signed download says ${says}`);
  for (const [from, to] of after) {
    const again = had.filter((i) => i * pieceLength < to && (i + 1) * pieceLength > from);
    check(again.length === 0, `pieces ${again.slice(0, 5)} were asked for again after the reload, in ${from}-${to}`);
  }
  check(before.length > 0 && after.length > 0, "no ranges were asked for");
  await shot(page, "done");
  await page.context().close(); // the next pages have no other peer
}

const detail = (page) => page.locator("[data-detail]").textContent();

// A page gets everything from another page, and tabs of one browser are one download.
async function exchanges() {
  const seed = await visitor("giver");
  await seed.goto(url);
  await saved(seed, "giver", () => start(seed).click());
  const taker = await visitor("taker");
  await taker.route(/\/d\//, (route) => route.abort());
  await taker.goto(url);
  const tab = await taker.context().newPage();
  await tab.goto(url);
  await start(tab).waitFor();
  await saved(taker, "taker", () => start(taker).click());
  const says = await detail(taker);
  check(/from 1 peer$/.test(says), `the page that took everything from another says ${says}`);
  await seed.waitForFunction(() => /you gave back (0\.9|1\.0)/.test(document.querySelector("[data-detail]").textContent)).catch(() => {});
  const gave = await detail(seed);
  check(/you gave back (0\.9|1\.0) of it/.test(gave), `the page that gave everything says ${gave}`);
  await tab.locator("button[data-act=save]").waitFor();
  await saved(tab, "second tab", () => tab.locator("button[data-act=save]").click());
  taker.on("dialog", (d) => d.accept());
  await taker.locator("[data-kept] summary").click();
  await taker.getByRole("button", { name: /^Delete:/ }).click();
  await start(taker).waitFor();
  check((await stored(taker)).length === 0, "pieces are left after they were deleted");
  await Promise.all([seed.context().close(), taker.context().close()]);
}

// A page that sends wrong data is dropped, and the download is complete nevertheless.
async function lies() {
  const liar = await visitor("liar");
  await changeModule(liar, "served.js", "[i, begin], bytes)", "[i, begin], new Uint8Array(length))");
  await liar.goto(url);
  await saved(liar, "liar", () => start(liar).click());
  const page = await visitor("victim");
  const held = [];
  await page.route(/\/d\//, (route) => (held ? held.push(route) : route.continue())); // until the liar was asked
  await page.goto(url);
  const done = saved(page, "victim", () => start(page).click());
  await page.waitForFunction(() => /wrong data was dropped/.test(document.querySelector("[data-detail]").textContent));
  await page.unroute(/\/d\//);
  for (const route of held) await route.continue();
  await done;
  await Promise.all([liar.context().close(), page.context().close()]);
}

// A file that the visitor has is checked, and only its wrong pieces are fetched.
async function repairs() {
  const page = await visitor("repair");
  const asked = ranges(page);
  await page.goto(url);
  await start(page).waitFor();
  const damaged = Buffer.from(data), at = Math.floor(data.length / 2);
  damaged[at] ^= 1;
  const kept = await page.evaluate(() => {
    const event = new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() });
    event.dataTransfer.items.add(new File(["x"], "x"));
    return !document.body.dispatchEvent(event);
  });
  check(kept, "a file that is dropped beside the box takes the browser away from the page");
  await page.locator("[data-own] summary").click();
  await page.locator("[data-own-file]").setInputFiles({ name: "mine", mimeType: "", buffer: damaged });
  await page.locator("[data-own-say]", { hasText: /^1 of [0-9,]+ pieces are wrong, at bytes/ }).waitFor();
  await shot(page, "own");
  await saved(page, "repair", () => start(page).click());
  const bytes = asked.reduce((n, [from, to]) => n + to - from + 1, 0);
  check(asked.length === 1 && asked[0][0] <= at && at <= asked[0][1] && bytes <= 1 << 20, `the repair of one byte asked for ${JSON.stringify(asked)}`);
  await page.context().close();
}

// The element downloads in a page of another site, which is a secure context, and whose worker
// is a blob.
async function embeds() {
  const page = await visitor("embed");
  const module = new URL("/static/download/embed/element.js", url).href;
  const html = `<!DOCTYPE html><html lang="en"><title>A project</title><link rel="icon" href="data:,"><spate-download src="${url}"><a href="x">plain</a></spate-download><script type="module" src="${module}"></script>`;
  const server = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end(html));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  await page.route(/\/inpage$/, async (route) => { // a hostile host
    const response = await route.fetch(), text = await response.text();
    const body = text.replace(/href="[^"]*" data-plain/, 'href="javascript:alert(1)" data-plain').replace('<div class="panel"', '<form action="https://evil.example"><input name="password"></form><div class="panel"');
    await route.fulfill({ response, body });
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  check(await page.evaluate(() => isSecureContext), "the page is no secure context");
  const element = page.locator("spate-download");
  await element.locator("button[data-act=start]").waitFor();
  check((await element.locator("form, input[name=password], a[href^=javascript]").count()) === 0, "the element shows markup of the release page");
  check((await element.getByText("they see your network address").count()) === 1, "the element does not say what others see");
  check(!(await element.getByText("plain", { exact: true }).isVisible()), "the element shows its fallback beside the button");
  await saved(page, "embed", () => element.locator("button[data-act=start]").click());
  const workers = page.workers().length;
  await page.evaluate(() => document.querySelector("spate-download").remove());
  for (let n = 0; page.workers().length > 0 && n < 1000; n++) await page.waitForTimeout(20);
  check(workers === 1 && page.workers().length === 0, `${workers} workers, and ${page.workers().length} after the element was removed`);
  await page.context().close();
  server.close();
}

// A page gets everything from the publisher's seed over WebRTC.
async function fromSeed() {
  const page = await visitor("seed");
  await page.route(/\/d\//, (route) => route.abort());
  await page.goto(url);
  await saved(page, "seed", () => start(page).click());
  check(!/publisher/.test(await detail(page)), "the page says that data came from the publisher over HTTP");
}

// A page over HTTPS, which is a secure context, gets everything from the publisher's seed and from
// another page over WebRTC, by wss, and goes on after a reload with what it has stored.
async function secure() {
  const seed = await visitor("first");
  const sockets = [];
  seed.on("websocket", (s) => sockets.push(s.url()));
  await seed.route(/\/d\//, (route) => route.abort());
  await seed.goto(url);
  check(await seed.evaluate(() => isSecureContext && crypto.subtle !== undefined), "the page over HTTPS is no secure context");
  await saved(seed, "first", () => start(seed).click());
  check(!/publisher/.test(await detail(seed)), "the page says that data came from the publisher over HTTP");
  check(sockets.length > 0 && sockets.every((s) => s.startsWith("wss://")), `the page uses the trackers ${sockets}`);
  const second = await visitor("second");
  await second.route(/\/d\//, (route) => route.abort());
  await second.goto(url);
  await saved(second, "second", () => start(second).click());
  await second.reload();
  await second.locator("button[data-act=save]").waitFor();
  await saved(second, "reload", () => second.locator("button[data-act=save]").click());
  await Promise.all([seed.context().close(), second.context().close()]);
}

if (scenario === "seed") await fromSeed();
else if (scenario === "secure") await secure();
else for (const run of [reloads, exchanges, lies, repairs, embeds]) await run();
await browser.close();
for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
