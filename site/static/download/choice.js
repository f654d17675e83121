// The choice of files of a tree.
import { bytes } from "./format.js";

// FileChoice is a list of files with check boxes.
export class FileChoice {
  // files are {i, path, length}; wanted lists the indexes of an earlier choice, or is null.
  constructor(list, files, wanted, changed) {
    this.files = files;
    this.boxes = files.map((f) => {
      const line = document.createElement("li"), label = document.createElement("label"), box = document.createElement("input"), name = document.createElement("bdi");
      box.type = "checkbox";
      box.checked = !wanted || wanted.includes(f.i);
      name.textContent = f.path;
      label.append(box, name, ` ${bytes(f.length)}`);
      line.append(label);
      list.append(line);
      return box;
    });
    list.addEventListener("change", changed);
  }

  // chosen returns the indexes of the chosen files, or null for all.
  chosen() {
    const some = this.files.filter((_, k) => this.boxes[k].checked).map((f) => f.i);
    return some.length === this.files.length ? null : some;
  }

  // bytes returns the size of the chosen files.
  bytes() { return this.files.reduce((n, f, k) => n + (this.boxes[k].checked ? f.length : 0), 0); }
}
