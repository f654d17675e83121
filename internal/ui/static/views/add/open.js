// Opens the dialog that adds torrents, for links and .torrent files from anywhere.
import { sourcesIn } from "./sources.js";

/**
 * openAdd opens the dialog for what was dropped, pasted or opened, and returns whether that has anything to add.
 * @param {import("../../lib/app.js").App} app
 * @param {import("../../lib/drops.js").Dropped} what
 */
export function openAdd(app, { files, text }) {
  const torrents = files.filter((file) => /\.torrent$/i.test(file.name) || file.type === "application/x-bittorrent");
  const links = /^offer:/.test(text) ? [text] : sourcesIn(text); // spate open hands files over as offers
  if (torrents.length + links.length === 0 || !app.may("torrents")) return false;
  showAdd(app, [...torrents, ...links]);
  return true;
}

/** showAdd opens the dialog, empty or with sources. @param {(File|string)[]} [sources] */
export async function showAdd(app, sources = []) {
  const { AddDialog } = await import("./dialog.js");
  return app.dialogs.open(AddDialog, { app, sources });
}
