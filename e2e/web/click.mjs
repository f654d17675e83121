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
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-features=BackForwardCache"],
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
  for (const width of [320, 390, 640, 1280, 2560]) { // 320 and 640: a window of 1,280 at 400 % and 200 %
    await page.setViewportSize({ width, height: size.height });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${name}: ${wide} pixels wider than a window of ${width}`);
    for (const colorScheme of shots && width !== 320 ? ["light", "dark"] : []) {
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

await phone.getByRole("link", { name: "Back", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "file 000", exact: true })), "Back does not lead to the first page of files");
check((await phone.getByRole("link", { name: "Back", exact: true }).count()) === 0, "the first page of files has a link to one before it");

// Variants: that of the visitor's system comes first, and each has a page of its own.
await phone.goto(base + "/");
await phone.getByRole("link", { name: "Choose a variant of Editor" }).click();
await phone.locator("[data-choose] .main").waitFor();
const first = phone.locator("[data-choose] li").first();
check((await first.getAttribute("data-system")) === "Linux", "the variant for the visitor's system is not the first");
check((await phone.locator(".button.main").count()) === 1 && (await first.locator(".button.main").count()) === 1, "the main button is not that of the visitor's system");
check((await phone.locator(".each[data-variants] li").first().textContent()).includes("linux-amd64"), "the torrents of the variants are not in the order of the buttons");
check((await phone.locator("#terminal dt").first().textContent()).includes("linux-amd64"), "the lines for a terminal are not in the order of the buttons");
await look(phone, "choice", "light");
const variant = phone.waitForEvent("download");
await first.getByRole("link").click();
check((await variant).suggestedFilename() === "editor-linux-amd64.zip", "the variant has another name");
await phone.getByRole("link", { name: "windows-amd64", exact: true }).click();
check(await seen(phone.getByRole("navigation", { name: "Variants" }).locator("[aria-current=page]", { hasText: "windows-amd64" })), "the page of a variant does not say which one it is");
await firstScreen(phone, "the page of a variant");
await phone.getByRole("navigation", { name: "Variants" }).getByRole("link", { name: "macos-universal" }).click();
await phone.waitForURL("**/r/Editor~~macos-universal");
await phone.goBack();
check(await seen(phone.locator("[aria-current=page]", { hasText: "windows-amd64" })), "one step back from a variant does not lead to the one before");
await phone.goBack();
check(await seen(phone.locator("[data-choose]")), "two steps back from a variant do not lead to the choice");

// Folders: from the page of a release down and back up, with the links and with the browser.
await phone.goto(base + "/r/mixed");
await phone.getByRole("link", { name: "docs/", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "about.txt", exact: true })), "the folder does not show its file");
await phone.getByRole("link", { name: "deep/", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "picture.png", exact: true })), "the folder in the folder does not show its file");
await look(phone, "folder", "light");
await phone.getByRole("navigation", { name: "Folder" }).getByRole("link", { name: "docs", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "about.txt", exact: true })), "no link to the folder above");
await phone.goBack();
check(await seen(phone.getByRole("link", { name: "picture.png", exact: true })), "the browser's Back does not lead to the folder before");
await phone.getByRole("navigation", { name: "Folder" }).getByRole("link", { name: "Top folder" }).click();
check(await seen(phone.getByRole("link", { name: "data/", exact: true })), "no link to the top folder");
await phone.getByRole("searchbox").fill("deep PICT");
await phone.keyboard.press("Enter");
await phone.waitForURL("**/files?q=deep*");
check((await phone.locator("tbody tr").count()) === 1 && (await seen(phone.getByRole("link", { name: "docs/deep/picture.png", exact: true }))), "the filter does not find a file by its folder and name");
await phone.goBack();
check(await seen(phone.getByRole("link", { name: "data/", exact: true })), "the browser's Back does not undo the filter");

// Previews: a picture and text are shown, and scripts in them do not run.
await phone.goto(base + "/r/picture.png");
const image = phone.locator(".preview img");
await image.scrollIntoViewIfNeeded();
await phone.waitForFunction(() => document.querySelector(".preview img").complete);
check((await image.evaluate((e) => e.naturalWidth)) === 320, "the picture is not shown");
await look(phone, "picture", "light");
await phone.goto(base + "/");
await phone.getByRole("link", { name: "Read me (first).txt", exact: true }).click();
await phone.waitForURL("**/r/read-me-first.txt"); // its nice address
await phone.locator(".preview iframe").scrollIntoViewIfNeeded();
check(await seen(phone.frameLocator(".preview iframe").getByText("Hello from")), "the text is not shown");
check(!(await phone.title()).includes("owned"), "a script in the text has run");
await phone.goto(base + "/r/mixed/files?dir=docs%2Fdeep");
await phone.getByRole("link", { name: "View picture.png" }).click();
await phone.waitForURL("**/v/mixed/docs/deep/picture.png");
check((await phone.evaluate(() => document.contentType)) === "image/png", "the link to view a picture does not show it");

// Languages: the footer changes the language, and the next pages keep it.
await phone.goto(base + "/r/system.iso");
for (const [name, lang, download, folder] of [["Deutsch", "de", /^[0-9].* herunterladen$/, "de"], ["Español", "es", /^Descargar [0-9]/, "es"], ["简体中文", "zh-Hans", /^下载 [0-9]/, "zh"]]) {
  await phone.getByRole("contentinfo").getByRole("link", { name, exact: true }).click();
  // The script of the page replaces the link by a button.
  check(await seen(phone.getByRole("button", { name: download }).or(phone.getByRole("link", { name: download })).first()), `no button to download in ${name}`);
  for (const [kind, path] of [["index", "/"], ["release", "/r/system.iso"], ["choice", "/r/Editor"], ["files", "/r/mixed/files"], ["error", absent], ["stats", "/stats"]]) {
    await phone.goto(base + path);
    check((await phone.evaluate(() => document.documentElement.lang)) === lang, `${path} is not in ${name}`);
    if (lang !== "es") await look(phone, `${kind}-${folder}`, "light"); // German has the longest words, and Chinese another script
  }
  await phone.goto(base + "/r/system.iso");
}
await phone.waitForSelector("[data-live].live");
await phone.locator("#terminal summary").click();
await phone.locator("#terminal .copy").first().click();
check(await seen(phone.getByText("已复制", { exact: true }).or(phone.getByText("已选中", { exact: true })).first()), "the button to copy has no Chinese text");
await phone.getByRole("contentinfo").getByRole("link", { name: "English", exact: true }).click();
check(await seen(phone.getByRole("link", { name: "Faster with BitTorrent" })), "no way back to English");

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

// Everything works with the keyboard alone.
await desk.goto(base + "/r/system.iso");
await desk.getByRole("button", { name: /^Download [0-9]/ }).waitFor();
let tabs = 0;
for (; tabs < 15 && !(await desk.evaluate(() => document.activeElement.matches(".button.main"))); tabs++) await desk.keyboard.press("Tab");
check((await desk.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)) !== "none", "the selected button has no outline");
const typed = desk.waitForEvent("download");
await desk.keyboard.press("Enter");
check((await typed).suggestedFilename() === "system.iso", `Tab, ${tabs} times, and Enter do not download`);

// The page contains the same information without scripts.
const plain = await browser.newContext({ javaScriptEnabled: false });
const page = await plain.newPage();
await page.goto(base + "/r/system.iso");
check(/^[1-9]$/.test(await page.locator("dd[data-is=seeds]").textContent()), "without scripts: no number of seeds"); // the pages that downloaded may be seeds too
check(await seen(page.getByRole("link", { name: /^Download [0-9]/ })), "without scripts: no plain download");
check(!(await page.getByRole("button", { name: /^Download/ }).isVisible()), "without scripts: a button that does nothing");
check(await seen(page.getByRole("link", { name: "Magnet link", exact: true })), "without scripts: no magnet link");
await page.getByText("No client? Get one", { exact: true }).click();
check(await seen(page.getByRole("link", { name: "qBittorrent", exact: true })), "without scripts: no programs to install");
await page.goto(base + "/r/Editor");
check((await page.locator("[data-choose] li").count()) === 3 && (await page.locator(".button.main").count()) === 0, "without scripts: the variants are not listed equally");
await page.getByRole("link", { name: "Deutsch", exact: true }).click();
check(await seen(page.getByRole("heading", { name: "Schneller mit BitTorrent" })), "without scripts: no German page");
await browser.close();

for (const w of wrong) console.log(w);
console.log(`${wrong.length} problems`);
process.exit(wrong.length === 0 ? 0 : 1);
