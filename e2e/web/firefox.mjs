// Drives Firefox by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/).
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";

// Preferences of the browser: nothing leaves this machine, and files are saved without a question.
const prefs = (downloads) => ({
  "browser.download.folderList": 2, "browser.download.dir": downloads, "browser.download.always_ask_before_handling_new_types": false,
  "browser.shell.checkDefaultBrowser": false, "browser.startup.page": 0, "browser.aboutwelcome.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false, "toolkit.telemetry.enabled": false, "app.normandy.enabled": false,
  "app.update.enabled": false, "extensions.update.enabled": false, "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false, "browser.safebrowsing.phishing.enabled": false, "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false, "browser.region.update.enabled": false, "services.settings.server": "data:,",
});

// Firefox is a running browser. profile is its directory, which a later launch can use again.
export class Firefox {
  static async launch(profile = mkdtempSync(join(tmpdir(), "firefox-"))) {
    const b = new Firefox();
    b.profile = profile;
    b.downloads = join(profile, "saved");
    mkdirSync(b.downloads, { recursive: true });
    writeFileSync(join(profile, "user.js"), Object.entries(prefs(b.downloads)).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`).join(""));
    b.process = spawn(process.env.FIREFOX ?? "firefox-esr", ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"], { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: profile } });
    b.ended = new Promise((done) => b.process.once("exit", done));
    const url = await new Promise((found, fail) => {
      let text = "";
      b.process.stderr.on("data", (d) => {
        text += d;
        const m = text.match(/WebDriver BiDi listening on (ws:\S+)/);
        if (m) found(m[1]);
      });
      b.ended.then(() => fail(new Error(`Firefox ended: ${text}`)));
    });
    b.socket = new WebSocket(`${url}/session`);
    await new Promise((ok, fail) => b.socket.once("open", ok).once("error", fail));
    b.calls = new Map();
    b.last = 0;
    b.log = [];
    b.socket.on("message", (data) => b.message(JSON.parse(data)));
    await b.send("session.new", { capabilities: {} });
    await b.send("session.subscribe", { events: ["log.entryAdded"] });
    return b;
  }

  message(m) {
    const call = this.calls.get(m.id);
    if (m.method === "network.beforeRequestSent") {
      if (m.params.isBlocked) this.send("network.failRequest", { request: m.params.request.request }).catch(() => {});
    } else if (m.type === "event") this.log.push(`${m.params.level}: ${m.params.text}`);
    else if (m.type === "success") call?.ok(m.result);
    else call?.fail(new Error(`${call.method}: ${m.error}: ${m.message}`));
    this.calls.delete(m.id);
  }

  send(method, params) {
    const id = ++this.last;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((ok, fail) => this.calls.set(id, { ok, fail, method }));
  }

  // open opens a page in a new tab, with cookies and storage of its own if apart is true.
  async open(url, apart = false) {
    const user = apart ? { userContext: (await this.send("browser.createUserContext", {})).userContext } : {};
    const { context } = await this.send("browsingContext.create", { type: "tab", ...user });
    await this.send("browsingContext.navigate", { context, url, wait: "complete" });
    return context;
  }

  // block fails the requests for a path and what is below it.
  async block(url) {
    const { protocol, hostname, port, pathname } = new URL(url);
    await this.send("session.subscribe", { events: ["network.beforeRequestSent"] });
    await this.send("network.addIntercept", { phases: ["beforeRequestSent"], urlPatterns: [{ type: "pattern", protocol: protocol.slice(0, -1), hostname, port, pathname }] });
  }

  // call calls a function in a page and resolves to its result, which is a string, a number, true, false or null.
  async call(context, f, ...args) {
    const r = await this.send("script.callFunction", {
      functionDeclaration: String(f), target: { context }, awaitPromise: true, userActivation: true,
      arguments: args.map((value) => ({ type: typeof value, value })),
    });
    if (r.type === "exception") throw new Error(r.exceptionDetails.text);
    return r.result.value;
  }

  // until waits until a function in a page returns something true.
  async until(context, f, ...args) {
    for (;;) {
      const v = await this.call(context, f, ...args);
      if (v) return v;
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async close() {
    await this.send("browser.close", {}).catch(() => {});
    await this.ended;
  }

  remove() { rmSync(this.profile, { recursive: true, force: true }); }
}
