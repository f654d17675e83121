// The dialog with the label, the limits and the goals of torrents.
import { html, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Dialog } from "../../ui/dialog.js";
import { change } from "./actions.js";
import { changeOf, fieldsOf } from "./optionsform.js";
import { OptionsFields } from "./optionsfields.js";

/** OptionsDialog changes one or many torrents. Fields that are not touched stay as they are. */
export function OptionsDialog({ app, torrents, close }) {
  const [before] = useState(() => fieldsOf(torrents));
  const [fields, setFields] = useState(before);
  const [wrong, setWrong] = useState("");
  const save = async () => {
    const { change: what, wrong: bad } = changeOf(before, fields);
    if (bad) return setWrong(bad);
    if (Object.keys(what).length === 0 || await change(app, torrents, what)) close();
    return undefined;
  };
  const title = torrents.length === 1 ? torrents[0].name : t("%d torrent|%d torrents", torrents.length);
  return html`<${Dialog} title=${title} close=${close} onSubmit=${save} foot=${html`
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      <button type="submit" class="button main">${t("Save")}</button>`}>
    <${OptionsFields} app=${app} fields=${fields} wrong=${wrong} onChange=${setFields} />
    ${torrents.length > 1 && html`<p class="say">${t("Fields that you do not touch stay as they are.")}</p>`}
  </${Dialog}>`;
}
