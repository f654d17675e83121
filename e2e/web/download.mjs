// Downloads releases in their pages: node download.mjs PAGE FILE [DIR]
//
// PAGE is the URL of a release page at an address that is not this machine's own, so that it is
// no secure context, and FILE has the data. The script prints one problem per line and exits
// with 1 if there are any. Screenshots go to DIR.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [url, file, shots] = process.argv.slice(2);
const data = readFileSync(file);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-features=WebRtcHideLocalIpsWithMdns"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });

// visitor opens the page in a browser of its own. change changes the HTML.
async function visitor(name, change = (html) => html) {
  const context = await browser.newContext({ acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(180_000); // it only detects hangs
  page.on("console", (m) => m.type() === "error" && wrong.push(`${name}: console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`${name}: ${e}`));
  await page.route(url, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: change(await response.text()) });
  });
  return page;
}

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
  for (const [from, to] of after) {
    const again = had.filter((i) => i * pieceLength < to && (i + 1) * pieceLength > from);
    check(again.length === 0, `pieces ${again.slice(0, 5)} were asked for again after the reload, in ${from}-${to}`);
  }
  check(before.length > 0 && after.length > 0, "no ranges were asked for");
  await shot(page, "done");
  return page;
}

await reloads();
await browser.close();
for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
