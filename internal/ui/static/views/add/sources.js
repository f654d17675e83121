// Finds the sources of torrents in text that was typed, pasted or dropped.
import { t } from "../../lib/words.js";

const hash = /^(?:[0-9a-f]{40}|[0-9a-f]{64}|[a-z2-7]{32})$/i;

/** isSource reports whether a word is a magnet link, a URL or an info-hash. @param {string} word */
export function isSource(word) {
  return /^magnet:\?/i.test(word) || /^https?:\/\/[^\s/]/i.test(word) || hash.test(word);
}

/** sourcesIn returns the sources in a text: one a line, or separated by spaces. Comments of lists of URIs are ignored. @param {string} text */
export function sourcesIn(text) {
  const words = text.split(/\r?\n/).filter((line) => !line.startsWith("#")).flatMap((line) => line.trim().split(/\s+/));
  return [...new Set(words.filter(isSource))];
}

/** nameOf returns the name by which a source is shown before it is known. @param {File|string} source */
export function nameOf(source) {
  if (typeof source !== "string") return source.name;
  if (source.startsWith("offer:")) return t("The .torrent file"); // that spate open handed over
  if (!/^magnet:/i.test(source)) return source;
  return new URLSearchParams(source.slice(source.indexOf("?"))).get("dn") || source;
}
