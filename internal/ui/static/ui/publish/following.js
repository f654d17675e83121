// Follows a job until its release is there.
import { duration, percent, rate, size } from "../../lib/format.js";
import { html } from "../../lib/preact.js";
import { publishingOf } from "../../lib/publish/publishing.js";
import { hrefOf } from "../../lib/route.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { Dialog } from "../dialog.js";
import { Icon } from "../icon.js";
import { CopyText, Progress } from "../parts.js";

/** Following shows a job. Closing it leaves the job running. @param {{app: import("../../lib/app.js").App, id: number, close: () => void}} props */
export function Following({ app, id, close }) {
  const publishing = publishingOf(app);
  const job = useValue(publishing.jobs, (list) => list.find((one) => one.id === id));
  if (!job) return null;
  const done = job.state === "done";
  const failed = job.state === "failed";
  const stop = async () => {
    close();
    await publishing.forget(id);
  };
  const again = () => {
    close();
    publishing.forget(id).then(() => app.router.go("releases"));
  };
  return html`<${Dialog} title=${done ? t("Published") : failed ? t("Not published") : t("Publishing %s", job.name)} close=${close} foot=${html`
      ${!done && !failed && html`<button type="button" class="button quiet" onClick=${stop}>${t("Stop")}</button>`}
      ${failed && html`<button type="button" class="button quiet" onClick=${again}>${t("To the uploads")}</button>`}
      <button type="button" class="button main" onClick=${() => close()}>${done ? t("Close") : t("Go on in the background")}</button>`}>
    ${done ? html`<${Done} app=${app} job=${job} close=${close} />` : html`
      <${Steps} job=${job} />
      ${job.trouble && html`<p class="wrong" role="status">${t("%s: trying again", job.trouble)}</p>`}
      ${failed && html`<p class="wrong" role="alert">${job.error.message}</p>${job.error.hint && html`<p class="say">${job.error.hint}</p>`}`}`}
  </${Dialog}>`;
}

/** Steps shows how far a job is. */
export function Steps({ job }) {
  const uploading = job.state === "uploading" || (job.state === "failed" && job.offset < job.length);
  const [done, what] = uploading ? [job.offset, t("Uploading")] : [job.hashed, t("Hashing")];
  const share = job.length > 0 ? done / job.length : 0;
  const left = job.rate > 0 ? duration((job.length - done) / job.rate) : "";
  return html`<div class="steps">
    <p><strong>${what}</strong> <span>${job.length > 0 ? t("%1s of %2s", size(done), size(job.length)) : ""}</span> <span>${percent(share)}</span> <span>${rate(job.rate)}</span> <span>${left && t("%s left", left)}</span></p>
    <${Progress} share=${share} kind=${job.state === "failed" ? "failed" : ""} label=${`${what}: ${job.name}`} />
  </div>`;
}

function Done({ app, job, close }) {
  const { release } = job;
  return html`
    <p class="say" role="status"><${Icon} name="check" /> ${t("Give this link to others:")}</p>
    <div class="handout"><${CopyText} app=${app} text=${release.page_url} what=${t("the link of the page")} /></div>
    ${job.warnings.map((warning) => html`<p class="say" key=${warning}>${t("Some programs will not open it: %s", warning)}</p>`)}
    <p><a href=${hrefOf("releases", release.ref)} onClick=${() => close()}>${t("See the release")}</a></p>`;
}
