// The panel of a download in a release page.
import { bytes, Messages, number } from "./format.js";
import { draw } from "./map.js";
import { FileChoice } from "./choice.js";
import { OwnFile } from "./ownfile.js";
import { Kept } from "./kept.js";
import { saveFile, saveFolder } from "./save.js";

const keepGiving = "spate-keep-giving"; // key of localStorage

// Panel shows a download and its buttons. root is the element of download.html; outside has the
// button that starts it, the plain link that the button replaces, and the folded parts below.
export class Panel {
  constructor(root, outside) {
    this.root = root;
    this.outside = outside;
    this.messages = new Messages(root);
    this.state = null;
    this.saved = false;
    for (const b of [...root.querySelectorAll("[data-act]"), outside.button]) {
      b.classList.toggle("main", b.dataset.main !== undefined);
      b.addEventListener("click", () => this.act(b.dataset.act));
    }
    root.querySelector("[data-keep]").addEventListener("change", (event) => this.keep(event.target.checked));
  }

  one(selector) { return this.root.querySelector(selector); }

  button(act) { return this.one(`[data-act="${act}"]`); }

  // attach shows the panel for a session.
  attach(session) {
    this.session = session;
    this.own = this.outside.own && new OwnFile(this.outside.own, this);
    this.kept = this.outside.kept && new Kept(this.outside.kept, this);
  }

  // message handles a message of the session.
  message(m) {
    switch (m.is) {
      case "opened":
        this.opened = m;
        this.choice = this.one("[data-choose-files]") && new FileChoice(this.one("[data-choose-files]"), m.files, m.wanted, () => this.label());
        this.root.hidden = false;
        this.replaceLink();
        if (this.own && m.files.length > 0) this.own.show(m.files);
        this.label();
        break;
      case "state":
        this.show(m);
        break;
      case "failed":
        this.failed(m.text);
        break;
      case "removed":
        this.saved = false;
        break;
      case "checking":
      case "checked":
        this.own?.message(m);
        break;
      case "list":
        this.kept?.show(m.downloads, this.opened?.key);
        break;
    }
  }

  // replaceLink shows the button in place of the plain link, which may be selected already.
  replaceLink() {
    const { button, link } = this.outside, selected = link && document.activeElement === link;
    button.hidden = false;
    if (link) link.hidden = true;
    if (selected) button.focus();
  }

  // failed shows why the download in the page does not work, and the plain link again.
  failed(text) {
    if (!this.opened) return; // the plain link is still there
    this.one('[data-if="active"]').hidden = false;
    this.one("[data-say]").textContent = this.messages.get("failed", { text });
    this.plain();
  }

  plain() {
    this.outside.button.parentElement.hidden = false;
    this.outside.button.hidden = true;
    if (this.outside.link) this.outside.link.hidden = false;
  }

  act(name) {
    const { session } = this;
    switch (name) {
      case "start":
      case "start-again":
        this.wantsSave = true;
        session.start(this.choice?.chosen() ?? null);
        break;
      case "pause":
        session.do({ do: "pause" });
        break;
      case "remove":
      case "delete":
        session.do({ do: "remove" });
        break;
      case "save":
        this.save();
        break;
      case "folder":
        saveFolder(this.chosenFiles(), this.opened.name, (i) => session.file(i)).catch(() => {});
        break;
    }
  }

  chosenFiles() {
    const chosen = this.state?.elsewhere ? null : this.choice?.chosen();
    return this.opened.files.filter((f) => !chosen || chosen.includes(f.i));
  }

  async save() {
    const files = this.chosenFiles();
    if (files.length !== 1) return;
    await this.saveOne(files[0]);
  }

  async saveOne(f) {
    const blob = await this.session.file(f.i);
    if (blob) saveFile(blob, f.path.split("/").at(-1));
    this.saved = true;
  }

  // label writes the size, or what is here already, on the button.
  label() {
    const s = this.state, label = this.outside.button.querySelector("[data-label]");
    const begun = s && s.have > 0 && s.have < s.size;
    const chosen = this.choice?.bytes() ?? this.opened.size;
    label.textContent = begun ? this.messages.get("continue", { percent: Math.floor((100 * s.have) / s.size) }) : this.messages.get("chosen", { size: bytes(chosen) });
    this.outside.button.disabled = chosen === 0;
  }

