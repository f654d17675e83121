// The fields of the label, the limits and the goals of torrents.
import { html } from "../../lib/preact.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { countGroups } from "./filter.js";

/** LabelField is a field for a label, with the labels that exist. */
export function LabelField({ app, value, onChange, id = "label" }) {
  useValue(app.live.torrents);
  const labels = [...countGroups(app.live.torrents.entries.values()).labels.keys()].filter((label) => label !== "");
  return html`<div class="field"><label for=${id}>${t("Label")}</label>
    <input id=${id} value=${value} list=${`${id}s`} maxlength="100" autocomplete="off" onInput=${(e) => onChange(e.target.value)} />
    <datalist id=${`${id}s`}>${labels.map((label) => html`<option key=${label} value=${label} />`)}</datalist></div>`;
}

/**
 * OptionsFields are all fields. wrong is the name of the field that is not valid.
 * @param {{app: import("../../lib/app.js").App, fields: import("./optionsform.js").Fields, wrong: string, onChange: (fields: any) => void}} props
 */
export function OptionsFields({ app, fields, wrong, onChange }) {
  const set = (name) => (e) => onChange({ ...fields, [name]: e.target.value });
  const field = (name, title, hint) => html`<div class="field" key=${name}><label for=${`o-${name}`}>${title}</label>
    <input id=${`o-${name}`} value=${fields[name]} placeholder=${t("none")} inputmode=${name === "ratio" || name === "hours" ? "decimal" : "text"} autocomplete="off"
      aria-invalid=${wrong === name ? "true" : undefined} aria-describedby=${`o-${name}-hint`} onInput=${set(name)} />
    <small id=${`o-${name}-hint`} class=${wrong === name ? "wrong" : ""}>${hint}</small></div>`;
  return html`<div class="optionsfields">
    <${LabelField} app=${app} value=${fields.label} onChange=${(label) => onChange({ ...fields, label })} />
    ${field("down", t("Download limit"), t("a second: 500k, 2M"))}
    ${field("up", t("Upload limit"), t("a second: 500k, 2M"))}
    ${field("ratio", t("Seed until the ratio"), t("uploaded to downloaded: 1.5"))}
    ${field("hours", t("Seed for hours"), t("hours of seeding: 24"))}
    <label class="check"><input type="checkbox" checked=${fields.sequential === true} indeterminate=${fields.sequential === null}
      onChange=${(e) => onChange({ ...fields, sequential: e.target.checked })} /> <span>${t("Download in order")}</span></label>
  </div>`;
}
