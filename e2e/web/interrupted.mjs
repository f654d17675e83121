// Interrupts a download in a page: node interrupted.mjs PAGE FILE
//
// PAGE is the URL of a release page and FILE has the data. The browser is killed in the middle, and
// has no room for the data for some time; each time the download goes on afterwards. The script
// prints one problem per line and exits with 1 if there are any.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, file] = process.argv.slice(2);
const data = readFileSync(file);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-features=WebRtcHideLocalIpsWithMdns"];
const profile = mkdtempSync(join(tmpdir(), "chromium-"));

// launch starts the browser with the profile.
async function launch() {
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args, acceptDownloads: true });
  context.setDefaultTimeout(180_000); // it only detects hangs
  return context;
}

// kill kills all processes of the browser at once.
function kill() {
  for (const pid of readdirSync("/proc").filter((p) => /^\d+$/.test(p))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`--user-data-dir=${profile}`)) process.kill(+pid, "SIGKILL");
    } catch {} // it has ended
  }
}

// stored returns the indexes of the pieces in the page's storage.
const stored = (page) => page.evaluate(() => new Promise((done) => {
  const open = indexedDB.open("spate-downloads");
  open.onsuccess = () => {
    const all = open.result.transaction("pieces").objectStore("pieces").getAll();
    all.onsuccess = () => {
      open.result.close();
      done(all.result.flatMap((r) => r.pieces.map(([i]) => i)));
    };
  };
}));

// complete waits for the end of the download, and checks that the pieces of before were kept and not fetched again.
async function complete(page, name, before) {
  await page.locator("button[data-act=save]").waitFor();
  const event = page.waitForEvent("download");
  await page.locator("button[data-act=save]").click();
  check(data.equals(readFileSync(await (await event).path())), `${name}: the file differs`);
  const all = await stored(page);
  check(before.length > 0 && before.every((i) => all.includes(i)), `${name}: stored pieces were lost`);
  check(new Set(all).size === all.length, `${name}: stored pieces were fetched again`);
}

let context = await launch(), page = context.pages()[0];
await page.goto(url);
await page.locator("button[data-act=start]").click();
await page.waitForFunction(() => document.querySelector("[data-bar]").getAttribute("aria-valuenow") > 0);
let before = await stored(page);
kill();
await context.close().catch(() => {});
context = await launch();
page = context.pages()[0];
await page.goto(url); // it goes on by itself
await complete(page, "killed", before);
await context.close();

// A browser without room says so, shows the plain link, and goes on when there is room.
rmSync(profile, { recursive: true, force: true });
context = await launch();
page = context.pages()[0];
await page.goto(url);
const cdp = await context.newCDPSession(page), { origin } = new URL(url);
await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_500_000 });
await page.locator("button[data-act=start]").click();
await page.locator("[data-say]", { hasText: "The browser has no room for more" }).waitFor();
check(await page.locator("a.button.main").isVisible(), "no room: the plain link is hidden");
before = await stored(page);
await cdp.send("Storage.overrideQuotaForOrigin", { origin });
await page.locator("button[data-act=start-again]").click();
await complete(page, "no room", before);
await context.close();
rmSync(profile, { recursive: true, force: true });
for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
