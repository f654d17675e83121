// Signs in to the graphical client by a link, and attacks it from pages of other origins in the same
// browser: node clientattacks.mjs LINK
//
// It prints one problem per line and exits with 1 if there are any.
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const link = new URL(process.argv[2]);
const base = link.origin;
const wrong = [];
const check = (ok, what) => ok || wrong.push(what);

// serve serves an empty page at an address of this machine, and returns its origin.
const servers = [];
const serve = (host) =>
  new Promise((done) => {
    const s = createServer((_, answer) => answer.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>evil</title>"));
    servers.push(s);
    s.listen(0, host, () => done(`http://${host}:${s.address().port}`));
  });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", `--host-resolver-rules=MAP evil.test ${link.hostname}`],
});
const context = await browser.newContext();
context.setDefaultTimeout(120_000); // it only detects hangs
const page = await context.newPage();
page.on("console", (m) => /Content Security Policy|Trusted|SyntaxError/.test(m.text()) && wrong.push(`console: ${m.text()}`));

await page.goto(link.href);
await page.waitForFunction(async () => !document.querySelector("#token") && (await fetch("/session")).ok);
check(!page.url().includes("once"), `the address still has the code: ${page.url()}`);
const [cookie] = await context.cookies(base);
check(cookie?.httpOnly && cookie.sameSite === "Strict", `the cookie is ${JSON.stringify(cookie)}`);

// state is what an attack would change.
const state = () =>
  page.evaluate(async () => {
    const get = async (path) => await (await fetch(path)).json();
    return { torrents: (await get("/v1/torrents")).total, sessions: (await get("/sessions")).sessions.length, name: (await get("/session")).name };
  });
const before = JSON.stringify(await state());
check(before === '{"torrents":0,"sessions":1,"name":"spate open"}', `before: ${before}`);

// attack runs in a page of another origin and returns what succeeded.
const attack = async (base) => {
  const won = [];
  const tried = async (what, f) => (await f().then((x) => x, () => false)) && won.push(what);
  await tried("fetch with credentials", async () => (await fetch(`${base}/v1/torrents`, { credentials: "include" })).ok);
  await tried("fetch of the session", async () => (await fetch(`${base}/session`, { credentials: "include" })).ok);
  await tried("a request with JSON", async () =>
    (await fetch(`${base}/v1/torrents`, { method: "POST", credentials: "include", headers: { "Content-Type": "application/json" }, body: '{"source":"magnet:?xt=urn:btih:0123456789012345678901234567890123456789"}' })).ok);
  await fetch(`${base}/v1/torrents`, { method: "POST", mode: "no-cors", credentials: "include", body: '{"source":"magnet:?xt=urn:btih:0123456789012345678901234567890123456789"}' }).catch(() => {});
  await fetch(`${base}/session`, { method: "POST", mode: "no-cors", credentials: "include", body: '{"once":"x"}' }).catch(() => {});
  const event = (target, good) =>
    new Promise((done) => {
      target.addEventListener(good, () => done(true));
      target.addEventListener("error", () => done(false));
    });
  const element = async (name, attributes) => {
    const e = Object.assign(document.createElement(name), attributes);
    const loaded = event(e, "load");
    document.body.append(e);
    return await loaded;
  };
  await tried("an icon as a picture", () => element("img", { src: `${base}/static/icon.svg` }));
  await tried("the status as a script", () => element("script", { src: `${base}/v1/status` }));
  await tried("the client as a script", () => element("script", { src: `${base}/static/signin.js` }));
  await tried("a style", () => element("link", { rel: "stylesheet", href: `${base}/static/signin.css` }));
  await tried("events", () => event(new EventSource(`${base}/v1/events`, { withCredentials: true }), "open"));
  await tried("a WebSocket", () => event(new WebSocket(`${base.replace("http", "ws")}/v1/events`), "open"));
  return won;
};

const other = { "another site": await serve("127.0.0.1"), "another port": await serve(link.hostname) };
for (const [what, origin] of Object.entries(other)) {
  const evil = await context.newPage();
  await evil.goto(origin);
  for (const won of await evil.evaluate(attack, base)) wrong.push(`${what}: ${won} succeeded`);

  // A frame: the browser shows an error in it.
  await evil.evaluate((base) => document.body.append(Object.assign(document.createElement("iframe"), { src: base })), base);
  await evil.waitForFunction(() => document.querySelector("iframe").contentDocument === null);
  await evil.waitForTimeout(0);
  const frame = evil.frames()[1];
  await frame.waitForURL(/^chrome-error:/);

  // A form, as a page of its own.
  const posted = evil.waitForResponse((r) => r.url() === `${base}/v1/torrents` && r.request().method() === "POST");
  await evil.evaluate((base) => {
    const form = Object.assign(document.createElement("form"), { action: `${base}/v1/torrents`, method: "post", enctype: "text/plain" });
    form.append(Object.assign(document.createElement("input"), { name: '{"source":"magnet:?xt=urn:btih:0123456789012345678901234567890123456789","x":"', value: '"}' }));
    document.body.append(form);
    form.submit();
  }, base);
  check((await posted).status() === 403, `${what}: a form got ${(await posted).status()}`);
  await evil.close();

  // A window: it is the client, but the page that opened it cannot reach it.
  const opener = await context.newPage();
  await opener.goto(origin);
  const popup = context.waitForEvent("page");
  await opener.evaluate((base) => void (window.w = window.open(base)), base);
  await (await popup).waitForURL(`${base}/`);
  check(await opener.evaluate(() => window.w.closed), `${what}: a window of the client can be reached`);
  await (await popup).close();
  await opener.close();
}

// DNS rebinding: the name of a stranger leads to the client.
const rebound = await context.newPage();
const answer = await rebound.goto(`http://evil.test:${link.port}/`);
check(answer.status() === 421, `the name of a stranger got ${answer.status()}`);

const after = JSON.stringify(await state());
check(after === before, `after: ${after}`);

await browser.close();
for (const s of servers) s.close();
for (const w of wrong) console.log(w);
process.exit(wrong.length ? 1 : 0);
