// Uses the graphical client as a person does: node client.mjs LINK MAGNET [DIR]
//
// LINK signs in. MAGNET is a torrent with five files of 6 MB, "part 1.mkv" to "part 5.mkv", which comes slowly.
// It adds it with two of the files, opens the first one while it comes, pauses and removes the torrent, checks
// the pages with axe-core in both themes and prints what is wrong. Screenshots go to DIR.
import axe from "axe-core";
import { chromium } from "playwright-core";

const wrong = [];
process.on("uncaughtException", (err) => { // what was found before is not lost
  console.log([err.message, ...wrong].join("\n"));
  process.exit(1);
});
const [link, magnet, shots] = process.argv.slice(2);
const check = (ok, what) => ok || wrong.push(what);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
page.setDefaultTimeout(180_000); // it only detects hangs
page.on("console", (m) => m.type() === "error" && !m.text().includes("401") && wrong.push(`console: ${m.text()}`));
page.on("pageerror", (e) => wrong.push(String(e.stack)));
await page.addInitScript({ content: axe.source }); // the policy of the page allows no other way

// look checks what is shown with axe-core, and its width at several sizes.
async function look(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const found = await page.evaluate(async () => {
      const report = await window.axe.run(document, { resultTypes: ["violations"] });
      return report.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`);
    });
    for (const f of found) wrong.push(`${name}, ${colorScheme}: axe: ${f}`);
    for (const width of [390, 1280, 2560]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : width === 2560 ? 1440 : 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(wide <= 0, `${name}: ${wide} pixels wider than a window of ${width}`);
      if (shots) await page.screenshot({ path: `${shots}/client-${name}-${colorScheme}-${width}.png` });
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  }
  await page.emulateMedia({ colorScheme: "light" });
}

await page.goto(link);
await page.getByRole("button", { name: "Add a torrent" }).waitFor();
check(!page.url().includes("once="), `the code stays in the address: ${page.url()}`);
await look("empty");

// Add two of the five files of the magnet link, whose files come from peers first.
await page.keyboard.press("a");
await page.locator("#add-text").fill(magnet);
await page.keyboard.press("Tab");
await page.getByRole("button", { name: "Continue" }).click();
await page.getByRole("tree", { name: "Files" }).waitFor();
await page.getByText("5 of 5 files").waitFor();
await page.getByRole("button", { name: "None" }).click();
const tree = page.getByRole("tree", { name: "Files" });
await tree.focus();
await page.keyboard.press("Home");
await page.keyboard.press("Space"); // part 1
await tree.getByText("part 3.mkv").click(); // with the mouse, which needs a tree that is seen
await page.getByText("2 of 5 files").waitFor();
check((await tree.boundingBox()).width > 300, "the tree of files is narrow");
await look("add");
await page.locator("#add-label").fill("lessons");
await page.getByRole("button", { name: "Add", exact: true }).last().click();

// Watch it come, and open the first file while it does.
const row = page.getByRole("row").filter({ hasText: "course" });
await row.waitFor();
check((await row.innerText()).includes("12.0 MB"), `two of five files are ${await row.innerText()}`);
await page.locator("#list").focus();
await page.keyboard.press("j");
await page.keyboard.press("Enter");
await page.getByRole("tab", { name: "Files" }).click();
await page.locator("[role=treeitem][data-path='part 1.mkv']").waitFor();
const first = await page.evaluate(async () => {
  const answer = await fetch(document.querySelector(".treerow[data-path='part 1.mkv'] a").href, { headers: { Range: "bytes=0-99" } });
  return { status: answer.status, bytes: (await answer.arrayBuffer()).byteLength };
});
check(first.status === 206 && first.bytes === 100, `the first file answers ${JSON.stringify(first)}`);
check(!(await row.innerText().catch(() => "")).includes("100 %"), "the torrent was complete before the file was opened");
const skipped = await page.locator(".treerow").filter({ hasText: "part 2.mkv" }).locator("select").inputValue();
check(skipped === "skip", `the priority of a file that was not chosen is ${skipped}`);
await page.waitForFunction(() => Number(document.querySelector(".summary [role=progressbar]").getAttribute("aria-valuenow")) >= 1);
await look("files");
await page.getByRole("tab", { name: "Peers" }).click();
await page.locator(".table tbody tr").first().waitFor();
await look("peers");
await page.getByRole("tab", { name: "Overview" }).click();
await page.locator(".pieces canvas").waitFor();
await look("overview");
await page.getByRole("tab", { name: "Trackers" }).click();
await page.locator(".trackers li").first().waitFor();

// A limit for its downloads, then pause it by a key, and remove it with its data.
await page.getByRole("tab", { name: "Settings" }).click();
await page.getByLabel("Download limit").fill("300k");
await page.getByRole("button", { name: "Save" }).click();
await page.getByText("Saved.").waitFor();
await look("settings");
await page.keyboard.press("Escape"); // leaves no field: Escape closes the details
await page.locator("#list").focus();
await page.keyboard.press("Space");
await page.locator(".state.paused").first().waitFor();
await page.keyboard.press("?");
await page.getByRole("dialog", { name: "Keys" }).waitFor();
await look("keys");
await page.keyboard.press("Escape");
await page.locator("#list").focus();
await page.keyboard.press("Delete");
await page.getByLabel("Delete the data too").check();
await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
await page.getByText("No torrents yet").waitFor();

await browser.close();
for (const w of wrong) console.log(w);
process.exit(wrong.length === 0 ? 0 : 1);
