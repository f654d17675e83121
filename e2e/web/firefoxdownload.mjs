// Downloads releases in their pages in Firefox: node firefoxdownload.mjs SEEDPAGE WEBPAGE FILE
//
// SEEDPAGE is the page of a release whose publisher is a peer of browsers, and WEBPAGE that of one
// whose publisher has only HTTP, both at addresses that are no secure contexts. FILE has the data
// of both. The script prints one problem per line and exits with 1 if there are any.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Firefox } from "./firefox.mjs";

const [seedPage, webPage, file] = process.argv.slice(2);
const data = readFileSync(file);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const browser = await Firefox.launch();
const wholeFiles = () => readdirSync(browser.downloads).filter((f) => data.equals(readFileSync(join(browser.downloads, f)))).length;
const detail = (page) => browser.call(page, () => document.querySelector("[data-detail]").textContent);
const click = (page, act) => browser.call(page, (act) => document.querySelector(`[data-act=${act}]`).click(), act);
const shown = (page, act) => browser.until(page, (act) => {
  const e = document.querySelector(`[data-act=${act}]`);
  return e && !e.hidden;
}, act);

// stored returns the indexes of the pieces in the page's storage, in text.
const stored = (page) => browser.call(page, () => new Promise((done) => {
  const open = indexedDB.open("spate-downloads");
  open.onsuccess = () => {
    const all = open.result.transaction("pieces").objectStore("pieces").getAll();
    all.onsuccess = () => {
      open.result.close();
      done(all.result.flatMap((r) => r.pieces.map(([i]) => i)).join(" "));
    };
  };
}));

// download clicks the button of a page, and waits until the page has saved the file.
async function download(page) {
  const before = wholeFiles();
  await shown(page, "start");
  await click(page, "start");
  while (wholeFiles() === before) await new Promise((done) => setTimeout(done, 100));
}

// A page gets everything from the publisher's seed over WebRTC.
await browser.block(new URL("/d/system.iso", seedPage));
await download(await browser.open(seedPage));
console.log("the page has everything from the seed");

// A download over HTTP goes on after a reload.
const giver = await browser.open(webPage, true);
check(!(await browser.call(giver, () => isSecureContext)), "the page is a secure context, which hides what http pages lack");
await shown(giver, "start");
await click(giver, "start");
await browser.until(giver, () => document.querySelector("[data-bar]").getAttribute("aria-valuenow") > 0);
await browser.send("browsingContext.reload", { context: giver, wait: "complete" });
const had = (await stored(giver)).split(" ");
await shown(giver, "save");
const has = (await stored(giver)).split(" "), before = wholeFiles();
check(had.length > 0 && had.every((i) => has.includes(i)), "stored pieces were lost by the reload");
check(new Set(has).size === has.length, "pieces were fetched again after the reload");
await click(giver, "save");
while (wholeFiles() === before) await new Promise((done) => setTimeout(done, 100));
console.log(`after the reload with ${had.length} of ${has.length} pieces the page has everything`);

// A page gets everything from another page.
await browser.block(new URL("/d/system.iso", webPage));
const taker = await browser.open(webPage, true);
await download(taker);
check(/from 1 peer$/.test(await detail(taker)), `the page that took everything says ${await detail(taker)}`);
await browser.until(giver, () => /you gave back (0\.9|1\.0)/.test(document.querySelector("[data-detail]").textContent));
for (const line of browser.log) if (line.startsWith("error")) wrong.push(line);
await browser.close();
browser.remove();
for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
