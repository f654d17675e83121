// A limit for tonight, in one step.
import { date } from "../../lib/format.js";
import { html, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Field } from "../../ui/field.js";
import { LabelField } from "../torrents/optionsfields.js";
import { LimitFields } from "./limitfields.js";
import { limitsOf, nextClock, whatOf } from "./windows.js";

/** Once is a form for a window that applies from now until a time. put adds it. */
export function Once({ app, put }) {
  const [fields, setFields] = useState({ up: "500 kB/s", down: "500 kB/s", pause: false, until: "07:00", label: "" });
  const { limits, wrong } = limitsOf(fields);
  const valid = /^\d\d:\d\d$/.test(fields.until);
  const until = valid && nextClock(fields.until, new Date());
  const submit = (event) => {
    event.preventDefault();
    if (wrong || !valid) return;
    const window = { ...limits, until: nextClock(fields.until, new Date()).toISOString() };
    if (fields.label.trim()) window.label = fields.label.trim();
    app.act(() => put(null, window), { done: t("Until %1s: %2s", date(window.until), whatOf(limits)) });
  };
  return html`<form class="card" onSubmit=${submit} novalidate><h2>${t("Limit once")}</h2>
    <div class="describe once">
      <${LimitFields} fields=${fields} wrong=${wrong} onChange=${setFields} />
      <${Field} label=${t("Until")} type="time" value=${fields.until} onInput=${(time) => setFields({ ...fields, until: time })} wrong=${!valid} hint=${valid ? date(until) : t("Write a time.")} />
      <${LabelField} app=${app} id="once-label" value=${fields.label} onChange=${(label) => setFields({ ...fields, label })} /></div>
    <p class="buttons"><button type="submit" class="button main" disabled=${Boolean(wrong) || !valid}>${fields.pause ? t("Pause until %s", fields.until) : t("Limit until %s", fields.until)}</button></p></form>`;
}
