// What can be done with a release in a dialog: edit its notes, withdraw it.
import { html, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { ask } from "../../ui/ask.js";
import { Dialog } from "../../ui/dialog.js";
import { Notes } from "../../ui/publish/notes.js";
import { titleOf } from "./words.js";

const pathOfRelease = (release) => `/v1/releases/${encodeURIComponent(release.ref)}`;

function NotesDialog({ app, release, close }) {
  const [notes, setNotes] = useState(release.notes ?? "");
  const save = async () => {
    if (await app.act(() => app.api.patch(pathOfRelease(release), { notes }), { done: t("The notes are on the page.") })) close();
  };
  return html`<${Dialog} title=${t("Notes of %s", titleOf(release))} wide close=${close} onSubmit=${save} foot=${html`
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      <button type="submit" class="button main">${t("Save")}</button>`}>
    <${Notes} app=${app} value=${notes} onInput=${setNotes} />
  </${Dialog}>`;
}

/** editNotes edits the notes of a release. @param {import("../../lib/app.js").App} app */
export function editNotes(app, release) {
  return app.dialogs.open(NotesDialog, { app, release });
}

/** withdraw asks whether to withdraw a release, says what goes and what stays, and does it. */
export async function withdraw(app, release, health) {
  const answer = await ask(app, {
    title: t("Withdraw %s?", titleOf(release)),
    text: `${t("Its page, its .torrent and its tracker entry are removed, and this machine seeds it no more. Copies that others have stay with them.")} ${
      health?.uploaded ? t("The data was uploaded, and is in %s.", release.path) : t("The data stays where it is: %s", release.path ?? "")}`,
    yes: t("Withdraw"), danger: true, option: health?.uploaded ? t("Delete the uploaded data too") : undefined,
  });
  if (!answer) return;
  const done = await app.act(() => app.api.delete(pathOfRelease(release), { data: answer.option ? "true" : undefined }), { done: t("%s is withdrawn.", titleOf(release)) });
  if (done) app.router.go("releases");
}
