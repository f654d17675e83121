// Clicks through the pages of a publisher in a browser: node click.mjs BASE [DIR]
//
// It visits the pages at the size of a phone with the light theme, and of a desktop with the
// dark theme, and checks the accessibility of each with axe-core. It prints one problem per
// line and exits with 1 if there are any. Screenshots go to DIR.
import { chromium } from "playwright-core";
import axe from "axe-core";

const [base, shots] = process.argv.slice(2);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
// seen waits until an element is visible, and reports whether it is.
const seen = (element) => element.waitFor().then(() => true, () => false);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});

// look checks a page with axe-core, and that it is not wider than a window of a phone or a
// desktop. With DIR it takes screenshots in both themes.
async function look(page, name, scheme) {
  const found = await page.evaluate(async (source) => {
    (0, eval)(source);
    const report = await window.axe.run(document, { resultTypes: ["violations"] });
    return report.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`);
  }, axe.source);
  for (const f of found) wrong.push(`${name}, ${scheme}: axe: ${f}`);
  const size = page.viewportSize();
  for (const width of [390, 1280, 2560]) {
    await page.setViewportSize({ width, height: size.height });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${name}: ${wide} pixels wider than a window of ${width}`);
    for (const colorScheme of shots ? ["light", "dark"] : []) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${shots}/${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: scheme });
  await page.setViewportSize(size);
}

const absent = "/r/nothing"; // a page whose status must be 404

