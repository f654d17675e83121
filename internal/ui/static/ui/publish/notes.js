// Notes in Markdown, with a preview as the site will show them.
import { previewOf } from "../../lib/publish/preview.js";
import { html, useEffect, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";

/** Notes edits notes. @param {{app: import("../../lib/app.js").App, value: string, onInput: (text: string) => void}} props */
export function Notes({ app, value, onInput }) {
  return html`<div class="notes">
    <div class="field"><label for="notes-text">${t("Notes (Markdown)")}</label>
      <textarea id="notes-text" rows="8" value=${value} onInput=${(event) => onInput(event.target.value)}></textarea></div>
    <div class="field"><span class="name" id="notes-shown">${t("Preview")}</span><${Preview} app=${app} notes=${value} /></div>
  </div>`;
}

// Preview shows notes a moment after the last key.
function Preview({ app, notes }) {
  const [shown, setShown] = useState(null);
  const [error, setError] = useState("");
  useEffect(() => {
    if (notes.trim() === "") return setShown(null);
    const abort = new AbortController();
    const timer = setTimeout(() => {
      previewOf(app.api, notes, abort.signal).then((elements) => {
        setShown(elements);
        setError("");
      }, (err) => abort.signal.aborted || setError(err.message));
    }, 250);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [notes]);
  return html`<div class="preview" role="region" aria-labelledby="notes-shown" tabindex="0">
    ${error ? html`<p class="wrong" role="alert">${error}</p>` : shown ?? html`<p class="say">${t("Nothing yet")}</p>`}</div>`;
}
