// The uploads and publications of this page. They go on while the user looks at something else.
import { ApiError, problemOf } from "../api.js";
import { Value } from "../value.js";
import { lengthOf, markOf, requestOf } from "./files.js";
import { linesOf } from "./lines.js";
import { Uploader } from "./uploader.js";

/**
 * Form is what the user says about a release.
 * @typedef {{release: string, version: string, variant: string, group: string, notes: string, newer: boolean}} Form
 */

/**
 * Job is the way of something to its release.
 * @typedef {object} Job
 * @property {number} id
 * @property {string} name
 * @property {"uploading"|"publishing"|"done"|"failed"} state
 * @property {number} length     bytes; 0 if unknown
 * @property {number} offset     bytes that were uploaded
 * @property {number} rate       bytes a second
 * @property {number} hashed     bytes that were hashed
 * @property {string} trouble    why the upload waits, or ""
 * @property {?Error} error      why it failed
 * @property {any} release       the release at the end, or null
 * @property {string[]} warnings
 * @property {string} upload     id of the upload, or "" for a path of the daemon
 * @property {Form} form
 */

/** bodyOf returns the body of POST /v1/releases. @param {Form} form @param {{upload?: string, paths?: string[]}} from */
export function bodyOf(form, from) {
  const body = { ...from };
  for (const name of ["release", "version", "group", "notes"]) {
    if (form[name].trim() !== "") body[name] = form[name].trim();
  }
  if (form.variant.trim() !== "") body.variants = [form.variant.trim()];
  if (form.newer) body.newer = true;
  return body;
}

const storeKey = (upload) => `spate.upload.${upload}`;

/** Publishing runs the jobs of a page. @param {import("../app.js").App} app */
export class Publishing {
  /** @type {Value<Job[]>} */
  jobs = new Value([]);
  /** @type {Value<any[]>} uploads of the daemon that no job of this page has */
  left = new Value([]);
  #next = 1;
  #aborts = new Map();

  constructor(app, { uploader = new Uploader(app.api), store = globalThis.localStorage } = {}) {
    this.app = app;
    this.uploader = uploader;
    this.store = store;
  }

