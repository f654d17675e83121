// The keys of the page. A key acts unless the user is writing or a dialog is open.

/**
 * Key is what a key does.
 * @typedef {object} Key
 * @property {string} key     as in KeyboardEvent.key; "Shift+", "Ctrl+" and "Alt+" come before it
 * @property {string} label   what it does, for the help
 * @property {string} [group] heading in the help
 * @property {(event: KeyboardEvent) => void} run
 */

/** nameOf returns the name of a pressed key as a Key has it. Shift counts only for keys that have names. */
export function nameOf(event) {
  const named = event.key.length > 1 || event.key === " ";
  return (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "") + (event.shiftKey && named ? "Shift+" : "") +
    (event.key === " " ? "Space" : event.key);
}

/** isWriting reports whether the focus is where keys write. @param {?Element} element */
export function isWriting(element) {
  return Boolean(element?.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]"));
}

/** Keys calls what the pressed keys mean. The keys that were added last come first. */
export class Keys {
  /** @type {Key[][]} */
  #layers = [];

  /** @param {Document} [document] */
  constructor(document = globalThis.document) {
    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
      const name = nameOf(event);
      if (isWriting(event.target) && name !== "Escape") return;
      if ((name === "Enter" || name === "Space") && event.target.closest?.("a, button, summary, input")) return; // the element's own keys
      const key = this.all().find((k) => k.key === name);
      if (!key) return;
      event.preventDefault();
      key.run(event);
    });
  }

  /** add adds keys until the returned function is called. @param {Key[]} keys @returns {() => void} */
  add(keys) {
    this.#layers.unshift(keys);
    return () => {
      this.#layers = this.#layers.filter((layer) => layer !== keys);
    };
  }

  /** all returns the keys that act now, for the help too. @returns {Key[]} */
  all() {
    return this.#layers.flat();
  }
}
