// "Check a file that you have": a file that the visitor chooses or drops is checked piece by piece.
import { bytes, number } from "./format.js";

const mostRanges = 3; // ranges of wrong bytes that are named

export class OwnFile {
  constructor(box, panel) {
    this.box = box;
    this.panel = panel;
    this.input = box.querySelector("[data-own-file]");
    this.say = box.querySelector("[data-own-say]");
    this.input.addEventListener("change", () => this.check(this.input.files[0]));
    box.addEventListener("dragover", (event) => event.preventDefault());
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      this.check(event.dataTransfer.files[0]);
    });
  }

  show(files) {
    this.files = files;
    this.box.hidden = false;
  }

  // check checks a file against that of the same name, or the only one, or the one of its size.
  check(file) {
    if (!file) return;
    const same = (f) => f.path.split("/").at(-1) === file.name;
    const f = this.files.length === 1 ? this.files[0] : this.files.find((f) => same(f) && f.length === file.size) ?? this.files.find(same) ?? this.files.find((f) => f.length === file.size);
    if (f) this.panel.session.do({ do: "own", file, index: f.i });
  }

  message(m) {
    const { messages } = this.panel;
    if (m.is === "checking") {
      this.say.textContent = messages.get("checking", { percent: Math.floor(100 * m.done) });
      return;
    }
    const ranges = m.wrong.slice(0, mostRanges).map(([from, to]) => messages.get("ranges", { from: bytes(from), to: bytes(to) }));
    if (m.wrong.length > mostRanges) ranges.push(messages.get("more", { n: m.wrong.length - mostRanges }));
    let text = m.good === m.pieces
      ? messages.get("good", { n: number(m.pieces) })
      : messages.get("wrong", { bad: number(m.pieces - m.good), n: number(m.pieces), ranges: ranges.join(", ") });
    if (m.size > m.want) text += " " + messages.get("longer", { bytes: bytes(m.size - m.want) });
    this.say.textContent = text;
    this.input.value = "";
    this.panel.kept?.refresh();
  }
}