  show(s) {
    const before = this.state, focused = this.root.getRootNode().activeElement;
    this.state = s;
    const active = s.elsewhere || s.phase === "running" || s.phase === "proving" || s.phase === "problem" || (s.phase === "done" && s.have > 0) || (s.phase === "paused" && s.have > 0);
    const fresh = !active || (s.phase === "paused" && !this.wasActive);
    this.wasActive ||= active && s.phase !== "paused";
    this.one('[data-if="active"]').hidden = fresh;
    for (const e of this.root.querySelectorAll('[data-if="before"]')) e.hidden = !fresh;
    this.outside.button.hidden = !fresh;
    this.outside.button.parentElement.hidden = !fresh;
    if (fresh) {
      this.label();
      return;
    }
    if (s.phase === "problem") this.plain();
    this.words(s);
    const percent = s.size ? (100 * s.have) / s.size : 100, bar = this.one("[data-bar]");
    bar.setAttribute("aria-valuenow", Math.floor(percent));
    bar.hidden = s.phase === "done";
    draw(this.one("[data-map]"), s.map);
    this.buttons(s);
    if (focused?.dataset.act && focused.hidden) this.root.querySelector("[data-act]:not([hidden])")?.focus(); // the keyboard stays where it was
    if (s.phase === "done" && before && before.phase !== "done") this.done();
  }

  buttons(s) {
    const done = s.phase === "done", single = this.chosenFiles().length === 1;
    this.button("save").hidden = !(done && single);
    this.button("folder").hidden = !(done && !single && globalThis.showDirectoryPicker);
    this.button("remove").hidden = done;
    this.button("delete").hidden = !done;
    this.button("pause").hidden = done || s.phase === "paused" || s.phase === "problem";
    this.button("start-again").hidden = !(s.phase === "paused" || s.phase === "problem");
    this.one('[data-if="keep"]').hidden = !done || this.session.options.trackers.length === 0;
    const list = this.one("[data-saves]");
    list.hidden = !(done && !single);
    if (!list.hidden && list.childElementCount === 0) for (const f of this.chosenFiles()) list.append(this.saveLine(f));
  }

  // saveLine returns a line with a button that saves a file.
  saveLine(f) {
    const line = document.createElement("li"), button = document.createElement("button"), name = document.createElement("bdi");
    button.type = "button";
    button.className = "textual";
    name.textContent = f.path;
    button.append(name);
    button.addEventListener("click", () => this.saveOne(f));
    line.append(button, ` ${bytes(f.length)}`);
    return line;
  }

  // words writes the state in words.
  words(s) {
    const m = this.messages, values = { have: bytes(s.have), size: bytes(s.size), rate: bytes(s.rate) };
    let text;
    if (s.phase === "problem") text = m.get(s.problem.code, { ...values, text: s.problem.text });
    else if (s.phase !== "running") text = m.get(s.phase, values);
    else if (s.rate >= 1) text = m.get("running", { ...values, left: m.time((s.size - s.have) / s.rate) });
    else if (s.webProblem && s.webAgain > 1 && s.peers === 0) text = m.get("busy", { ...values, n: number(s.webAgain) });
    else text = m.get(s.have > 0 ? "slow" : "waiting", values);
    const say = this.one("[data-say]");
    if (say.textContent !== text) say.textContent = text;
    const detail = [];
    if (s.peers > 0) detail.push(m.get(s.peers === 1 ? "peer" : "peers", { n: number(s.peers) }));
    if (s.fromWeb > 0) detail.push(m.get("origin", { bytes: bytes(s.fromWeb) }));
    if (s.given > 0 && s.have > 0) detail.push(m.get("gave", { ratio: number(s.given / s.have, 1) }));
    if (s.upRate >= 1) detail.push(m.get("giving", { rate: bytes(s.upRate) }));
    if (s.banned > 0) detail.push(m.get("banned", { n: number(s.banned) }));
    if (s.elsewhere) detail.push(m.get("elsewhere"));
    this.one("[data-detail]").textContent = detail.join(" · ");
  }

  // done saves the file that the visitor has clicked for in this page, and asks once whether the
  // page keeps giving.
  done() {
    this.one("[data-saves]").replaceChildren();
    if (this.wantsSave && !this.saved) this.save();
    this.wantsSave = false;
    this.kept?.refresh();
    const on = this.remembered();
    this.one("[data-keep]").checked = on;
    this.session.do({ do: "share", on });
  }

  remembered() {
    if (this.session.options.metered) return false;
    try {
      return localStorage.getItem(keepGiving) !== "no";
    } catch {
      return true;
    }
  }

  keep(on) {
    try {
      localStorage.setItem(keepGiving, on ? "yes" : "no");
    } catch {} // a private window may have no storage
    this.session.do({ do: "share", on });
  }
}
