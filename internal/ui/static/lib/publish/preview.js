// Notes as the site shows them, as elements of this page.
import { h } from "../preact.js";

// The elements that the site makes of notes, with their attributes.
const allowed = new Set(["p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "a", "code", "pre", "em", "strong", "del", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "br", "hr"]);

/** isLink reports whether a destination may be a link of notes, as the site decides too. @param {?string} to */
export function isLink(to) {
  return /^(?:https?:\/\/|mailto:|magnet:\?)/i.test(to ?? "");
}

/**
 * elementsOf copies the children of a node of a document without scripts. Only text and known elements are copied, so that
 * nothing of the document can act in this page.
 * @param {Node} node
 */
export function elementsOf(node) {
  return [...node.childNodes].map((child) => {
    if (child.nodeType === 3) return child.data;
    if (child.nodeType !== 1) return null;
    const name = child.localName;
    const inside = elementsOf(child);
    if (!allowed.has(name)) return inside;
    if (name === "a") return isLink(child.getAttribute("href")) ? h("a", { href: child.getAttribute("href"), rel: "nofollow noopener", target: "_blank" }, inside) : inside;
    return h(name, null, ...inside);
  });
}

/**
 * previewOf asks the daemon for notes as elements. The browser parses the answer as a document of its own, in which no
 * script runs.
 * @param {import("../api.js").Api} api
 */
export function previewOf(api, notes, signal) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/notes/preview");
    request.responseType = "document";
    request.setRequestHeader("Content-Type", "application/json");
    request.setRequestHeader("X-Spate-CSRF", api.csrf);
    request.onload = () => {
      if (request.status === 200 && request.response) done(elementsOf(request.response.body));
      else fail(new Error(`the daemon cannot show the notes (status ${request.status})`));
    };
    request.onerror = () => fail(new Error("the daemon does not answer"));
    signal?.addEventListener("abort", () => {
      request.abort();
      fail(signal.reason);
    }, { once: true });
    request.send(JSON.stringify({ notes }));
  });
}
