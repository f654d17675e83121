// The app: what all views share.
import { Api } from "./api.js";
import { Dialogs } from "./dialogs.js";
import { Drops } from "./drops.js";
import { Keys } from "./keys.js";
import { Live } from "./live.js";
import { Router, takeStart } from "./route.js";
import { Session } from "./session.js";
import { Toasts } from "./toasts.js";
import { Value } from "./value.js";

/**
 * View is a part of the page with an entry in the navigation. views/index.js lists them, and says how one is added.
 * @typedef {object} View
 * @property {string} id           first part of the address: #/ID
 * @property {string} title        English name in the navigation; t translates it
 * @property {string} icon         name of an icon in ui/icon.js
 * @property {() => Promise<{default: Function}>} load imports the module of the component. The component gets
 *   {app, parts, query}: the app, and the rest of the address.
 * @property {(app: App) => boolean} [shown] whether the navigation has the view; absent: always
 * @property {(what: import("./drops.js").Dropped, app: App) => boolean} [drop] takes what is dropped or pasted on the
 *   page, wherever that is, and returns whether the view wants it. The views are asked in their order.
 */

/** App connects the parts. Each view gets it. */
export class App {
  api = new Api();
  toasts = new Toasts();
  dialogs = new Dialogs();
  keys = new Keys();
  router = new Router();
  /** Whether the last request or the stream of events reached the daemon. */
  reached = new Value(true);

  /** @param {View[]} views */
  constructor(views) {
    this.views = views;
    this.session = new Session(this.api);
    this.api.onReached = (reached) => this.reached.set(reached);
    this.live = new Live(this.api, {
      onError: (err) => this.toasts.fail(err),
      onFailure: () => this.#check(),
    });
    this.drops = new Drops((what) => this.take(what));
    this.session.state.observe(({ phase }) => (phase === "in" ? this.live.start() : this.live.stop()));
  }

  /** start signs in by the link that was opened, if it has a code, and shows what it asks for. */
  async start() {
    await this.#open(location.hash);
    addEventListener("hashchange", () => this.#open(location.hash));
    addEventListener("online", () => this.live.stream.retry());
  }

  async #open(hash) {
    const start = takeStart(hash);
    if (!start) {
      if (this.session.state.get().phase === "unknown") await this.#resume();
      return;
    }
    history.replaceState(null, "", "#/torrents"); // the code is not kept in the history
    this.router.follow();
    if (start.once !== "") {
      try {
        await this.session.signIn({ once: start.once });
      } catch (err) {
        await this.#resume();
        if (this.session.state.get().phase === "out") this.toasts.fail(err);
      }
    } else {
      await this.#resume();
    }
    if (start.add.length > 0) this.take({ files: [], text: start.add.join("\n") });
  }

  async #resume() {
    try {
      await this.session.resume();
    } catch {
      setTimeout(() => this.#resume(), 2000); // the shell says that the daemon does not answer
    }
  }

  // An interrupted stream may mean that the session has ended, which the stream cannot tell.
  async #check() {
    try {
      await this.session.resume();
    } catch {
      this.reached.set(false);
    }
  }

  /** take gives what was dropped, pasted or opened to the first view that wants it. */
  take(what) {
    return this.views.some((view) => view.drop?.(what, this));
  }

  /** may reports whether the user has a scope: read, torrents, publish or admin. @param {string} scope */
  may(scope) {
    return this.session.may(scope);
  }

  /**
   * act runs a request that the user asked for, and shows its error. It returns whether the request succeeded.
   * @param {() => Promise<any>} request
   * @param {{done?: string, what?: string}} [says] done is shown after success; what is named in the error
   */
  async act(request, { done = "", what = "" } = {}) {
    try {
      await request();
    } catch (err) {
      this.toasts.fail(err, what);
      return false;
    }
    if (done) this.toasts.say(done);
    return true;
  }
}
