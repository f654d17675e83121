// What is dropped or pasted on the page.
import { isWriting } from "./keys.js";
import { Value } from "./value.js";

/**
 * Dropped is what was dropped or pasted: files, or text, such as links. entries are the dropped files and folders of
 * the browser's file system API, if it has one; they are only valid during the call.
 * @typedef {{files: File[], text: string, entries?: any[]}} Dropped
 */

/** droppedOf reads a DataTransfer. @param {DataTransfer} data @returns {Dropped} */
export function droppedOf(data) {
  const files = [...data.files];
  const entries = [...(data.items ?? [])].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const text = files.length > 0 ? "" : data.getData("text/uri-list") || data.getData("text/plain");
  return { files, entries, text };
}

/** Drops listens on the whole page. over says whether something is being dragged over it. */
export class Drops {
  over = new Value(false);
  #depth = 0;

  /** @param {(what: Dropped) => boolean} take */
  constructor(take) {
    const useful = (event) => [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/uri-list" || type === "text/plain");
    addEventListener("dragenter", (event) => {
      if (useful(event)) this.over.set(++this.#depth > 0);
    });
    addEventListener("dragleave", (event) => {
      if (!useful(event)) return;
      this.#depth = Math.max(0, this.#depth - 1);
      this.over.set(this.#depth > 0);
    });
    addEventListener("dragover", (event) => {
      if (useful(event)) event.preventDefault(); // allows the drop
    });
    addEventListener("drop", (event) => {
      this.#depth = 0;
      this.over.set(false);
      if (isWriting(event.target)) return;
      event.preventDefault(); // a browser would leave the page for the file
      take(droppedOf(event.dataTransfer));
    });
    addEventListener("paste", (event) => {
      if (isWriting(event.target) || document.querySelector("dialog[open]")) return;
      if (take(droppedOf(event.clipboardData))) event.preventDefault();
    });
  }
}
