// The data of downloads in IndexedDB, which browsers have on all kinds of pages. A piece is
// stored only after its hash was checked, so that the stored pieces are the state of a
// download after a crash.
//
// A record is expensive and a long Blob is not, so that a record has all pieces that were
// checked since the record before: {pieces: [[index, length], ...], blob}. Its key is
// [key of the download, random number].

import { Database, promise } from "./database.js";

const all = (key) => IDBKeyRange.bound([key, 0], [key, 1]);
const both = ["downloads", "pieces"];

// note adds the pieces of the record id to a map of where pieces are.
function note(where, id, pieces) {
  let at = 0;
  for (const [i, length] of pieces) {
    if (i >= 0) where.set(i, [id, at, length]);
    at += length;
  }
}

// Removed is the error of storing pieces of a download whose record was deleted.
export class Removed extends Error {
  name = "Removed";
}

// Store keeps the pieces of downloads, and a record for each download: {key, name, size, page,
// torrent, changed, given, files, running}. Pieces are stored only while there is a record, so that
// what is left over is always listed.
export class Store {
  key = null; // of the download that was loaded last
  where = new Map(); // of that download: index -> [id of the record, offset, length]
  db = new Database();

  static async open() {
    const store = new Store();
    await store.db.run("downloads", "readonly", async () => {}); // an Error where the browser stores nothing
    return store;
  }

  // indexes reads what is stored of a download and resolves to the indexes of its pieces.
  async indexes(key) {
    await this.load(key);
    return [...this.where.keys()];
  }

  // load reads where the pieces of a download are, and resolves to that and to their Blobs by id.
  // It adds to what is known, because pieces may be stored meanwhile.
  load(key) {
    return this.db.run("pieces", "readonly", async (tx) => {
      const pieces = tx.objectStore("pieces");
      const [keys, records] = await Promise.all([promise(pieces.getAllKeys(all(key))), promise(pieces.getAll(all(key)))]);
      if (key !== this.key) this.where = new Map();
      this.key = key;
      const blobs = new Map(), where = new Map();
      keys.forEach(([, id], k) => {
        note(where, id, records[k].pieces);
        blobs.set(id, records[k].blob);
      });
      for (const [i, at] of where) this.where.set(i, at);
      return { where, blobs };
    });
  }

  // put stores pieces, [index, bytes] each: all of them or, if it fails, none. It fails with
  // Removed if the download has no record.
  async put(key, list) {
    const id = Math.random(), pieces = list.map(([i, bytes]) => [i, bytes.length]);
    const blob = new Blob(list.map(([, bytes]) => bytes));
    await this.db.run(both, "readwrite", async (tx) => {
      if (!(await promise(tx.objectStore("downloads").getKey(key)))) throw new Removed("the download was deleted");
      tx.objectStore("pieces").put({ pieces, blob }, [key, id]);
    });
    if (key === this.key) note(this.where, id, pieces);
  }

  // read resolves to bytes of a piece, from begin on and length of them, or all; or to null if they
  // are not there.
  async read(key, i, begin = 0, length = Infinity) {
    const at = this.where.get(i);
    if (!at) return null;
    const from = at[1] + begin, to = Math.min(at[1] + at[2], from + length);
    const record = await this.db.run("pieces", "readonly", (tx) => promise(tx.objectStore("pieces").get([key, at[0]])));
    try {
      return record ? new Uint8Array(await record.blob.slice(from, to).arrayBuffer()) : null;
    } catch {
      return null; // the browser has lost the data
    }
  }

  // forget forgets a piece that is damaged.
  async forget(key, i) {
    const at = this.where.get(i);
    if (!at) return;
    this.where.delete(i);
    await this.db.run("pieces", "readwrite", async (tx) => {
      const pieces = tx.objectStore("pieces"), record = await promise(pieces.get([key, at[0]]));
      if (!record) return;
      record.pieces = record.pieces.map(([k, length]) => [k === i ? -1 : k, length]);
      pieces.put(record, [key, at[0]]);
    });
  }

  // record resolves to the record of a download, or undefined.
  record(key) { return this.db.run("downloads", "readonly", (tx) => promise(tx.objectStore("downloads").get(key))); }

  async setRecord(record) { await this.db.run("downloads", "readwrite", async (tx) => { tx.objectStore("downloads").put(record); }); }

  // change changes fields of the record of a download, if there is one, and resolves to it.
  change(key, fields) {
    return this.db.run("downloads", "readwrite", async (tx) => {
      const downloads = tx.objectStore("downloads"), record = await promise(downloads.get(key));
      if (!record) return undefined;
      const changed = { ...record, ...fields };
      downloads.put(changed);
      return changed;
    });
  }

  // list resolves to the records of all downloads and the number of stored bytes of each.
  list() {
    return this.db.run(both, "readonly", async (tx) => {
      const records = await promise(tx.objectStore("downloads").getAll());
      return Promise.all(records.map(async (r) => {
        const stored = await promise(tx.objectStore("pieces").getAll(all(r.key)));
        return { ...r, torrent: null, stored: stored.reduce((n, p) => n + p.blob.size, 0) };
      }));
    });
  }

  // remove deletes the pieces and the record of a download.
  async remove(key) {
    await this.db.run(both, "readwrite", async (tx) => {
      tx.objectStore("downloads").delete(key);
      tx.objectStore("pieces").delete(all(key));
    });
    if (key === this.key) this.where = new Map();
  }

  // file resolves to a file of the torrent as one Blob, or null if a piece of it is missing; with end,
  // to its start, before that piece. The Blob refers to the stored pieces and is not in memory.
  async file(torrent, index, end = Infinity) {
    const f = torrent.files[index], row = torrent.piecesOf(index), parts = [];
    if (!row) return new Blob([]);
    const { where, blobs } = await this.load(torrent.key); // another tab may have stored the pieces
    for (let i = row[0]; i <= row[1] && i < end; i++) {
      const at = where.get(i);
      if (!at) return null;
      parts.push(blobs.get(at[0]).slice(at[1], at[1] + at[2]));
    }
    const start = f.offset - row[0] * torrent.pieceLength, type = "application/octet-stream";
    return new Blob(parts, { type }).slice(start, start + f.length, type);
  }
}
