// Sends an upload in parts, and goes on after errors that pass.
import { ApiError, pathOf, problemOf } from "../api.js";
import { partOf } from "./files.js";

/** The sizes of parts in bytes. A part is about as large as what is sent in partTime, and each is on the disk of the daemon before the next. */
const first = 1 << 20;
const largest = 64 << 20;
const partTime = 2000; // in milliseconds

/** How often another request may take the upload over before this page lets it have it. */
const mostConflicts = 3;

/** nextSize returns the size of the next part after one of size bytes that took some milliseconds. */
export function nextSize(size, took) {
  return Math.round(Math.max(first, Math.min(largest, size * 2, (size * partTime) / Math.max(1, took))));
}

/** pauseAfter returns the pause after failures in a row, in milliseconds. @param {number} failures */
export function pauseAfter(failures) {
  return Math.min(500 * 2 ** failures, 15_000);
}

/** passes reports whether an error can pass by itself. @param {any} err */
function passes(err) {
  return err instanceof ApiError && (err.status === 0 || err.status === 400 || err.status === 409 || err.status === 429 || (err.status >= 500 && err.status !== 507));
}

/**
 * Uploader sends one upload.
 * @param {import("../api.js").Api} api
 * @param {{now?: () => number, wait?: (ms: number, signal?: AbortSignal) => Promise<void>}} [clock]
 */
export class Uploader {
  constructor(api, { now = () => performance.now(), wait = sleep } = {}) {
    this.api = api;
    this.now = now;
    this.wait = wait;
  }

  /** offset asks how many bytes the daemon has. It ends a request of before that may still run. */
  async offset(id, signal) {
    return this.#offsetOf(await this.api.raw("HEAD", pathOf("v1", "uploads", id), { signal }));
  }

  /**
   * send sends all bytes that the daemon lacks. It throws an ApiError that does not pass, or an AbortError.
   * @param {string} id
   * @param {import("./files.js").Chosen} chosen
   * @param {number} length
   * @param {{signal?: AbortSignal, onProgress?: (offset: number) => void, onTrouble?: (err: ?Error) => void}} [options]
   *   onTrouble is called with an error after which send tries again, and with null when it goes on.
   */
  async send(id, chosen, length, { signal, onProgress = () => {}, onTrouble = () => {} } = {}) {
    let offset = -1; // unknown
    let size = first;
    let failures = 0;
    let conflicts = 0;
    while (offset !== length) {
      try {
        if (offset < 0) offset = await this.offset(id, signal);
        onProgress(offset);
        if (failures > 0) onTrouble(null);
        if (offset === length) return;
        const began = this.now();
        const part = partOf(chosen, offset, size);
        const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) };
        const now = this.#offsetOf(await this.api.raw("PATCH", pathOf("v1", "uploads", id), { body: part, headers, signal }));
        if (now > offset) failures = conflicts = 0;
        offset = now;
        size = nextSize(part.size, this.now() - began);
        onProgress(offset);
      } catch (err) {
        if (signal?.aborted || !passes(await this.#explain(err)) || ((err.status === 400 || err.status === 409) && ++conflicts > mostConflicts)) throw err;
        offset = -1;
        size = first;
        onTrouble(err);
        await this.wait(pauseAfter(failures++), signal);
      }
    }
  }

  // A failed answer has its details in its body, which HEAD has not.
  async #explain(err) {
    if (err instanceof ApiError && err.response) {
      const body = await err.response.json().catch(() => null);
      const { code, message, hint } = problemOf(body);
      Object.assign(err, { code: code ?? "", hint: hint ?? "" }, message ? { message } : {});
      delete err.response;
    }
    return err;
  }

  #offsetOf(response) {
    if (!response.ok) throw Object.assign(new ApiError(response.status, {}), { response });
    const offset = Number(response.headers.get("Upload-Offset") ?? NaN);
    if (!Number.isSafeInteger(offset) || offset < 0) throw new ApiError(response.status, { message: "the answer has no offset" });
    return offset;
  }
}

function sleep(ms, signal) {
  return new Promise((done, fail) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      fail(signal.reason);
    }, { once: true });
  });
}
