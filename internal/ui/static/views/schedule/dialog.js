// The dialog with a window of the week.
import { html, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Dialog } from "../../ui/dialog.js";
import { Check, Field } from "../../ui/field.js";
import { LabelField } from "../torrents/optionsfields.js";
import { LimitFields } from "./limitfields.js";
import { dayNames, fieldsOf, windowOf } from "./windows.js";

/** WindowDialog writes a window, or changes window. save gets the new one, and throws if it was not saved. */
export function WindowDialog({ app, window, zone, save, close }) {
  const [fields, setFields] = useState(() => fieldsOf(window ?? { from: "22:00", to: "07:00" }));
  const [tried, setTried] = useState(false);
  const [error, setError] = useState("");
  const { window: next, wrong } = windowOf(fields, window);
  const submit = async () => {
    setTried(true);
    if (wrong) return;
    try {
      await save(next);
      close();
    } catch (err) {
      setError(err.message);
    }
  };
  const set = (name) => (value) => setFields({ ...fields, [name]: value });
  const shown = tried || wrong === "up" || wrong === "down" ? wrong : "";
  return html`<${Dialog} title=${window ? t("Change the window") : t("Add a window of the week")} close=${close} onSubmit=${submit} foot=${html`
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      <button type="submit" class="button main">${t("Save")}</button>`}>
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    <fieldset class="days"><legend>${t("Days on which it begins")}</legend>${dayNames().map((name, day) => html`
      <${Check} key=${day} label=${name} checked=${fields.days[day]} onChange=${(on) => set("days")(fields.days.with(day, on))} />`)}</fieldset>
    <div class="describe">
      ${!fields.whole && html`<${Field} label=${t("From")} type="time" value=${fields.from} onInput=${set("from")} /><${Field} label=${t("To")} type="time" value=${fields.to} onInput=${set("to")} hint=${fields.to <= fields.from ? t("on the next day") : ""} />`}
      <${Check} label=${t("The whole day")} checked=${fields.whole} onChange=${set("whole")} /></div>
    <div class="describe"><${LimitFields} fields=${fields} wrong=${shown} onChange=${setFields} /></div>
    <${LabelField} app=${app} id="window-label" value=${fields.label} onChange=${set("label")} />
    <p class="say">${t("A label limits only its torrents, together. Without one the window is for the whole daemon. The times are those of the daemon's clock (%s).", zone)}</p>
    ${shown === "none" && html`<p class="wrong" role="alert">${t("Write a limit, or tick Pause.")}</p>`}
    ${shown === "days" && html`<p class="wrong" role="alert">${t("Choose a day.")}</p>`}
    ${shown === "times" && html`<p class="wrong" role="alert">${t("Write when it begins and ends.")}</p>`}
  </${Dialog}>`;
}
