// Short messages at the edge of the page.
import { t } from "./words.js";
import { Value } from "./value.js";

/** @typedef {{id: number, kind: "say"|"fail", text: string, hint: string}} Toast */

/** The time that a message without an error stays, in milliseconds. Errors stay until they are closed. */
const stay = 5000;

/** The most messages at once. */
const most = 4;

/** Toasts holds the messages that are shown. */
export class Toasts {
  /** @type {Value<Toast[]>} */
  list = new Value([]);
  #next = 1;

  #add(kind, text, hint = "") {
    const toast = { id: this.#next++, kind, text, hint };
    this.list.update((now) => [...now.filter((other) => other.text !== text), toast].slice(-most));
    return toast.id;
  }

  /** say shows that something is done. @param {string} text */
  say(text) {
    const id = this.#add("say", text);
    setTimeout(() => this.close(id), stay);
  }

  /** fail shows an error. what is what failed, such as the name of a torrent. @param {any} err @param {string} [what] */
  fail(err, what = "") {
    if (err?.name === "AbortError" || err?.status === 401) return; // the user's wish; the page for signing in shows itself
    const message = err?.code === "unreachable" ? t("The daemon does not answer.") : String(err?.message ?? err);
    this.#add("fail", what ? `${what}: ${message}` : message.charAt(0).toUpperCase() + message.slice(1), err?.hint ?? "");
  }

  /** @param {number} id */
  close(id) {
    this.list.update((now) => now.filter((toast) => toast.id !== id));
  }
}
