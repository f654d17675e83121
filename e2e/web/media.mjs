// Plays music in a release page while it comes: node media.mjs PAGE
//
// It prints what is wrong, and exits with 1 if anything is.
import { chromium } from "playwright-core";

const [url] = process.argv.slice(2);
const wrong = [];
const args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--mute-audio"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
const page = await browser.newPage();
page.setDefaultTimeout(180_000); // it only detects hangs
page.on("console", (m) => m.type() === "error" && wrong.push(`console: ${m.text()}`));
page.on("pageerror", (e) => wrong.push(String(e)));
// Small ranges, of which that with the end of the file waits until the music plays.
await page.context().route((u) => u.pathname.endsWith("/download.js"), async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, body: (await response.text()).replace("runAlone = 4 << 20", "runAlone = 64 << 10") });
});
let plays = () => {};
const playing = new Promise((done) => { plays = done; });
await page.route(/\/d\/.*via=page/, async (route) => {
  if (route.request().headers().range.endsWith("-2999999")) await playing;
  await route.continue();
});
await page.goto(url);
await page.locator("button[data-act=start]").click();
await page.locator("button[data-act=play]").click();
await page.evaluate(() => {
  const e = document.querySelector("[data-player] audio");
  e.defaultPlaybackRate = 8;
  window.parts = 0;
  e.addEventListener("loadedmetadata", () => window.parts++);
});
await page.waitForFunction(() => document.querySelector("[data-player] audio").currentTime > 0);
if ((await page.locator("[data-bar]").getAttribute("aria-valuenow")) === "100") wrong.push("the file was complete before the music began");
plays();
await page.waitForFunction(() => document.querySelector("[data-player] audio").currentTime > 15.5); // of 15.6 seconds
const parts = await page.evaluate(() => window.parts);
if (parts < 2) wrong.push(`${parts} parts of the file were played`);
await browser.close();
for (const w of wrong) console.log(w);
process.exit(wrong.length === 0 ? 0 : 1);
