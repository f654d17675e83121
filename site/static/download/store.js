// The data of downloads in IndexedDB, which browsers have on all kinds of pages. A piece is
// stored only after its hash was checked, so that the stored pieces are the state of a
// download after a crash.
//
// A record is expensive and a long Blob is not, so that a record has all pieces that were
// checked since the record before: {pieces: [[index, length], ...], blob}. Its key is
// [key of the download, random number].

const name = "spate-downloads", version = 1;

// promise resolves to the result of a request.
const promise = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});
// finished resolves when a transaction is complete.
const finished = (tx) => new Promise((done, fail) => {
  tx.oncomplete = () => done();
  tx.onabort = () => fail(tx.error ?? new Error("the browser did not store the data"));
});
const all = (key) => IDBKeyRange.bound([key, 0], [key, 1]);

// Store keeps the pieces of downloads, and a record for each download: {key, name, size, page,
// torrent, changed, given, files, running}.
export class Store {
  key = null; // of the download that was loaded last
  where = new Map(); // of that download: index -> [id of the record, offset, length]

  static async open() {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("pieces");
      request.result.createObjectStore("downloads", { keyPath: "key" });
    };
    const store = new Store();
    store.db = await promise(request);
    store.db.onversionchange = () => store.db.close();
    return store;
  }

  // indexes reads what is stored of a download and resolves to the indexes of its pieces.
  async indexes(key) {
    const pieces = this.db.transaction("pieces").objectStore("pieces");
    const [keys, records] = await Promise.all([promise(pieces.getAllKeys(all(key))), promise(pieces.getAll(all(key)))]);
    this.key = key;
    this.where.clear();
    this.blobs = new Map(); // id -> Blob
    keys.forEach(([, id], k) => {
      this.note(id, records[k].pieces);
      this.blobs.set(id, records[k].blob);
    });
    return [...this.where.keys()];
  }

  note(id, pieces) {
    let at = 0;
    for (const [i, length] of pieces) {
      if (i >= 0) this.where.set(i, [id, at, length]);
      at += length;
    }
  }

  // put stores pieces, [index, bytes] each: all of them or, if it fails, none.
  async put(key, list) {
    const tx = this.db.transaction("pieces", "readwrite"), id = Math.random();
    const pieces = list.map(([i, bytes]) => [i, bytes.length]);
    tx.objectStore("pieces").put({ pieces, blob: new Blob(list.map(([, bytes]) => bytes)) }, [key, id]);
    await finished(tx);
    this.note(id, pieces);
  }

  // read resolves to the bytes of a piece, or null if it is not there.
  async read(key, i) {
    const at = this.where.get(i);
    if (!at) return null;
    const record = await promise(this.db.transaction("pieces").objectStore("pieces").get([key, at[0]]));
    try {
      return record ? new Uint8Array(await record.blob.slice(at[1], at[1] + at[2]).arrayBuffer()) : null;
    } catch {
      return null; // the browser has lost the data
    }
  }

  // forget forgets a piece that is damaged.
  async forget(key, i) {
    const at = this.where.get(i);
    if (!at) return;
    this.where.delete(i);
    const tx = this.db.transaction("pieces", "readwrite"), pieces = tx.objectStore("pieces");
    const record = await promise(pieces.get([key, at[0]]));
    if (!record) return;
    record.pieces = record.pieces.map(([k, length]) => [k === i ? -1 : k, length]);
    pieces.put(record, [key, at[0]]);
    await finished(tx);
  }

  // record resolves to the record of a download, or undefined.
  record(key) { return promise(this.db.transaction("downloads").objectStore("downloads").get(key)); }

  async setRecord(record) {
    const tx = this.db.transaction("downloads", "readwrite");
    tx.objectStore("downloads").put(record);
    await finished(tx);
  }

  // list resolves to the records of all downloads and the number of stored bytes of each.
  async list() {
    const tx = this.db.transaction(["downloads", "pieces"]);
    const records = await promise(tx.objectStore("downloads").getAll());
    return Promise.all(records.map(async (r) => {
      const stored = await promise(tx.objectStore("pieces").getAll(all(r.key)));
      return { ...r, torrent: null, stored: stored.reduce((n, p) => n + p.blob.size, 0) };
    }));
  }

  // remove deletes the pieces and the record of a download.
  async remove(key) {
    const tx = this.db.transaction(["downloads", "pieces"], "readwrite");
    tx.objectStore("downloads").delete(key);
    tx.objectStore("pieces").delete(all(key));
    await finished(tx);
    if (key === this.key) this.where.clear();
  }

  // file resolves to a file of the torrent as one Blob, or null if a piece of it is missing. The
  // Blob refers to the stored pieces and is not in memory.
  async file(torrent, index) {
    const f = torrent.files[index], row = torrent.piecesOf(index), parts = [];
    if (!row) return new Blob([]);
    await this.indexes(torrent.key); // another tab may have stored the pieces
    for (let i = row[0]; i <= row[1]; i++) {
      const at = this.where.get(i);
      if (!at) return null;
      parts.push(this.blobs.get(at[0]).slice(at[1], at[1] + at[2]));
    }
    this.blobs = null;
    const start = f.offset - row[0] * torrent.pieceLength, type = "application/octet-stream";
    return new Blob(parts, { type }).slice(start, start + f.length, type);
  }
}
