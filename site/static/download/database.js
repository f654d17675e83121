// The connection to IndexedDB. Browsers close it when they like, such as iOS for pages in the
// background, and it is opened again then.

const name = "spate-downloads", version = 1;

// promise resolves to the result of a request.
export const promise = (request) => new Promise((done, fail) => {
  request.onsuccess = () => done(request.result);
  request.onerror = () => fail(request.error);
});

// finished resolves when a transaction is complete.
const finished = (tx) => new Promise((done, fail) => {
  tx.oncomplete = () => done();
  tx.onabort = () => fail(tx.error ?? new DOMException("the browser ended the transaction", "AbortError"));
});

const lost = new Set(["InvalidStateError", "UnknownError", "AbortError"]); // errors of a connection that is lost

export class Database {
  // run passes a transaction over object stores to f, and resolves to what f does once the
  // transaction is complete. f returns a promise and may be called again if the connection is lost.
  async run(stores, mode, f) {
    for (let attempt = 1; ; attempt++) {
      try {
        this.opening ??= this.open(() => { this.opening = null; });
        const tx = (await this.opening).transaction(stores, mode), end = finished(tx);
        end.catch(() => {}); // f may fail first
        const result = await f(tx);
        await end;
        return result;
      } catch (err) {
        if (!lost.has(err?.name)) throw err;
        this.opening = null;
        if (attempt === 3) throw err;
      }
    }
  }

  // open opens the database, and calls end if that fails, and when the connection ends.
  open(end) {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("pieces");
      request.result.createObjectStore("downloads", { keyPath: "key" });
    };
    return promise(request).then((db) => {
      db.onclose = end;
      db.onversionchange = () => {
        db.close();
        end();
      };
      return db;
    }, (err) => {
      end();
      throw err;
    });
  }
}
