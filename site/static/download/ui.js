// The panel of a download in a release page.
import { bytes, Messages, number } from "./format.js";
import { draw } from "./map.js";
import { FileChoice } from "./choice.js";
import { OwnFile } from "./ownfile.js";
import { Kept } from "./kept.js";
import { Player, playable } from "./media.js";
import { saveFile, saveFolder } from "./save.js";
import { details, proof, Teller, words } from "./words.js";

const keepGiving = "spate-keep-giving"; // key of localStorage

const shown = (e) => e.getClientRects().length > 0;

// Panel shows a download and its buttons. root is the element of download.html; outside has the
// button that starts it, the plain link that the button replaces, and the folded parts below.
export class Panel {
  constructor(root, outside) {
    this.root = root;
    this.outside = outside;
    this.messages = new Messages(root);
    this.teller = new Teller(this.one("[data-say]"), this.one("[data-said]"));
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
        this.failed(m);
        break;
      case "removed":
        this.saved = false;
        this.foldered = "";
        this.stopPlayer();
        break;
      case "checking":
      case "checked":
      case "unchecked":
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

  // failed shows why the download in the page does not work, and the plain link again. Before
  // the panel is shown, the link is still there.
  failed({ code, text }) {
    if (this.opened) this.trouble(this.messages.has(code) ? code : "failed", text);
  }

  // trouble shows what went wrong, the next step and the plain link.
  trouble(code, text = "") {
    this.one('[data-if="active"]').hidden = false;
    const line = this.one("[data-trouble]");
    line.textContent = this.messages.get(code, { text });
    line.hidden = false;
    this.plain();
  }

  // sure asks before data that are complete are deleted.
  sure() { return confirm(this.messages.get("sure")); }

  plain() {
    this.outside.button.parentElement.hidden = false;
    this.outside.button.hidden = true;
    if (this.outside.link) this.outside.link.hidden = false;
  }

  act(name) {
    const { session } = this;
    this.one("[data-trouble]").hidden = true;
    switch (name) {
      case "start":
      case "start-again":
        this.wantsSave = true;
        session.start(this.choice?.chosen() ?? null);
        break;
      case "pause":
        session.do({ do: "pause" });
        break;
      case "delete":
        if (this.sure()) session.do({ do: "remove" });
        break;
      case "remove":
        session.do({ do: "remove" });
        break;
      case "play":
        this.play();
        break;
      case "save":
        this.save();
        break;
      case "folder":
        this.saveAll();
        break;
    }
  }

  // saveAll saves the chosen files into a folder, and tells how many are there.
  async saveAll() {
    const files = this.chosenFiles(), all = number(files.length);
    try {
      await saveFolder(files, this.opened.name, (i) => this.session.file(i), (n) => {
        this.foldered = this.messages.get("foldered", { n: number(n), all });
        this.detail();
      });
    } catch (err) {
      if (err.name !== "AbortError") this.trouble(err.name === "QuotaExceededError" ? "noroom" : "unsaved"); // an AbortError: the visitor chose no folder
    }
  }

  detail() { this.one("[data-detail]").textContent = [details(this.state, this.messages), this.foldered].filter(Boolean).join(" · "); }

  // play plays the first file that the browser can play, while it comes.
  play() {
    const file = playable(this.chosenFiles()), box = this.one("[data-player]");
    if (!file) return;
    const line = document.createElement("p");
    line.className = "small";
    const slot = document.createElement("div");
    box.replaceChildren(slot, line);
    box.hidden = false;
    this.player = new Player(this.session, file, slot, (waits) => { line.textContent = waits ? this.messages.get("playwaits") : ""; });
    this.buttons(this.state);
  }

  stopPlayer() {
    if (!this.player) return;
    this.player.end();
    this.player = null;
    this.one("[data-player]").hidden = true;
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
    if (!blob) {
      this.trouble("lost");
      return;
    }
    saveFile(blob, f.path.split("/").at(-1));
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

  // show shows a state. If it hides the button that has the focus, another one gets it.
  show(s) {
    const focused = this.focused();
    this.draw(s);
    if (focused && !shown(focused)) [this.outside.button, ...this.root.querySelectorAll("[data-act]"), this.one("[data-say]")].find(shown)?.focus();
  }

  // focused returns the button of the download that has the focus, or undefined.
  focused() {
    return [this.outside.button, ...this.root.querySelectorAll("[data-act]")].find((b) => b.getRootNode().activeElement === b);
  }

  draw(s) {
    const before = this.state;
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
    this.teller.tell(words(s, this.messages, navigator.onLine !== false), s.phase);
    this.detail();
    const line = this.one("[data-proof]"), says = proof(s, this.messages); // a theme may lack the line, or the button "play"
    if (line) Object.assign(line, { textContent: says, hidden: says === "" });
    const percent = s.size ? (100 * s.have) / s.size : 100, bar = this.one("[data-bar]");
    bar.setAttribute("aria-valuenow", Math.floor(percent));
    bar.hidden = s.phase === "done";
    draw(this.one("[data-map]"), s.map);
    this.buttons(s);
    this.player?.more(performance.now());
    if (s.phase === "done" && before && before.phase !== "done") this.done();
  }

  buttons(s) {
    const done = s.phase === "done", single = this.chosenFiles().length === 1;
    this.button("save").hidden = !(done && single);
    this.button("folder").hidden = !(done && !single && globalThis.showDirectoryPicker);
    const play = this.button("play");
    if (play) play.hidden = Boolean(this.player) || s.elsewhere || s.phase === "problem" || s.have === 0 || !playable(this.chosenFiles());
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
