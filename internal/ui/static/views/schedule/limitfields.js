// The fields of the limits of a window.
import { html } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Check, Field } from "../../ui/field.js";

/** LimitFields are the rates, or a pause. wrong is the field that is not valid, as limitsOf returns it. */
export function LimitFields({ fields, wrong, onChange }) {
  const field = (name, label) => html`<${Field} label=${label} value=${fields.pause ? "" : fields[name]} placeholder=${fields.pause ? t("paused") : t("no limit")} disabled=${fields.pause}
    wrong=${wrong === name} hint=${wrong === name ? t("Write a rate such as 500 kB/s.") : t("Such as 500 kB/s; empty for none")} onInput=${(text) => onChange({ ...fields, [name]: text })} />`;
  return html`${field("up", t("Upload"))}${field("down", t("Download"))}
    <${Check} label=${t("Pause")} checked=${fields.pause} onChange=${(pause) => onChange({ ...fields, pause })} />`;
}