// visitor opens a browser page that records errors of scripts and of requests.
async function visitor(scheme, width) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: width < 600 ? 844 : 800 }, bypassCSP: false });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]).catch(() => {});
  const page = await context.newPage();
  page.setDefaultTimeout(120_000); // it only detects hangs
  const at = `${scheme}-${width}`;
  const due = (url) => url.endsWith(absent);
  page.on("console", (m) => m.type() === "error" && !due(m.location().url) && wrong.push(`${at}: console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`${at}: ${e}`));
  page.on("response", (r) => r.status() >= 400 && !due(r.url()) && wrong.push(`${at}: ${r.url()} answers ${r.status()}`));
  return page;
}

// firstScreen checks that the two ways to download are visible without scrolling, that the direct
// one is the only one with the look of a main button, and that both are large enough for a finger.
async function firstScreen(page, where) {
  const { height } = page.viewportSize();
  for (const [role, name, main] of [["button", /^Download [0-9]/, true], ["link", /^Faster with BitTorrent$/, false]]) {
    const link = page.getByRole(role, { name });
    const box = await link.boundingBox();
    check(box && box.y + box.height <= height, `on ${where} ${name} is below the first screen`);
    check(box && box.height >= 44 && box.width >= 44, `on ${where} ${name} is too small for a finger`);
    check((await link.evaluate((e) => e.classList.contains("main"))) === main, `on ${where} ${name} has the wrong look`);
  }
  check((await page.locator("main .button.main:visible").count()) === 1, `${where} shows several main buttons`);
}

const phone = await visitor("light", 390);
await phone.goto(base + "/");
await look(phone, "index", "light");

// The first Tab selects the link that skips the header.
await phone.keyboard.press("Tab");
check((await phone.evaluate(() => document.activeElement.className)) === "skip", "the first Tab does not select the link that skips the header");

await phone.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: /^Live/ }).click();
check(await seen(phone.getByRole("heading", { level: 1, name: "Live" })), "no page of the group");

await phone.getByRole("link", { name: "system.iso", exact: true }).click();
await phone.waitForSelector("[data-live].live");
await phone.getByRole("button", { name: /^Download [0-9]/ }).waitFor();
check((await phone.locator("dd[data-is=seeds]").textContent()) !== "–", "no live numbers");
await firstScreen(phone, "a phone");
check(await seen(phone.getByRole("heading", { name: "What is new" })), "no notes");
check(await seen(phone.getByRole("heading", { name: "Signature" })), "no signature");
await look(phone, "release", "light");
const line = phone.locator("[data-copy=spate]").first();
check(!(await line.isVisible()), "the lines for a terminal are not folded");
await phone.getByText("In a terminal", { exact: true }).click();
await phone.getByRole("button", { name: "Copy the line for spate" }).first().click();
await phone.getByText("Copied", { exact: true }).or(phone.getByText("Selected", { exact: true })).first().waitFor();
check((await line.textContent()).startsWith("spate get "), "no line for spate");

const torrent = phone.waitForEvent("download");
await phone.getByRole("link", { name: "Faster with BitTorrent" }).click();
await phone.getByRole("link", { name: "Torrent file" }).click();
check((await torrent).suggestedFilename() === "system.iso.torrent", "the .torrent has another name");
const direct = phone.waitForEvent("download");
await phone.getByRole("link", { name: "Download without other visitors" }).click();
check((await direct).suggestedFilename() === "system.iso", "the file has another name");
const inPage = phone.waitForEvent("download");
await phone.getByRole("button", { name: /^Download [0-9]/ }).click();
check((await inPage).suggestedFilename() === "system.iso", "the file that the page saves has another name");
await phone.getByRole("button", { name: "Save the file" }).waitFor();
await look(phone, "saved", "light");

await phone.getByRole("navigation", { name: "You are here" }).getByRole("link", { name: "Releases" }).click();
await phone.getByRole("searchbox").fill("TREE many");
await phone.keyboard.press("Enter");
await phone.getByRole("link", { name: "tree of many", exact: true }).click();
const archive = phone.waitForEvent("download");
await phone.getByRole("link", { name: "Download without other visitors" }).click();
check((await archive).suggestedFilename() === "tree of many.zip", "the archive has another name");
check((await archive.then((d) => d.failure())) === null, "the archive was not downloaded");
await phone.getByRole("link", { name: "All 300 files" }).click();
await phone.getByRole("heading", { level: 1, name: "Files" }).waitFor();
await look(phone, "files", "light");
const small = await phone.evaluate(() => [...document.querySelectorAll("main a, main button")].filter((a) => a.getBoundingClientRect().height < 44 && !a.closest(".crumb")).map((a) => a.textContent));
check(small.length === 0, `targets of less than 44 pixels: ${small.slice(0, 5)}`);
await phone.getByRole("link", { name: "Show SHA-256" }).click();
check(await seen(phone.locator("td code").first()), "no hashes");
await phone.getByRole("searchbox").fill("FILE 299");
await phone.keyboard.press("Enter");
check(await seen(phone.getByRole("link", { name: "file 299", exact: true })), "the filter does not find a file");
check((await phone.locator("tbody tr").count()) === 1, "the filter shows other files");
await phone.getByRole("link", { name: "show all" }).click();
await phone.getByRole("link", { name: "More", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "Back", exact: true })), "no link from the second page of files to the first");

const missing = await phone.goto(base + absent);
check(missing.status() === 404, `the status of a missing release is ${missing.status()}, want 404`);
await look(phone, "error", "light");

await phone.goto(base + "/");
await phone.getByRole("link", { name: "Tracker", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "Example files", exact: true })), "the page of the tracker has no brand");
await look(phone, "stats", "light");
await phone.getByRole("navigation", { name: "You are here" }).getByRole("link", { name: "Releases" }).click();
check(await seen(phone.getByRole("searchbox")), "no link from the statistics to the releases");

const desk = await visitor("dark", 1280);
for (const [name, path] of [["index", "/"], ["release", "/r/system.iso"], ["files", "/r/tree%20of%20many/files"], ["error", absent], ["stats", "/stats"]]) {
  await desk.goto(base + path);
  if (name === "release") {
    await desk.getByRole("button", { name: /^Download [0-9]/ }).waitFor();
    await firstScreen(desk, "a desktop");
  }
  await look(desk, name, "dark");
}

// The page contains the same information without scripts.
const plain = await browser.newContext({ javaScriptEnabled: false });
const page = await plain.newPage();
await page.goto(base + "/r/system.iso");
check((await page.locator("dd[data-is=seeds]").textContent()) === "1", "without scripts: no number of seeds");
check(await seen(page.getByRole("link", { name: /^Download [0-9]/ })), "without scripts: no plain download");
check(!(await page.getByRole("button", { name: /^Download/ }).isVisible()), "without scripts: a button that does nothing");
check(await seen(page.getByRole("link", { name: "Magnet link", exact: true })), "without scripts: no magnet link");
await page.getByText("No client? Get one", { exact: true }).click();
check(await seen(page.getByRole("link", { name: "qBittorrent", exact: true })), "without scripts: no programs to install");
await browser.close();

for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
