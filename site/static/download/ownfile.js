// "Check a file that you have": a file that the visitor chooses or drops is checked piece by piece.
import { bytes, number } from "./format.js";
import { Teller } from "./words.js";

const mostRanges = 3; // ranges of wrong bytes that are named

export class OwnFile {
  constructor(box, panel) {
    this.box = box;
    this.panel = panel;
    this.input = box.querySelector("[data-own-file]");
    this.teller = new Teller(box.querySelector("[data-own-say]"), box.querySelector("[data-own-said]"));
    this.input.addEventListener("change", () => this.check(this.input.files[0]));
    // A file may be dropped anywhere: beside the box, the browser would leave the page for it.
    const files = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => { if (files(event)) event.preventDefault(); });
    document.addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      box.open = true;
      this.check(event.dataTransfer.files[0]);
    });
  }

  show(files) {
    this.files = files;
    this.box.hidden = false;
  }

  // check checks a file against that of the same name, or the only one, or the one of its size.
  check(file) {
    if (!file || !this.files) return;
    const same = (f) => f.path.split("/").at(-1) === file.name;
    const f = this.files.length === 1 ? this.files[0] : this.files.find((f) => same(f) && f.length === file.size) ?? this.files.find(same) ?? this.files.find((f) => f.length === file.size);
    if (f) this.panel.session.do({ do: "own", file, index: f.i });
    else this.teller.tell(this.panel.messages.get("nofile"), Math.random());
  }

  message(m) {
    const { messages } = this.panel;
    if (m.is === "checking") {
      this.teller.tell(messages.get("checking", { percent: Math.floor(100 * m.done) }), "checking");
      return;
    }
    this.input.value = "";
    this.panel.kept?.refresh();
    if (m.is === "unchecked") {
      this.teller.tell(messages.get(m.code), Math.random());
      return;
    }
    this.teller.tell(this.result(m), Math.random());
  }

  // result says what the check of a file found.
  result(m) {
    const { messages } = this.panel;
    const ranges = m.wrong.slice(0, mostRanges).map(([from, to]) => messages.get("ranges", { from: bytes(from), to: bytes(to) }));
    if (m.wrong.length > mostRanges) ranges.push(messages.get("more", { n: m.wrong.length - mostRanges }));
    const text = [];
    if (m.good < m.pieces) text.push(messages.get("wrong", { bad: number(m.pieces - m.good), n: number(m.pieces), ranges: ranges.join(", ") }));
    else if (m.unchecked === 0 && m.size >= m.want) text.push(messages.get("good", { n: number(m.pieces) }));
    else if (m.pieces > 0) text.push(messages.get("partly", { n: number(m.pieces) }));
    if (m.unchecked > 0) text.push(messages.get("shared", { bytes: bytes(m.unchecked) }));
    if (m.size > m.want) text.push(messages.get("longer", { bytes: bytes(m.size - m.want) }));
    if (m.size < m.want) text.push(messages.get("shorter", { bytes: bytes(m.want - m.size) }));
    return text.join(" ");
  }
}
