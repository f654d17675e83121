// What the user says about a release: its page, version, variant, group and notes.
import { html, useId, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { useValue } from "../../lib/value.js";
import { Notes } from "./notes.js";

/** @type {import("../../lib/publish/publishing.js").Form} */
export const emptyForm = { release: "", version: "", variant: "", group: "", notes: "", newer: false };

/** Field is an input with its label and a hint. */
function Field({ label, hint, value, onInput, ...rest }) {
  const id = useId();
  return html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} value=${value} onInput=${(event) => onInput(event.target.value)} autocomplete="off" spellcheck=${false} aria-describedby=${hint ? `${id}-hint` : undefined} ...${rest} />
    ${hint && html`<small id=${`${id}-hint`}>${hint}</small>`}</div>`;
}

/** Describe edits a form. name is that of the data. */
export function Describe({ app, form, onChange, name }) {
  const [notes, setNotes] = useState(form.notes !== "");
  const list = useId();
  const set = (field) => (value) => onChange({ ...form, [field]: value });
  useValue(app.live.releases);
  const known = [...new Set([...app.live.releases.entries.values()].map((r) => r.slug))].sort();
  const taken = form.release.trim() !== "" && known.includes(form.release.trim());
  return html`
    <datalist id=${list}>${known.map((slug) => html`<option key=${slug} value=${slug} />`)}</datalist>
    <div class="describe">
      <${Field} label=${t("Name of the page")} hint=${t("It is the address too.")} placeholder=${name} value=${form.release} onInput=${set("release")} list=${list} maxlength="200" />
      <${Field} label=${t("Version")} placeholder=${t("automatic")} value=${form.version} onInput=${set("version")} maxlength="64" />
      <${Field} label=${t("Variant")} hint=${t("Such as amd64")} value=${form.variant} onInput=${set("variant")} maxlength="64" />
      <${Field} label=${t("Group")} hint=${t("A heading in the list")} value=${form.group} onInput=${set("group")} maxlength="200" />
    </div>
    ${taken && html`<label class="check"><input type="checkbox" checked=${form.newer} onChange=${(e) => onChange({ ...form, newer: e.target.checked })} />
      <span>${t("There is such a page: publish this as its newer version")}</span></label>`}
    ${notes ? html`<${Notes} app=${app} value=${form.notes} onInput=${set("notes")} />`
      : html`<p><button type="button" class="textual" onClick=${() => setNotes(true)}>${t("Add notes")}</button></p>`}`;
}
