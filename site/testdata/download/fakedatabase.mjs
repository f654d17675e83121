// IndexedDB in memory: as much of it as the modules use. Transactions run one after the other, and
// a transaction is complete when it has no request left.

const compare = (a, b) => {
  if (!Array.isArray(a)) return a < b ? -1 : a > b ? 1 : 0;
  return a.map((v, i) => compare(v, b[i])).find((c) => c !== 0) ?? 0;
};

class Transaction {
  constructor(db, mode) {
    Object.assign(this, { db, mode, waiting: [], done: false });
  }

  objectStore(name) {
    const store = this.db.stores.get(name), ask = (f) => this.request(f);
    const inside = (range) => [...store.rows.values()].filter(([k]) => compare(range.low, k) <= 0 && compare(k, range.high) <= 0).sort(([a], [b]) => compare(a, b));
    return {
      get: (key) => ask(() => structuredClone(store.rows.get(JSON.stringify(key))?.[1])),
      getKey: (key) => ask(() => store.rows.get(JSON.stringify(key))?.[0]),
      put: (value, key = value[store.path]) => ask(() => store.rows.set(JSON.stringify(key), [key, value])),
      delete: (key) => ask(() => {
        if (key.low === undefined) store.rows.delete(JSON.stringify(key));
        else for (const [k] of inside(key)) store.rows.delete(JSON.stringify(k));
      }),
      getAll: (range) => ask(() => (range ? inside(range).map(([, v]) => v) : [...store.rows.values()].map(([, v]) => v))),
      getAllKeys: (range) => ask(() => inside(range).map(([k]) => k)),
    };
  }

  request(f) {
    if (this.done) throw new DOMException("the transaction is over", "TransactionInactiveError");
    const request = { f };
    this.waiting.push(request);
    return request;
  }

  async run() {
    do {
      for (const r of this.waiting.splice(0)) {
        r.result = r.f();
        r.onsuccess?.();
      }
      await new Promise((done) => setImmediate(done));
    } while (this.waiting.length > 0);
    this.done = true;
    this.oncomplete?.();
  }
}

// FakeDatabase stands for globalThis.indexedDB.
export class FakeDatabase {
  stores = new Map();
  connections = [];
  opened = 0;
  last = Promise.resolve();

  open() {
    const request = {}, db = { closed: false };
    this.opened++;
    db.createObjectStore = (name, options) => this.stores.set(name, { path: options?.keyPath, rows: new Map() });
    db.close = () => { db.closed = true; };
    db.transaction = (_, mode) => {
      if (db.closed) throw new DOMException("the connection is closed", "InvalidStateError");
      const tx = new Transaction(this, mode);
      this.last = this.last.then(() => tx.run());
      return tx;
    };
    this.connections.push(db);
    setImmediate(() => {
      request.result = db;
      if (this.stores.size === 0) request.onupgradeneeded();
      request.onsuccess();
    });
    return request;
  }

  // cut ends all connections, as browsers do, with or without an event.
  cut(event) {
    for (const db of this.connections.splice(0)) {
      db.closed = true;
      if (event) db.onclose?.();
    }
  }

  rows(name) { return [...this.stores.get(name).rows.values()].map(([, v]) => v); }
}

// install puts a new database in the place of the browser's.
export function install() {
  globalThis.IDBKeyRange = { bound: (low, high) => ({ low, high }) };
  return (globalThis.indexedDB = new FakeDatabase());
}
