// Chooses a file or a folder on the machine of the daemon.
import { html, useEffect, useState } from "../../lib/preact.js";
import { size } from "../../lib/format.js";
import { t } from "../../lib/words.js";
import { Icon } from "../icon.js";

/** Browser lists directories of the daemon's machine. @param {{app: import("../../lib/app.js").App, chosen: string, onChoose: (path: string) => void}} props */
export function Browser({ app, chosen, onChoose }) {
  const [at, setAt] = useState("");
  const [listing, setListing] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    app.api.get("/v1/browse", { path: at }, abort.signal).then(setListing, (err) => {
      if (!abort.signal.aborted) {
        app.toasts.fail(err);
        if (at !== "") setAt("");
      }
    });
    return () => abort.abort();
  }, [at]);
  if (!listing) return html`<p class="say" aria-busy="true">${t("Loading …")}</p>`;
  const go = (path) => {
    setAt(path);
    onChoose("");
  };
  return html`<div class="browser">
    <p class="where">${listing.path !== "" && html`<button type="button" class="plain" aria-label=${t("Up")} title=${t("Up")} onClick=${() => go(listing.parent)}><${Icon} name="up" /></button>`}
      <code>${listing.path || t("Folders of the daemon")}</code>
      ${listing.path !== "" && html`<button type="button" class="button quiet" aria-pressed=${String(chosen === listing.path)} onClick=${() => onChoose(listing.path)}>${t("This folder")}</button>`}</p>
    <ul aria-label=${t("Files and folders")}>${listing.entries.map((entry) => html`<li key=${entry.path}>
      <button type="button" aria-pressed=${entry.dir ? undefined : String(chosen === entry.path)} onClick=${() => (entry.dir ? go(entry.path) : onChoose(entry.path))}>
        <${Icon} name=${entry.dir ? "folder" : "file"} /> <span>${entry.name}</span> ${!entry.dir && html`<small>${size(entry.length ?? 0)}</small>`}</button></li>`)}
      ${listing.entries.length === 0 && html`<li class="say">${t("This folder is empty.")}</li>`}
    </ul>
    ${listing.more && html`<p class="say">${t("Only a part of the entries is shown.")}</p>`}
    ${chosen && html`<p class="what" role="status"><${Icon} name="check" /> <strong>${chosen}</strong></p>`}
  </div>`;
}
