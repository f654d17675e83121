// The list of torrents: a grid of which only the rows in sight are elements.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Icon } from "../../ui/icon.js";
import { useMedia, useVirtual } from "../../ui/virtual.js";
import { briefOf, shownColumns } from "./columns.js";
import { extend, only, toggle } from "./selection.js";

/** Heights in pixels, as in css/torrents.css. */
const rowHeight = 36;
const tallRow = 60;
const headHeight = 34;

const idOf = (hash) => `row-${hash}`;

/** List shows the rows. Clicks select as in a file manager; a second click and Enter show the details. */
export function List({ list, sort, onSort, selection, onSelect, onOpen, loaded }) {
  const phone = useMedia("(max-width: 47.99rem)");
  const row = phone ? tallRow : rowHeight;
  const head = phone ? 0 : headHeight;
  const { box, first, last, show } = useVirtual(list.length, row, head);
  const width = useWidth(box);
  const columns = shownColumns(width);
  const template = columns.map((c) => c.width).join(" ");
  const index = useRef(-1);
  useEffect(() => {
    index.current = selection.at ? list.findIndex((x) => x.info_hash === selection.at) : -1;
    if (index.current >= 0) show(index.current);
  }, [selection.at]);

  const click = (event, x) => {
    const key = x.info_hash;
    box.current.focus();
    if (event.shiftKey) onSelect(extend(selection, list, key));
    else if (event.ctrlKey || event.metaKey) onSelect(toggle(selection, key));
    else {
      onSelect(only(key));
      if (phone) onOpen(key);
    }
  };
  const at = selection.at && list.slice(first, last).some((x) => x.info_hash === selection.at) ? idOf(selection.at) : undefined;
  return html`<div class=${`grid ${phone ? "tall" : ""}`} id="list" ref=${box} role="grid" tabindex="0" aria-label=${t("Torrents")} aria-multiselectable="true"
      aria-rowcount=${list.length + 1} aria-colcount=${phone ? 1 : columns.length} aria-activedescendant=${at} aria-busy=${String(!loaded)}>
    ${!phone && html`<${Head} columns=${columns} template=${template} sort=${sort} onSort=${onSort} />`}
    ${list.length === 0 && loaded && html`<div role="row" class="nothing"><span role="gridcell">${t("No torrent matches.")}</span></div>`}
    <div role="rowgroup" class="rows" style=${{ height: `${list.length * row}px` }}>
      ${list.slice(first, last).map((x, i) => {
        const n = first + i;
        const selected = selection.keys.has(x.info_hash);
        return html`<div key=${x.info_hash} id=${idOf(x.info_hash)} role="row" aria-rowindex=${n + 2} aria-selected=${String(selected)}
            class=${`row ${x.state} ${selection.at === x.info_hash ? "at" : ""}`} style=${{ transform: `translateY(${n * row}px)`, gridTemplateColumns: phone ? undefined : template }}
            onClick=${(e) => click(e, x)} onDblClick=${() => onOpen(x.info_hash)}>
          ${phone ? html`<${Brief} x=${x} />` : html`<${Cells} x=${x} columns=${columns} />`}</div>`;
      })}
    </div></div>`;
}

function Head({ columns, template, sort, onSort }) {
  const click = (c) => onSort(sort.by === c.id ? { by: c.id, down: !sort.down } : { by: c.id, down: c.number ?? false });
  return html`<div role="rowgroup" class="head"><div role="row" aria-rowindex="1" style=${{ gridTemplateColumns: template }}>
    ${columns.map((c) => html`<div key=${c.id} role="columnheader" class=${c.number ? "n" : ""} aria-sort=${sort.by === c.id ? (sort.down ? "descending" : "ascending") : "none"}>
      <button type="button" tabindex="-1" onClick=${() => click(c)}>${t(c.title)}${sort.by === c.id && html`<${Icon} name=${sort.down ? "down" : "up"} />`}</button></div>`)}
  </div></div>`;
}

// Cells are the cells of a row. They are rendered again only if the torrent has changed.
function Cells({ x, columns }) {
  const had = useRef({});
  if (had.current.x === x && had.current.columns === columns.length) return had.current.cells;
  const cells = columns.map((c) => html`<div key=${c.id} role="gridcell" class=${`${c.id}${c.number ? " n" : ""}`}>${c.cell(x)}</div>`);
  had.current = { x, columns: columns.length, cells };
  return cells;
}

function Brief({ x }) {
  const share = x.total_length > 0 && x.done >= x.total_length ? 1 : x.progress;
  return html`<div role="gridcell"><span class="name">${x.name}</span>
    <span class=${`bar ${x.state}`}><span style=${{ transform: `scaleX(${share})` }}></span></span>
    <span class="brief">${briefOf(x)}</span></div>`;
}

function useWidth(box) {
  const [width, setWidth] = useState(1000);
  useLayoutEffect(() => {
    const sizes = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 1000));
    sizes.observe(box.current);
    return () => sizes.disconnect();
  }, []);
  return width;
}
