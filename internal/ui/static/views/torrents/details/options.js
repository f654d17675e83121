// The label, the limits and the goals of a torrent, and where its data is.
import { html, useEffect, useState } from "../../../lib/preact.js";
import { t } from "../../../lib/words.js";
import { change } from "../actions.js";
import { changeOf, fieldsOf } from "../optionsform.js";
import { OptionsFields } from "../optionsfields.js";

/** Options is a form that saves what was changed. */
export function Options({ app, info, path }) {
  const [fields, setFields] = useState(() => fieldsOf([info]));
  const [wrong, setWrong] = useState("");
  const [dir, setDir] = useState(info.dir);
  useEffect(() => setDir(info.dir), [info.dir]);
  const before = fieldsOf([info]);
  const { change: what, wrong: bad } = changeOf(before, fields);
  const dirty = bad || Object.keys(what).length > 0;
  const save = async (event) => {
    event.preventDefault();
    setWrong(bad ?? "");
    if (!bad && await change(app, [info], what)) app.toasts.say(t("Saved."));
  };
  const move = (event) => {
    event.preventDefault();
    app.act(() => app.api.post(`${path}/move`, { dir: dir.trim() }), { done: t("The data is being moved.") });
  };
  const may = app.may("torrents");
  return html`<form onSubmit=${save} novalidate><fieldset disabled=${!may}><legend class="vh">${t("Settings")}</legend>
      <${OptionsFields} app=${app} fields=${fields} wrong=${wrong} onChange=${setFields} />
      <p class="buttons"><button class="button main" disabled=${!dirty}>${t("Save")}</button></p></fieldset></form>
    <form onSubmit=${move} class="move"><fieldset disabled=${!may}><legend class="vh">${t("Folder")}</legend>
      <div class="field"><label for="move-dir">${t("Folder of the data")}</label><input id="move-dir" value=${dir} spellcheck="false" onInput=${(e) => setDir(e.target.value)} /></div>
      <button class="button quiet" disabled=${dir.trim() === info.dir || dir.trim() === ""}>${t("Move the data there")}</button></fieldset></form>`;
}
