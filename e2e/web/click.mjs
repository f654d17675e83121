// Clicks through the pages of a publisher as a visitor does, in both themes, on a
// desk and on a phone, and has axe-core look at each: node click.mjs BASE DIR
// prints what is wrong, one thing a line, and exits with 1 if anything is.
// Screenshots go to DIR.
import { chromium } from "playwright-core";
import axe from "axe-core";

const [base, shots] = process.argv.slice(2);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});

// look opens what a step leads to and holds it against everything that every page
// has to be.
async function look(page, name) {
  const found = await page.evaluate(async (source) => {
    (0, eval)(source);
    const report = await window.axe.run(document, { resultTypes: ["violations"] });
    return report.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`);
  }, axe.source);
  for (const f of found) wrong.push(`${name}: axe: ${f}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `${name}: ${wide} pixels wider than the window`);
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

for (const scheme of ["light", "dark"]) {
  for (const width of [390, 1280]) {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, bypassCSP: false });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]).catch(() => {});
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    const at = `${scheme}-${width}`;
    let expected; // where an error is what should come
    const due = (url) => expected !== undefined && url.endsWith(expected);
    page.on("console", (m) => m.type() === "error" && !due(m.location().url) && wrong.push(`${at}: console: ${m.text()}`));
    page.on("pageerror", (e) => wrong.push(`${at}: ${e}`));
    page.on("response", (r) => r.status() >= 400 && !due(r.url()) && wrong.push(`${at}: ${r.url()} answers ${r.status()}`));

    if ((scheme === "light") !== (width === 390)) {
      // The clicks are the same: these two are looked at alone.
      for (const [name, path] of [["index", "/"], ["release", "/r/system.iso"], ["files", "/r/tree%20of%20many/files"], ["stats", "/stats"]]) {
        await page.goto(base + path);
        await look(page, `${name}-${at}`);
      }
      await context.close();
      continue;
    }

    await page.goto(base + "/");
    await look(page, `index-${at}`);

    // The keyboard's first stop leads past the head of the page.
    await page.keyboard.press("Tab");
    check((await page.evaluate(() => document.activeElement.className)) === "skip", `${at}: the first Tab does not reach the way past the head`);

    await page.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: /^Live/ }).click();
    check(await page.getByRole("heading", { level: 1, name: "Live" }).isVisible(), `${at}: no page of the group`);

    await page.getByRole("link", { name: "system.iso", exact: true }).click();
    await page.waitForSelector("[data-live].live");
    check((await page.locator("dd[data-is=seeds]").textContent()) !== "–", `${at}: no live numbers`);
    check(await page.getByRole("heading", { name: "What is new" }).isVisible(), `${at}: no notes`);
    check(await page.getByRole("heading", { name: "Signature" }).isVisible(), `${at}: no signature`);
    await look(page, `release-${at}`);
    const line = page.locator("[data-copy=spate]").first();
    await page.getByRole("button", { name: "Copy the line for spate" }).first().click();
    await page.getByText("Copied", { exact: true }).or(page.getByText("Selected", { exact: true })).first().waitFor();
    check((await line.textContent()).startsWith("spate get "), `${at}: no line for spate`);

    const torrent = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download .torrent" }).click();
    check((await torrent).suggestedFilename() === "system.iso.torrent", `${at}: the .torrent has another name`);
    const direct = page.waitForEvent("download");
    await page.getByRole("link", { name: /^Download [0-9]/ }).click();
    check((await direct).suggestedFilename() === "system.iso", `${at}: the file has another name`);

    await page.getByRole("navigation", { name: "You are here" }).getByRole("link", { name: "Releases" }).click();
    await page.getByRole("searchbox").fill("TREE many");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "tree of many", exact: true }).click();
    await page.getByRole("link", { name: "All 300 files" }).click();
    await page.getByRole("heading", { level: 1, name: "Files" }).waitFor();
    await look(page, `files-${at}`);
    await page.getByRole("link", { name: "More", exact: true }).click();
    check(await page.getByRole("link", { name: "Back", exact: true }).isVisible(), `${at}: no way back from the second page of files`);

    expected = "/r/nothing";
    const missing = await page.goto(base + expected);
    check(missing.status() === 404, `${at}: a release that is not answers ${missing.status()}`);
    await look(page, `error-${at}`);

    await page.goto(base + "/stats");
    await look(page, `stats-${at}`);
    await context.close();
  }
}

// Without scripts everything is there too.
const plain = await browser.newContext({ javaScriptEnabled: false });
const page = await plain.newPage();
await page.goto(base + "/r/system.iso");
check((await page.locator("dd[data-is=seeds]").textContent()) === "1", "without scripts: no number of seeds");
check(await page.getByRole("link", { name: "Magnet link", exact: true }).isVisible(), "without scripts: no magnet link");
await browser.close();

for (const w of wrong) console.log(w);
console.log(wrong.length === 0 ? "all well" : `${wrong.length} things are wrong`);
process.exit(wrong.length === 0 ? 0 : 1);