  #change(id, change) {
    this.jobs.update((list) => list.map((job) => (job.id === id ? { ...job, ...change } : job)));
  }

  /** job returns a job by its id. */
  job(id) {
    return this.jobs.get().find((job) => job.id === id);
  }

  #add(job) {
    const id = this.#next++;
    this.jobs.update((list) => [...list, { id, state: "uploading", length: 0, offset: 0, rate: 0, hashed: 0, trouble: "", error: null, release: null, warnings: [], upload: "", ...job }]);
    return id;
  }

  /** refresh asks for the uploads of the daemon. */
  async refresh() {
    const { uploads } = await this.app.api.get("/v1/uploads");
    const mine = new Set(this.jobs.get().map((job) => job.upload));
    this.left.set(uploads.filter((upload) => !mine.has(upload.id)));
  }

  /** formOf returns the form that the user had filled in for an upload before the page was loaded again, or null. */
  formOf(upload) {
    try {
      return JSON.parse(this.store?.getItem(storeKey(upload)) ?? "null");
    } catch {
      return null;
    }
  }

  /** matching returns an upload that the same files began. @param {import("./files.js").Chosen} chosen */
  matching(chosen) {
    const mark = markOf(chosen);
    return this.left.get().find((upload) => upload.mark === mark && upload.name === chosen.name && upload.length === lengthOf(chosen)) ?? null;
  }

  /**
   * upload uploads files and publishes them. upload is one that goes on, or null. It returns the job.
   * @param {import("./files.js").Chosen} chosen
   * @param {Form} form
   */
  upload(chosen, form, upload = null) {
    const id = this.#add({ name: chosen.name, length: lengthOf(chosen), offset: upload?.offset ?? 0, upload: upload?.id ?? "", form });
    this.#run(id, async (signal) => {
      const made = upload ?? await this.app.api.post("/v1/uploads", requestOf(chosen), signal);
      this.#change(id, { upload: made.id });
      this.left.update((list) => list.filter((one) => one.id !== made.id));
      try {
        this.store?.setItem(storeKey(made.id), JSON.stringify(form));
      } catch {
        // The form is asked for again after the page was loaded again.
      }
      await this.#send(id, made, chosen, signal);
      await this.#publish(id, { upload: made.id }, signal);
      this.store?.removeItem(storeKey(made.id));
    });
    return id;
  }

  async #send(id, upload, chosen, signal) {
    let at = performance.now();
    let before = -1;
    await this.uploader.send(upload.id, chosen, upload.length, {
      signal,
      onProgress: (offset) => {
        const now = performance.now();
        const rate = before >= 0 && now > at ? ((offset - before) * 1000) / (now - at) : 0;
        [at, before] = [now, offset];
        this.#change(id, { offset, rate: Math.max(0, rate) });
      },
      onTrouble: (err) => this.#change(id, { trouble: err?.message ?? "", rate: 0 }),
    });
  }

  /** publishUpload publishes a complete upload of the daemon. It returns the job. @param {any} upload @param {Form} form */
  publishUpload(upload, form) {
    const id = this.#add({ name: upload.name, length: upload.length, offset: upload.length, upload: upload.id, form });
    this.left.update((list) => list.filter((one) => one.id !== upload.id));
    this.#run(id, async (signal) => {
      await this.#publish(id, { upload: upload.id }, signal);
      this.store?.removeItem(storeKey(upload.id));
    });
    return id;
  }

  /** publishPath publishes a path of the daemon's machine. It returns the job. @param {string} path @param {Form} form */
  publishPath(path, form) {
    const id = this.#add({ name: path.split(/[/\\]/).at(-1) ?? path, form });
    this.#run(id, (signal) => this.#publish(id, { paths: [path] }, signal));
    return id;
  }

  async #publish(id, from, signal) {
    this.#change(id, { state: "publishing", rate: 0, trouble: "" });
    const response = await this.app.api.raw("POST", "/v1/releases", { body: bodyOf(this.job(id).form, from), signal });
    if (!response.ok) throw new ApiError(response.status, problemOf(await response.json().catch(() => null)));
    for await (const event of linesOf(response.body)) {
      if (event.event === "progress") this.#change(id, { hashed: event.done ?? 0, length: event.total ?? 0, rate: event.rate ?? 0 });
      if (event.event === "published") this.#change(id, { release: event.release, warnings: event.warnings ?? [] });
      if (event.event === "error") throw new ApiError(500, event.error ?? {});
    }
    if (!this.job(id).release) throw new ApiError(0, { message: "the daemon stopped before the release was published" });
  }

  async #run(id, work) {
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    try {
      await work(abort.signal);
      this.#change(id, { state: "done", rate: 0 });
    } catch (error) {
      if (!abort.signal.aborted) this.#change(id, { state: "failed", error, rate: 0 });
    } finally {
      this.#aborts.delete(id);
    }
  }

  /** forget stops a job, and lists its upload among those that are left. @param {number} id */
  async forget(id) {
    this.#aborts.get(id)?.abort();
    this.jobs.update((list) => list.filter((job) => job.id !== id));
    await this.refresh();
  }

  /** drop deletes an upload and its data. @param {string} upload */
  async drop(upload) {
    await this.app.api.delete(`/v1/uploads/${encodeURIComponent(upload)}`);
    this.store?.removeItem(storeKey(upload));
    await this.refresh();
  }
}

const all = new WeakMap();

/** publishingOf returns the Publishing of an app. @param {import("../app.js").App} app @returns {Publishing} */
export function publishingOf(app) {
  if (!all.has(app)) all.set(app, new Publishing(app));
  return all.get(app);
}
