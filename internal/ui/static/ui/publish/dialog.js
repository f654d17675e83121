// The dialog that publishes: choose, describe, follow, and at the end the one link to hand out.
import { chosenOf, lengthOf, pathsOf, readEntries } from "../../lib/publish/files.js";
import { html, useEffect, useRef, useState } from "../../lib/preact.js";
import { publishingOf } from "../../lib/publish/publishing.js";
import { size } from "../../lib/format.js";
import { t } from "../../lib/words.js";
import { Dialog } from "../dialog.js";
import { Icon } from "../icon.js";
import { Browser } from "./browser.js";
import { Describe, emptyForm } from "./describe.js";
import { Following } from "./following.js";
import { receive } from "./open.js";

/**
 * PublishDialog publishes files of this computer, a path of the daemon's machine, or an upload. With job it follows one.
 * @param {{app: import("../../lib/app.js").App, files?: File[], entries?: any[], upload?: any, job?: number, close: () => void}} props
 */
export function PublishDialog({ app, files = [], entries = [], upload = null, job: following = 0, close }) {
  const publishing = publishingOf(app);
  const [job, setJob] = useState(following);
  const [chosen, setChosen] = useState(null);
  const [path, setPath] = useState("");
  const [tab, setTab] = useState("files");
  const [form, setForm] = useState(() => (upload && publishing.formOf(upload.id)) || emptyForm);
  const [going, setGoing] = useState(null); // an upload that goes on
  const [reading, setReading] = useState(files.length + entries.length > 0);

  const choose = (found) => {
    setReading(false);
    const what = chosenOf(found, t("files"));
    setChosen(what);
    if (!what) return app.toasts.fail(new Error(t("There is no file to publish: hidden files are left out.")));
    const before = publishing.matching(what);
    setGoing(before);
    const known = before && publishing.formOf(before.id);
    if (known) setForm(known);
    return undefined;
  };
  const take = async (what) => {
    setReading(what.files.length + what.entries.length > 0);
    try {
      await publishing.refresh();
      if (what.files.length + what.entries.length > 0) choose(what.entries.length > 0 ? await readEntries(what.entries) : pathsOf(what.files));
    } catch (err) {
      setReading(false);
      app.toasts.fail(err);
    }
  };
  useEffect(() => { take({ files, entries }); }, []);
  useEffect(() => (job || upload ? undefined : receive(app, take)), [job]);

  if (job) return html`<${Following} app=${app} id=${job} close=${close} />`;
  const ready = upload || (tab === "files" ? chosen : path);
  const publish = () => {
    if (!ready) return;
    if (upload) setJob(publishing.publishUpload(upload, form));
    else if (tab === "files") setJob(publishing.upload(chosen, form, going));
    else setJob(publishing.publishPath(path, form));
  };
  return html`<${Dialog} title=${t("Publish")} wide close=${close} onSubmit=${publish} foot=${html`
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      <button type="submit" class="button main" disabled=${!ready}>${going ? t("Go on") : t("Publish")}</button>`}>
    ${!upload && app.may("admin") && html`<div class="places" role="radiogroup" aria-label=${t("Where the data is")}>
      ${[["files", t("From this computer")], ["path", t("On the machine of the daemon")]].map(([id, title]) => html`
        <label key=${id} class="check"><input type="radio" name="from" checked=${tab === id} onChange=${() => setTab(id)} /> <span>${title}</span></label>`)}
    </div>`}
    ${upload && html`<p class="what"><${Icon} name=${upload.folder ? "folder" : "file"} /> <strong>${upload.name}</strong> <span>${size(upload.length)}</span></p>`}
    ${!upload && tab === "files" && html`<${Files} chosen=${chosen} reading=${reading} going=${going} onChoose=${choose} />`}
    ${!upload && tab === "path" && html`<${Browser} app=${app} chosen=${path} onChoose=${setPath} />`}
    <${Describe} app=${app} form=${form} onChange=${setForm} name=${upload?.name ?? (tab === "files" ? chosen?.name : path.split(/[/\\]/).at(-1)) ?? ""} />
  </${Dialog}>`;
}

// Files shows what was chosen of this computer, or how to choose.
function Files({ chosen, reading, going, onChoose }) {
  const file = useRef();
  const folder = useRef();
  useEffect(() => { folder.current.webkitdirectory = true; }, []);
  const take = (event) => {
    if (event.target.files.length > 0) onChoose(pathsOf(event.target.files));
    event.target.value = "";
  };
  return html`<div class="pick">
    <input ref=${file} type="file" multiple hidden aria-label=${t("Files")} onChange=${take} />
    <input ref=${folder} type="file" hidden aria-label=${t("Folder")} onChange=${take} />
    ${chosen ? html`<p class="what"><${Icon} name=${chosen.folder ? "folder" : "file"} /> <strong>${chosen.name}</strong>
        <span>${chosen.folder ? t("%1d file, %2s|%1d files, %2s", chosen.files.length, size(lengthOf(chosen))) : size(lengthOf(chosen))}</span></p>
      ${chosen.left > 0 && html`<p class="say">${t("%d hidden file is left out.|%d hidden files are left out.", chosen.left)}</p>`}
      ${going && html`<p class="say" role="status"><${Icon} name="check" /> ${t("%1s of it are uploaded already. The upload goes on.", size(going.offset))}</p>`}`
    : html`<p class="say">${reading ? t("Reading the folder …") : t("Drop a file or a folder on the page, or choose one.")}</p>`}
    <p class="buttons">
      <button type="button" class="button quiet" onClick=${() => file.current.click()}><${Icon} name="file" /> ${t("Choose files")}</button>
      <button type="button" class="button quiet" onClick=${() => folder.current.click()}><${Icon} name="folder" /> ${t("Choose a folder")}</button>
    </p>
  </div>`;
}
