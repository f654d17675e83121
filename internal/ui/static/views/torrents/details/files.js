// The files of a torrent: progress, priorities, and opening them while they come.
import { pathOf } from "../../../lib/api.js";
import { percent, size } from "../../../lib/format.js";
import { html, useMemo } from "../../../lib/preact.js";
import { t } from "../../../lib/words.js";
import { Icon } from "../../../ui/icon.js";
import { Tree } from "../../../ui/tree.js";
import { escapeGlob, indexesOf, treeOf } from "../../add/tree.js";
import { change } from "../actions.js";

const media = /\.(aac|avi|flac|m4a|m4b|m4v|mkv|mov|mp3|mp4|mpg|mpeg|oga|ogg|ogv|opus|ts|wav|webm|wma|wmv)$/i;
const priorities = ["skip", "low", "normal", "high", "max"];
const titles = { skip: "Skip", low: "Low", normal: "Normal", high: "High", max: "First" };

/** shareOf returns what of the files of a node is here, and their common priority or "". */
export function shareOf(files, node) {
  let length = 0;
  let done = 0;
  let priority;
  for (const i of indexesOf(node)) {
    length += files[i].length;
    done += files[i].done;
    priority = priority === undefined || priority === files[i].priority ? files[i].priority : "";
  }
  return { share: length > 0 ? done / length : 1, priority: priority ?? "normal" };
}

/** Files is the tree of the files. */
export function Files({ app, info, details, path, again }) {
  const files = details?.file_list ?? [];
  const shape = files.map((file) => file.path).join("\n");
  const root = useMemo(() => treeOf(files), [shape]);
  if (!details) return html`<p class="say" aria-busy="true"></p>`;
  if (files.length === 0) return html`<p class="say">${t("The files are known when a peer has sent the torrent.")}</p>`;
  const single = info.num_files === 1 && files.length === 1;
  const set = async (node, priority) => {
    // A file of its own has no path below the torrent: its name stands for it.
    await change(app, [info], { files: [{ pattern: escapeGlob(node.path), priority }] });
    again();
  };
  const href = (node) => `${path}/files/${files[node.index].path.split("/").map(encodeURIComponent).join("/")}`;
  const open = (node) => node.index >= 0 && files[node.index].priority !== "skip" && window.open(href(node), "_blank", "noopener");
  const hasMedia = files.some((file) => media.test(file.path));
  const cells = (node) => {
    const { share, priority } = shareOf(files, node);
    return html`<span class="got" style=${{ transform: `scaleX(${share})` }}></span><span class="n percent">${percent(share)}</span><span class="n size">${size(node.length)}</span>
      ${app.may("torrents") && html`<select tabindex="-1" aria-label=${t("Priority of %s", node.name)} value=${priority} onChange=${(e) => set(node, e.target.value)} onKeyDown=${(e) => e.stopPropagation()}>
        ${priority === "" && html`<option value="" selected disabled>${t("Mixed")}</option>`}
        ${priorities.map((p) => html`<option key=${p} value=${p} selected=${p === priority}>${t(titles[p])}</option>`)}</select>`}
      ${node.index >= 0 ? html`<a class=${`plain ${priority === "skip" ? "off" : ""}`} tabindex="-1" href=${priority === "skip" ? undefined : href(node)} target="_blank" rel="noopener" aria-label=${t("Open %s", node.name)} title=${t("Open; what is missing is fetched next")}><${Icon} name=${media.test(node.name) ? "play" : "open"} /></a>` : html`<span class="plain"></span>`}`;
  };
  return html`<div class="filelinks">${hasMedia && html`<a href=${`${path}/playlist.m3u8`} download=${`${info.name}.m3u8`}><${Icon} name="list" /> ${t("Playlist for a player")}</a>`}
      ${single || html`<span class="say">${t("Space opens a file; what is missing is fetched next.")}</span>`}</div>
    <${Tree} root=${root} label=${t("Files")} cells=${cells} onAct=${open} />`;
}
