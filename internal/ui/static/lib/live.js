// What the daemon has, live: its torrents, its releases and its status.
import { Collection } from "./collection.js";
import { Stream } from "./stream.js";
import { Value } from "./value.js";

/** The number of entries in a page of a list. Larger ones would keep the browser busy for too long at once. */
const pageSize = 250;

/** Live keeps the lists of the daemon up to date while a user is signed in. */
export class Live {
  torrents = new Collection((t) => t.info_hash);
  releases = new Collection((r) => r.ref);
  /** @type {Value<any>} the last answer of GET /v1/status, or null */
  status = new Value(null);
  #watchers = new Set();

  /**
   * @param {import("./api.js").Api} api
   * @param {{onError?: (err: Error) => void, onFailure?: () => void, open?: (url: string) => EventSource}} [options]
   */
  constructor(api, { onError = () => {}, onFailure, open } = {}) {
    this.api = api;
    this.onError = onError;
    this.stream = new Stream({
      reset: () => this.load(),
      torrents: (data) => this.torrents.apply(data),
      releases: (data) => this.releases.apply(data),
      status: (data) => this.status.set(data),
      event: (data) => this.#watchers.forEach((watch) => watch(data)),
    }, { open, onFailure });
  }

  start() {
    this.stream.start();
  }

  stop() {
    this.stream.stop();
  }

  /** onEvent calls watch for each event of the daemon, such as completed, until the returned function is called. */
  onEvent(watch) {
    this.#watchers.add(watch);
    return () => this.#watchers.delete(watch);
  }

  /** load loads everything again, as the event reset asks. */
  async load() {
    const page = (path, member) => async (offset) => {
      const body = await this.api.get(path, { offset, limit: pageSize });
      return { total: body.total, entries: body[member] ?? [] };
    };
    try {
      await Promise.all([
        this.api.get("/v1/status").then((status) => this.status.set(status)),
        this.torrents.load(page("/v1/torrents", "torrents")),
        this.releases.load(page("/v1/releases", "releases")),
      ]);
    } catch (err) {
      if (err.status !== 0 && err.status !== 401) this.onError(err); // both are shown by themselves
    }
  }
}
