// The dialog that adds torrents.
import { size } from "../../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Dialog } from "../../ui/dialog.js";
import { LabelField } from "../torrents/optionsfields.js";
import { Choice } from "./choice.js";
import { addRequest, itemOf, preview } from "./preview.js";
import { sourcesIn } from "./sources.js";
import { patternsOf, treeOf } from "./tree.js";

/** AddDialog adds sources: links and .torrent files. Without any it asks for them. */
export function AddDialog({ app, sources, close }) {
  const [items, setItems] = useState(() => sources.map(itemOf));
  const [options, setOptions] = useState({ label: "", dir: "", paused: false, sequential: false });
  const [folders, setFolders] = useState([]);
  const [chosen, setChosen] = useState(null); // indexes of the files of the only torrent
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const all = useRef(items);
  all.current = items;

  const begin = (item) => preview(app.api, item).then((now) => setItems((list) => list.map((x) => (x.abort === item.abort ? now : x))));
  const take = (more) => {
    const fresh = more.map(itemOf);
    setItems((list) => [...list, ...fresh]);
    fresh.forEach(begin);
  };
  useEffect(() => {
    items.forEach(begin);
    app.api.get("/v1/folders").then(({ folders: list }) => setFolders(list), () => {});
    return () => all.current.forEach((item) => item.abort.abort());
  }, []);

  const only = items.length === 1 ? items[0].preview : undefined;
  const root = useMemo(() => only && treeOf(only.files), [only]);
  useEffect(() => setChosen(only ? new Set(only.files.flatMap((file, i) => (file.wanted === false ? [] : [i]))) : null), [only]);
  const wanted = only && chosen ? [...chosen].reduce((sum, i) => sum + only.files[i].length, 0) : items.reduce((sum, item) => sum + (item.preview?.total_length ?? 0), 0);

  const folder = folders.find((f) => f.label === options.label && options.label) ?? folders[0];
  const submit = async () => {
    if (items.length === 0) {
      const links = sourcesIn(text);
      if (links.length > 0) take(links);
      return;
    }
    setBusy(true);
    await addAll();
    setBusy(false);
  };
  const addAll = async () => {
    const settings = { label: options.label.trim() || undefined, dir: options.dir.trim() || undefined, paused: options.paused || undefined, sequential: options.sequential || undefined };
    if (only) {
      const patterns = patternsOf(root, chosen);
      if (patterns === null) return app.toasts.fail(new Error(t("This is too fine a choice of files: choose whole folders.")));
      if (patterns.length > 0) settings.select = patterns;
    }
    const left = [];
    let added = null;
    for (const item of items) {
      if (item.state === "failed" && item.error?.code === "exists") continue;
      item.abort.abort(); // the search of a preview that is not known yet; the daemon searches itself
      try {
        added = await app.api.post("/v1/torrents", await addRequest(app.api, item, settings));
      } catch (error) {
        left.push({ ...item, state: "failed", error });
      }
    }
    setItems(left);
    if (left.length > 0) return undefined;
    app.toasts.say(items.length === 1 && added ? t("Added %s", added.name) : t("Added %d torrent.|Added %d torrents.", items.length));
    return close(added);
  };

  const none = only && chosen?.size === 0;
  const waiting = items.some((item) => item.state === "asking");
  const foot = items.length === 0
    ? html`<button type="submit" class="button main" disabled=${sourcesIn(text).length === 0}>${t("Continue")}</button>`
    : html`<span class="grow say">${none ? t("Choose at least one file.") : wanted > 0 ? (folder?.total > 0 ? t("%1s of %2s free", size(wanted), size(folder.free)) : size(wanted)) : ""}</span>
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      <button type="submit" class="button main" disabled=${busy || none}>${waiting ? t("Add without waiting") : t("Add")}</button>`;
  return html`<${Dialog} title=${only ? only.name : items.length > 1 ? t("Add %d torrent|Add %d torrents", items.length) : t("Add a torrent")} close=${close} wide onSubmit=${submit} foot=${foot}>
    ${items.length === 0 && html`<${Ask} text=${text} onText=${setText} onFiles=${(files) => take(files)} />`}
    ${items.map((item, i) => (item.state === "known" && items.length === 1 ? null : html`<${ItemLine} key=${i} item=${item} onDrop=${() => {
      item.abort.abort();
      setItems((list) => list.filter((x) => x !== item));
    }} />`))}
    ${only && chosen && html`<${Choice} root=${root} chosen=${chosen} onChoose=${setChosen} comment=${only.comment} />`}
    ${items.length > 0 && html`<${Where} app=${app} folders=${folders} folder=${folder} options=${options} wanted=${wanted} onChange=${setOptions} />`}
  </${Dialog}>`;
}

