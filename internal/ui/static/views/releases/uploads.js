// What is being published, and uploads that wait for their files.
import { date, size } from "../../lib/format.js";
import { html } from "../../lib/preact.js";
import { publishingOf } from "../../lib/publish/publishing.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { ask } from "../../ui/ask.js";
import { Button, Progress } from "../../ui/parts.js";
import { Steps } from "../../ui/publish/following.js";
import { showPublish } from "../../ui/publish/open.js";

/** Uploads lists the jobs of this page, and the uploads that were begun elsewhere or before the page was loaded again. */
export function Uploads({ app }) {
  const publishing = publishingOf(app);
  const jobs = useValue(publishing.jobs);
  const left = useValue(publishing.left);
  const open = jobs.filter((job) => job.state !== "done");
  if (open.length + left.length === 0) return null;
  const drop = async (upload) => {
    const yes = await ask(app, { title: t("Delete the upload"), text: t("%1s of %2s were uploaded. They are deleted.", size(upload.offset), upload.name), yes: t("Delete"), danger: true });
    if (yes) await app.act(() => publishing.drop(upload.id));
  };
  return html`<section class="uploads" aria-label=${t("Uploads")}>
    ${open.map((job) => html`<div class="upload" key=${job.id}>
      <p><strong>${job.name}</strong></p>
      ${job.state === "failed" ? html`<p class="wrong" role="alert">${job.error.message}</p>` : html`<${Steps} job=${job} />`}
      <p class="buttons">
        ${job.state !== "failed" && html`<button type="button" class="button quiet" onClick=${() => showPublish(app, { job: job.id })}>${t("Show")}</button>`}
        <button type="button" class="button quiet" onClick=${() => app.act(() => publishing.forget(job.id))}>${job.state === "failed" ? t("Close") : t("Stop")}</button></p>
    </div>`)}
    ${left.map((upload) => html`<div class="upload" key=${upload.id}>
      <p><strong>${upload.name}</strong> <small>${upload.offset < upload.length ? t("%1s of %2s", size(upload.offset), size(upload.length)) : t("%s, complete", size(upload.length))}, ${t("kept until %s", date(upload.expires))}</small></p>
      ${upload.offset < upload.length && html`<${Progress} share=${upload.offset / upload.length} kind="paused" label=${t("Uploaded of %s", upload.name)} />
        <p class="say">${upload.folder ? t("Drop the same folder again, and the upload goes on.") : t("Drop the same file again, and the upload goes on.")}</p>`}
      <p class="buttons">
        ${upload.offset < upload.length ? html`<button type="button" class="button quiet" onClick=${() => showPublish(app)}>${t("Choose it again")}</button>`
          : html`<button type="button" class="button main" onClick=${() => showPublish(app, { upload })}>${t("Publish")}</button>`}
        <${Button} icon="trash" text=${t("Delete")} onClick=${() => drop(upload)} /></p>
    </div>`)}
  </section>`;
}
