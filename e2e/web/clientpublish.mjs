// Publishes a file by dropping it on the graphical client: node clientpublish.mjs LINK FILE [DIR]
//
// The page is loaded again while it uploads, and the upload goes on when the same file is dropped again. It prints
// "first OFFSET" for the first bytes that are sent after that, "link URL" for the link that the page copies and "torrent URL"
// for the .torrent; then one problem a line, and exits with 1 if there are any. Screenshots go to DIR.
import { basename } from "node:path";
import { chromium } from "playwright-core";
import axe from "axe-core";

const [link, file, shots] = process.argv.slice(2);
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
await context.grantPermissions(["clipboard-read", "clipboard-write"]);
const page = await context.newPage();
page.setDefaultTimeout(120_000); // it only detects hangs
page.on("pageerror", (err) => wrong.push(`error: ${err.message}`));
page.on("console", (m) => /Content Security Policy|TrustedHTML|TrustedScript/.test(m.text()) && wrong.push(`console: ${m.text()}`));

// look checks what is shown with axe-core, and that it is not wider than a window. With DIR it takes screenshots.
async function look(name) {
  await page.evaluate(axe.source); // the debugger may, whatever the policy of the page says
  const found = await page.evaluate(async () => {
    const report = await window.axe.run(document, { resultTypes: ["violations"] });
    return report.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join(", ")}`);
  });
  for (const f of found) wrong.push(`${name}: axe: ${f}`);
  for (const width of [390, 1280, 2560]) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${name}: ${wide} pixels wider than a window of ${width}`);
    for (const colorScheme of shots ? ["light", "dark"] : []) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${shots}/publish-${name}-${colorScheme}-${width}.png` });
    }
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

// drop drops the file on the page, with a DataTransfer of the file of an input element.
async function drop() {
  const carrier = await page.evaluateHandle(() => {
    const input = document.createElement("input");
    input.type = "file";
    document.body.append(input);
    return input;
  });
  await carrier.asElement().setInputFiles(file);
  await carrier.evaluate((input) => {
    const data = new DataTransfer();
    data.items.add(input.files[0]);
    input.remove();
    document.body.dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
  });
}

// The first part is sent, and the second waits until the page is loaded again.
let parts = 0;
let held;
const holding = new Promise((done) => { held = done; });
await page.route("**/v1/uploads/*", (route) => (route.request().method() === "PATCH" && ++parts === 2 ? held() : route.continue()));

await page.goto(link);
await page.getByRole("link", { name: "Releases" }).click();
await page.getByText("Nothing published yet").waitFor();
await look("empty");
await drop();
const dialog = page.getByRole("dialog", { name: "Publish" });
await dialog.getByText(basename(file)).first().waitFor();
await dialog.getByLabel("Name of the page").fill("dropped");
await dialog.getByLabel("Version").fill("2.0");
await dialog.getByRole("button", { name: "Add notes" }).click();
await dialog.getByLabel("Notes (Markdown)").fill("# New\n\nIt is **good**, <img src=x onerror=alert(1)> and [known](javascript:alert(1)).\n");
await dialog.locator(".preview strong").getByText("good").waitFor();
check((await dialog.locator(".preview :is(img, script, [onerror], a[href^=javascript])").count()) === 0, "the preview has what the site removes");
await look("form");
await dialog.getByRole("button", { name: "Publish", exact: true }).click();
await holding;
await look("uploading");
await page.reload();
await page.getByText("Drop the same file again, and the upload goes on.").waitFor();
await look("left");
const first = page.waitForRequest((r) => r.method() === "PATCH" && r.url().includes("/v1/uploads/"));
await drop();
await page.getByText("of it are uploaded already. The upload goes on.").waitFor();
check((await page.getByLabel("Name of the page").inputValue()) === "dropped", "the form was not kept");
await page.getByRole("button", { name: "Go on" }).click();
console.log(`first ${(await first).headers()["upload-offset"]}`);
await page.getByRole("dialog", { name: "Published" }).waitFor();
await look("done");
await page.getByRole("button", { name: "Copy the link of the page" }).click();
console.log(`link ${await page.evaluate(() => navigator.clipboard.readText())}`);
await page.getByRole("link", { name: "See the release" }).click();
await page.getByRole("heading", { name: "dropped 2.0" }).waitFor();
await page.getByText("all data is there, and this machine seeds it").waitFor();
console.log(`torrent ${await page.getByRole("link", { name: ".torrent" }).getAttribute("href")}`);
await look("release");
for (const view of ["Health", "Limits", "Feeds", "Schedule"]) {
  await page.getByRole("link", { name: view }).click();
  await page.getByRole("heading", { name: view, level: 1 }).waitFor();
  if (view === "Health") await page.locator(".findings li").first().waitFor();
  await look(view.toLowerCase());
}

for (const problem of wrong) console.log(problem);
await browser.close();
process.exit(wrong.length > 0 ? 1 : 0);
