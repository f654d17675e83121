// Opens the dialog that publishes, for files from anywhere.

/**
 * openPublish opens the dialog for dropped files, and returns whether there are any. .torrent files and links are not for it.
 * @param {import("../../lib/app.js").App} app
 * @param {import("../../lib/drops.js").Dropped} what
 */
export function openPublish(app, { files, entries = [] }) {
  if (files.length + entries.length === 0 || !app.may("publish")) return false;
  if (open.has(app)) open.get(app)({ files, entries });
  else showPublish(app, { files, entries });
  return true;
}

const open = new WeakMap();

/** receive gives what is dropped to an open dialog until the returned function is called. @param {(what: {files: File[], entries: any[]}) => void} take */
export function receive(app, take) {
  open.set(app, take);
  return () => open.delete(app);
}

/** showPublish opens the dialog, empty, or with something to publish. @param {{files?: File[], entries?: any[], upload?: any, job?: number}} [what] */
export async function showPublish(app, what = {}) {
  const { PublishDialog } = await import("./dialog.js");
  return app.dialogs.open(PublishDialog, { app, ...what });
}
