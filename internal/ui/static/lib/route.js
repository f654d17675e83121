// The address of what is shown, in the fragment of the page's address: #/VIEW/PART/PART?name=value.
import { Value } from "./value.js";

/** @typedef {{view: string, parts: string[], query: Record<string, string>}} Route */

/** parseRoute reads a fragment. The view of an empty one is "". @param {string} hash @returns {Route} */
export function parseRoute(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const decode = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  const [view = "", ...parts] = path.split("/").filter((part) => part !== "").map(decode);
  return { view, parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** hrefOf returns the link to a view: hrefOf("torrents", ref). @param {string} view @param {...string} parts */
export function hrefOf(view, ...parts) {
  return `#/${[view, ...parts].map(encodeURIComponent).join("/")}`;
}

/**
 * takeStart reads the fragment of a link from outside, #once=CODE&add=SOURCE, which is not a route. It returns null
 * for a route.
 * @param {string} hash
 * @returns {?{once: string, add: string[]}}
 */
export function takeStart(hash) {
  if (hash === "" || hash === "#" || hash.startsWith("#/")) return null;
  const params = new URLSearchParams(hash.slice(1));
  return { once: params.get("once") ?? "", add: params.getAll("add") };
}

/** Router follows the fragment of the page's address. */
export class Router {
  /** @type {Value<Route>} */
  route;

  /** @param {Window} [window] */
  constructor(window = globalThis.window) {
    this.window = window;
    this.route = new Value(parseRoute(window.location.hash));
    window.addEventListener("hashchange", () => this.follow());
  }

  /** follow reads the address again. */
  follow() {
    this.route.set(parseRoute(this.window.location.hash));
  }

  /** go shows a view. @param {string} view @param {...string} parts */
  go(view, ...parts) {
    this.window.location.hash = hrefOf(view, ...parts);
  }
}
