// Finds out which files a source has, before it is added.
import { nameOf } from "./sources.js";

/**
 * Item is a source in the dialog. state says what is known: asking, known, failed or added.
 * @typedef {{source: File|string, name: string, state: "asking"|"known"|"failed"|"added", error?: any, preview?: any, abort: AbortController}} Item
 */

/** toBase64 returns the content of a file in base64. @param {Blob} file @returns {Promise<string>} */
export async function toBase64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/**
 * requestOf returns the members of a request by which the daemon gets a source. A source "offer:ID" is a .torrent that
 * spate open handed to the daemon.
 * @param {import("../../lib/api.js").Api} api @param {File|string} source @param {AbortSignal} signal
 */
export async function requestOf(api, source, signal) {
  if (typeof source !== "string") return { torrent: await toBase64(source) };
  if (!source.startsWith("offer:")) return { source };
  const answer = await api.raw("GET", `/offers/${encodeURIComponent(source.slice("offer:".length))}`, { signal });
  if (!answer.ok) throw new Error("the file that was opened is not here any more");
  return { torrent: await toBase64(await answer.blob()) };
}

/** itemOf returns the item of a source about which nothing is known yet. @param {File|string} source @returns {Item} */
export function itemOf(source) {
  return { source, name: nameOf(source), state: "asking", abort: new AbortController() };
}

/**
 * preview asks the daemon about an item, and returns the item with the answer.
 * @param {import("../../lib/api.js").Api} api @param {Item} item
 * @returns {Promise<Item>}
 */
export async function preview(api, item) {
  try {
    const found = await api.post("/v1/torrents/preview", await requestOf(api, item.source, item.abort.signal), item.abort.signal);
    return { ...item, state: "known", name: found.name, preview: found };
  } catch (error) {
    return { ...item, state: "failed", error };
  }
}

/** addRequest returns the request that adds an item. @param {import("../../lib/api.js").Api} api @param {Item} item @param {Record<string, any>} options */
export async function addRequest(api, item, options) {
  const p = item.preview;
  const what = p ? { torrent: p.torrent, magnet: p.magnet, direct: p.direct } : await requestOf(api, item.source, new AbortController().signal);
  return { ...what, ...options };
}
