// What the browser remembers of the list.

const key = (name) => `spate.torrents.${name}`;

/** load returns a remembered value, or other. @template T @param {string} name @param {T} other @returns {T} */
export function load(name, other) {
  try {
    return JSON.parse(localStorage.getItem(key(name))) ?? other;
  } catch {
    return other; // the browser keeps nothing, or something else wrote there
  }
}

/** save remembers a value. @param {string} name @param {any} value */
export function save(name, value) {
  try {
    localStorage.setItem(key(name), JSON.stringify(value));
  } catch {
    // It is not remembered then.
  }
}
