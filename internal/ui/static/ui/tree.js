// A tree of files with keys as those of trees everywhere: arrows move, open and close, space acts.
import { html, useRef, useState } from "../lib/preact.js";
import { t } from "../lib/words.js";
import { openAtFirst, rowsOf } from "../views/add/tree.js";
import { Icon } from "./icon.js";
import { useVirtual } from "./virtual.js";

const rowHeight = 36;

/**
 * Tree shows the nodes of a tree. cells returns what a row has behind its name, box what stands before it.
 * @param {{root: any, label: string, box?: (node: any) => any, cells: (node: any) => any, checked?: (node: any) => string, onAct: (node: any) => void, height?: string}} props
 *   checked returns "true", "false" or "mixed" for screen readers; onAct is called for space and for clicks on a name.
 */
export function Tree({ root, label, box = () => null, cells, checked, onAct }) {
  const [open, setOpen] = useState(() => openAtFirst(root));
  const rows = rowsOf(root, open);
  const { box: element, first, last, show } = useVirtual(rows.length, rowHeight);
  const [at, setAt] = useState(0);
  const id = useRef(`tree-${Math.random().toString(36).slice(2)}`).current;
  const go = (index) => {
    const next = Math.max(0, Math.min(rows.length - 1, index));
    setAt(next);
    show(next);
  };
  const fold = (node, on) => setOpen((now) => {
    const next = new Set(now);
    if (on) next.add(node.path);
    else next.delete(node.path);
    return next;
  });
  const parentOf = (index) => rows.findLastIndex((row, i) => i < index && row.depth < rows[index].depth);
  const key = (event) => {
    const row = rows[at];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const folder = row.node.index < 0;
    const keys = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(rows.length - 1),
      ArrowRight: () => (folder && !open.has(row.node.path) ? fold(row.node, true) : go(at + 1)),
      ArrowLeft: () => (folder && open.has(row.node.path) ? fold(row.node, false) : go(Math.max(0, parentOf(at)))),
      " ": () => onAct(row.node),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  };
  return html`<div class=${`tree ${root.children.some((n) => n.index < 0) ? "" : "flat"}`} role="tree" aria-label=${label} aria-multiselectable="true" tabindex="0" ref=${element} onKeyDown=${key}
      aria-activedescendant=${at >= first && at < last ? `${id}-${at}` : undefined}>
    <div class="rows" role="none" style=${{ height: `${rows.length * rowHeight}px` }}>${rows.slice(first, last).map(({ node, depth }, i) => {
      const n = first + i;
      const folder = node.index < 0;
      return html`<div key=${node.path} id=${`${id}-${n}`} role="treeitem" aria-level=${depth + 1} data-path=${node.path} aria-expanded=${folder ? String(open.has(node.path)) : undefined}
          aria-checked=${checked?.(node)} aria-selected="false" class=${`treerow ${n === at ? "at" : ""}`} style=${{ transform: `translateY(${n * rowHeight}px)` }} onClick=${() => setAt(n)}>
        <span class="indent" style=${{ width: `${depth * 1.1}rem` }}></span>
        ${folder ? html`<button type="button" tabindex="-1" class=${`fold ${open.has(node.path) ? "open" : ""}`} aria-hidden="true" onClick=${() => fold(node, !open.has(node.path))}><${Icon} name="chevron" /></button>`
          : html`<span class="fold"></span>`}
        ${box(node)}<${Icon} name=${folder ? "folder" : "file"} />
        <span class="name" title=${node.name} onClick=${() => onAct(node)}>${node.name}</span>${cells(node)}</div>`;
    })}</div></div>`;
}
