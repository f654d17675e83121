// A list of the daemon, such as its torrents: loaded by pages, then kept up to date by events.

/**
 * Collection holds the entries of a list by their key. While a list is loaded, events go on to change it:
 * an entry of a page that was asked for before an event is older than the entry of that event.
 * @template T
 */
export class Collection {
  /** @type {Map<string, T>} */
  #entries = new Map();
  #observers = new Set();
  #version = 0;
  #clock = 0; // counts events and pages
  /** @type {?{seen: Set<string>, changed: Map<string, number>}} what is known of a load that runs */
  #load = null;
  #loaded = false;

  /** @param {(entry: T) => string} keyOf */
  constructor(keyOf) {
    this.keyOf = keyOf;
  }

  /** version changes with each change of the list, so that a Collection can be used like a Value. */
  get() {
    return this.#version;
  }

  /** @returns {Map<string, T>} the entries by key, which the caller must not change */
  get entries() {
    return this.#entries;
  }

  /** @returns {boolean} whether the whole list has been loaded once */
  get loaded() {
    return this.#loaded;
  }

  /** observe calls observer after each change until the returned function is called. */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  #tell() {
    this.#version++;
    for (const observer of [...this.#observers]) observer(this.#version);
  }

  /** apply takes an event. @param {{changed?: T[], removed?: string[]}} event */
  apply({ changed = [], removed = [] }) {
    const at = ++this.#clock;
    for (const entry of changed) {
      const key = this.keyOf(entry);
      this.#entries.set(key, entry);
      this.#load?.changed.set(key, at);
    }
    for (const key of removed) {
      this.#entries.delete(key);
      this.#load?.changed.set(key, at);
    }
    if (changed.length + removed.length > 0) this.#tell();
  }

  /**
   * load replaces the list by the pages that fetchPage returns. A list whose pages moved because an entry was
   * removed meanwhile is loaded again.
   * @param {(offset: number) => Promise<{total: number, entries: T[]}>} fetchPage
   */
  async load(fetchPage) {
    for (let tries = 0; tries < 3; tries++) {
      const load = { seen: new Set(), changed: new Map() };
      this.#load = load;
      let offset = 0;
      for (;;) {
        const asked = this.#clock;
        const page = await fetchPage(offset);
        if (this.#load !== load) return; // a later load has begun
        for (const entry of page.entries) {
          const key = this.keyOf(entry);
          load.seen.add(key);
          if ((load.changed.get(key) ?? -1) <= asked) this.#entries.set(key, entry);
        }
        this.#tell();
        offset += page.entries.length;
        if (page.entries.length === 0 || offset >= page.total) break;
      }
      this.#load = null;
      for (const key of [...this.#entries.keys()]) {
        if (!load.seen.has(key) && !load.changed.has(key)) this.#entries.delete(key);
      }
      const gone = [...load.changed.keys()].some((key) => !this.#entries.has(key));
      if (gone && tries < 2) continue;
      this.#loaded = true;
      this.#tell();
      return;
    }
  }
}
