// Whether a user is signed in.
import { Value } from "./value.js";

/**
 * SessionState is "unknown" at the start, "in" with what the user may do, or "out".
 * @typedef {{phase: "unknown"|"in"|"out", scopes: string[]}} SessionState
 */

/** Session signs in and out. The cookie of the session is invisible to scripts. */
export class Session {
  /** @type {Value<SessionState>} */
  state = new Value({ phase: "unknown", scopes: [] });

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    api.onSignedOut = () => this.#out();
  }

  #out() {
    this.api.csrf = "";
    this.state.set({ phase: "out", scopes: [] });
  }

  #in(body) {
    this.api.csrf = body.csrf;
    this.state.set({ phase: "in", scopes: body.scopes ?? [] });
  }

  /** resume finds out whether the browser has a session. It throws if the daemon does not answer. */
  async resume() {
    try {
      this.#in(await this.api.get("/session"));
    } catch (err) {
      if (err.status === 0) throw err;
      this.#out();
    }
  }

  /** signIn starts a session. @param {{token?: string, once?: string}} by a token of the API, or the code of a one-time link */
  async signIn(by) {
    this.#in(await this.api.post("/session", by));
  }

  async signOut() {
    await this.api.delete("/session");
    this.#out();
  }

  /** may reports whether the user has a scope. A session without scopes may do everything. @param {string} scope */
  may(scope) {
    const { scopes } = this.state.get();
    return scopes.length === 0 || scopes.includes(scope) || scopes.includes("admin");
  }
}