// Ask asks for links or files.
function Ask({ text, onText, onFiles }) {
  return html`<div class="field"><label for="add-text">${t("Magnet links, addresses of .torrent files or info-hashes, one a line")}</label>
      <textarea id="add-text" rows="5" spellcheck="false" autofocus value=${text} onInput=${(e) => onText(e.target.value)} placeholder="magnet:?xt=urn:btih:…"></textarea></div>
    <div class="field"><label for="add-files">${t("Or .torrent files from this device")}</label>
      <input id="add-files" type="file" multiple accept=".torrent,application/x-bittorrent" onChange=${(e) => onFiles([...e.target.files])} /></div>`;
}

// ItemLine says what is known of a source.
function ItemLine({ item, onDrop }) {
  const say = {
    asking: typeof item.source === "string" && /^magnet:|^[0-9a-z]+$/i.test(item.source) ? t("Asking peers which files it has…") : t("Reading the torrent…"),
    known: item.preview ? t("%d file|%d files", item.preview.files.length) : "",
    failed: item.error?.message ?? "",
  }[item.state];
  return html`<div class=${`item ${item.state}`} role=${item.state === "failed" ? "alert" : "status"}>
    <p><strong>${item.name}</strong><br /><span class=${item.state === "failed" ? "wrong" : "say"}>${say}</span>
    ${item.state === "known" && html` <span class="say">· ${size(item.preview.total_length)}</span>`}
    ${item.state === "failed" && item.error?.hint && html`<br /><small>${item.error.hint}</small>`}</p>
    <button type="button" class="textual" onClick=${onDrop}>${t("Leave out")}</button></div>`;
}

// Where asks for the label, the folder and how the download starts.
function Where({ app, folders, folder, options, wanted, onChange }) {
  const set = (name) => (e) => onChange({ ...options, [name]: e.target.type === "checkbox" ? e.target.checked : e.target.value });
  const full = folder?.total > 0 && wanted > folder.free && !options.dir;
  return html`<div class="where">
    <${LabelField} app=${app} id="add-label" value=${options.label} onChange=${(label) => onChange({ ...options, label })} />
    <div class="field"><label for="add-dir">${t("Folder")}</label>
      <input id="add-dir" value=${options.dir} placeholder=${folder?.dir ?? ""} list="add-dirs" autocomplete="off" spellcheck="false" onInput=${set("dir")} aria-describedby="add-free" />
      <datalist id="add-dirs">${folders.map((f) => html`<option key=${f.label ?? ""} value=${f.dir} />`)}</datalist>
      <small id="add-free" class=${full ? "wrong" : ""}>${folder?.total > 0 && !options.dir ? (full ? t("Only %s are free there.", size(folder.free)) : t("%s free", size(folder.free))) : ""}</small></div>
    <label class="check"><input type="checkbox" checked=${options.paused} onChange=${set("paused")} /> <span>${t("Start paused")}</span></label>
    <label class="check"><input type="checkbox" checked=${options.sequential} onChange=${set("sequential")} /> <span>${t("Download in order")}</span></label>
  </div>`;
}
