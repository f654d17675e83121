// The data of downloads in IndexedDB, which browsers have on all kinds of pages. A piece is
// stored only after its hash was checked, so that the stored pieces are the state of a
// download after a crash.

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
const piecesOf = (key) => IDBKeyRange.bound([key, 0], [key, Infinity]);

// Store keeps pieces as Blobs by [key, index], and a record for each download: {key, name,
// size, page, torrent, changed, given, wanted}.
export class Store {
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

  // indexes resolves to the indexes of the stored pieces.
  async indexes(key) {
    const keys = await promise(this.db.transaction("pieces").objectStore("pieces").getAllKeys(piecesOf(key)));
    return keys.map(([, i]) => i);
  }

  // put stores pieces, [index, bytes] each: all of them or, if it fails, none.
  async put(key, pieces) {
    const tx = this.db.transaction("pieces", "readwrite");
    for (const [i, bytes] of pieces) tx.objectStore("pieces").put(new Blob([bytes]), [key, i]);
    await finished(tx);
  }

  // read resolves to the bytes of a piece, or null if it is not there.
  async read(key, i) {
    const blob = await promise(this.db.transaction("pieces").objectStore("pieces").get([key, i]));
    return blob ? new Uint8Array(await blob.arrayBuffer()) : null;
  }

  // blobs resolves to the Blobs of the pieces from first to last.
  async blobs(key, first, last) {
    return promise(this.db.transaction("pieces").objectStore("pieces").getAll(IDBKeyRange.bound([key, first], [key, last])));
  }

  async forget(key, i) {
    const tx = this.db.transaction("pieces", "readwrite");
    tx.objectStore("pieces").delete([key, i]);
    await finished(tx);
  }

  // record resolves to the record of a download, or undefined.
  record(key) { return promise(this.db.transaction("downloads").objectStore("downloads").get(key)); }

  async setRecord(record) {
    const tx = this.db.transaction("downloads", "readwrite");
    tx.objectStore("downloads").put(record);
    await finished(tx);
  }

  // list resolves to the records of all downloads and the number of stored pieces of each.
  async list() {
    const tx = this.db.transaction(["downloads", "pieces"]);
    const records = await promise(tx.objectStore("downloads").getAll());
    return Promise.all(records.map(async (r) => ({ ...r, torrent: null, pieces: await promise(tx.objectStore("pieces").count(piecesOf(r.key))) })));
  }

  // remove deletes the pieces and the record of a download.
  async remove(key) {
    const tx = this.db.transaction(["downloads", "pieces"], "readwrite");
    tx.objectStore("downloads").delete(key);
    tx.objectStore("pieces").delete(piecesOf(key));
    await finished(tx);
  }

  // file resolves to a file of the torrent as one Blob, or null if a piece of it is missing. The
  // Blob refers to the stored pieces and is not in memory.
  async file(torrent, index) {
    const f = torrent.files[index], row = torrent.piecesOf(index);
    if (!row) return new Blob([]);
    const blobs = await this.blobs(torrent.key, row[0], row[1]);
    if (blobs.length !== row[1] - row[0] + 1) return null;
    const start = f.offset - row[0] * torrent.pieceLength;
    return new Blob(blobs, { type: "application/octet-stream" }).slice(start, start + f.length, "application/octet-stream");
  }
}
