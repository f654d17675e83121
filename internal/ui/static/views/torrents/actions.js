// What can be done with torrents, one or many at once.
import { pathOf } from "../../lib/api.js";
import { t } from "../../lib/words.js";
import { ask } from "../../ui/ask.js";

/** The number of requests at the same time. */
const together = 6;

/**
 * each runs a request for every torrent, a few at a time. Errors of the first few are shown.
 * @param {import("../../lib/app.js").App} app
 * @param {any[]} torrents
 * @param {(path: string, torrent: any) => Promise<any>} request path is that of the torrent in the API
 * @returns {Promise<number>} how many succeeded
 */
export async function each(app, torrents, request) {
  const waiting = [...torrents];
  const failures = [];
  let done = 0;
  const work = async () => {
    for (let torrent = waiting.shift(); torrent; torrent = waiting.shift()) {
      try {
        await request(pathOf("v1", "torrents", torrent.info_hash), torrent);
        done++;
      } catch (err) {
        failures.push([err, torrent.name]);
        if (err.status === 0 || err.status === 401) return; // the others would fail too
      }
    }
  };
  await Promise.all(Array.from({ length: together }, work));
  for (const [err, name] of failures.slice(0, 2)) app.toasts.fail(err, name);
  if (failures.length > 2) app.toasts.fail(new Error(t("%d more torrents failed.", failures.length - 2)));
  return done;
}

/** change sends a change of torrents, and shows it at once. @param {any} what as PATCH /v1/torrents/{ref} takes it */
export async function change(app, torrents, what) {
  const done = await each(app, torrents, (path) => app.api.patch(path, what));
  return done === torrents.length;
}

export const pause = (app, torrents) => change(app, torrents, { paused: true });
export const resume = (app, torrents) => change(app, torrents, { paused: false });

/** pauseOrResume pauses the torrents if one of them runs, and else resumes them. */
export function pauseOrResume(app, torrents) {
  return torrents.some((x) => !x.paused) ? pause(app, torrents.filter((x) => !x.paused)) : resume(app, torrents);
}

export async function recheck(app, torrents) {
  const n = await each(app, torrents, (path) => app.api.post(`${path}/recheck`));
  if (n > 0) app.toasts.say(t("Checking the data of %d torrent.|Checking the data of %d torrents.", n));
}

export async function reannounce(app, torrents) {
  const n = await each(app, torrents, (path) => app.api.post(`${path}/reannounce`));
  if (n > 0) app.toasts.say(t("Asking the trackers of %d torrent.|Asking the trackers of %d torrents.", n));
}

/** remove asks, and then removes torrents, with their data if the user wants that. */
export async function remove(app, torrents) {
  const one = torrents.length === 1;
  const answer = await ask(app, {
    title: one ? t("Remove this torrent?") : t("Remove %d torrent?|Remove %d torrents?", torrents.length),
    text: one ? torrents[0].name : t("The daemon forgets them. Their data stays unless you choose otherwise."),
    yes: t("Remove"), danger: true, option: t("Delete the data too"),
  });
  if (!answer) return false;
  const n = await each(app, torrents, (path) => app.api.delete(path, answer.option ? { data: "true" } : undefined));
  if (n > 0) app.toasts.say(answer.option ? t("Removed %d torrent and its data.|Removed %d torrents and their data.", n) : t("Removed %d torrent.|Removed %d torrents.", n));
  return n > 0;
}

/** setOptions opens the dialog with the label, the limits and the goals of torrents. */
export async function setOptions(app, torrents) {
  const { OptionsDialog } = await import("./optionsdialog.js");
  return app.dialogs.open(OptionsDialog, { app, torrents });
}
