// Chooses the files of a torrent.
import { size } from "../../lib/format.js";
import { html } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Tree } from "../../ui/tree.js";
import { indexesOf, stateOf, toggled } from "./tree.js";

/** Choice is the tree of the files with a box for each. @param {{root: import("./tree.js").Node, chosen: Set<number>, onChoose: (chosen: Set<number>) => void, comment?: string}} props */
export function Choice({ root, chosen, onChoose, comment }) {
  const state = (node) => stateOf(node, chosen);
  const box = (node) => html`<input type="checkbox" tabindex="-1" aria-hidden="true" checked=${state(node) === "all"} indeterminate=${state(node) === "some"} onChange=${() => onChoose(toggled(node, chosen))} />`;
  return html`<div class="choice">
    <div class="choicehead"><span>${t("%1s of %2s files", chosen.size, root.files)}</span>
      <button type="button" class="textual" onClick=${() => onChoose(new Set(indexesOf(root)))}>${t("All")}</button>
      <button type="button" class="textual" onClick=${() => onChoose(new Set())}>${t("None")}</button></div>
    <${Tree} root=${root} label=${t("Files")} box=${box} cells=${(node) => html`<span class="n">${size(node.length)}</span>`}
      checked=${(node) => ({ all: "true", none: "false", some: "mixed" })[state(node)]} onAct=${(node) => onChoose(toggled(node, chosen))} />
    ${comment && html`<p class="say">${comment}</p>`}</div>`;
}
