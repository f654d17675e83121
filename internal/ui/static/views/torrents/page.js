// The page of the torrents: filters, toolbar, list, and the details of one torrent beside it.
import { html, useEffect, useMemo, useRef, useState } from "../../lib/preact.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { Empty } from "../../ui/parts.js";
import { useMedia } from "../../ui/virtual.js";
import { showAdd } from "../add/open.js";
import { Details } from "./details/details.js";
import { countGroups, Rows } from "./filter.js";
import { Filters } from "./filters.js";
import { listKeys } from "./listkeys.js";
import { List } from "./list.js";
import { keep, none, only } from "./selection.js";
import { load, save } from "./settings.js";
import { Toolbar } from "./toolbar.js";
import { useSteady } from "./steady.js";

/** Page shows the torrents. The first part of the address is the torrent whose details are shown. */
export default function Page({ app, parts }) {
  const [ref = "", tab = "overview"] = parts;
  const version = useSteady(app.live.torrents);
  const entries = app.live.torrents.entries;
  const [filter, setFilter] = useState({ text: "", group: "all", label: null });
  const [sort, setSort] = useState(() => load("sort", { by: "added", down: true }));
  const [selection, setSelection] = useState(ref ? only(ref) : none);
  const rows = useRef(new Rows()).current;
  const list = useMemo(() => rows.refresh(entries, filter, sort), [version, filter, sort]);
  const counts = useMemo(() => countGroups(entries.values()), [version]);
  useEffect(() => setSelection((now) => keep(now, entries)), [version]);
  useEffect(() => save("sort", sort), [sort]);
  const wide = useMedia("(min-width: 75rem)");
  const open = (key) => app.router.go("torrents", ...(key ? [key] : []));
  const chosen = () => [...selection.keys].map((key) => entries.get(key)).filter(Boolean);

  // Beside the list, the details follow the current row.
  useEffect(() => {
    if (wide && ref && selection.at && selection.at !== ref) app.router.go("torrents", selection.at, ...parts.slice(1));
  }, [selection.at]);
  useEffect(() => {
    if (ref && selection.at !== ref) setSelection(only(ref));
  }, [ref]);

  const latest = useRef();
  latest.current = { app, list, selection, setSelection, chosen, open, opened: ref };
  useEffect(() => app.keys.add(listKeys(latest)), []);

  const detailed = ref !== "" && (entries.has(ref) || !app.live.torrents.loaded);
  const empty = entries.size === 0 && app.live.torrents.loaded;
  const alone = detailed && !wide;
  return html`<div class=${`torrents ${detailed ? "detailed" : ""}`}>
    <h1 class="vh">${t("Torrents")}</h1>
    ${!alone && html`<${Filters} counts=${counts} filter=${filter} onChange=${setFilter} />
    <section class="main" aria-label=${t("Torrents")}>
      <${Toolbar} app=${app} filter=${filter} onFilter=${setFilter} chosen=${chosen} selected=${selection.keys.size} counts=${counts} sort=${sort} onSort=${setSort} />
      ${empty ? html`<${Empty} title=${t("No torrents yet")}>
          <p>${t("Drop a .torrent file or a magnet link anywhere on this page, or paste a link.")}</p>
          ${app.may("torrents") && html`<button class="button main" onClick=${() => showAdd(app)}>${t("Add a torrent")}</button>`}</${Empty}>`
        : html`<${List} list=${list} sort=${sort} onSort=${setSort} selection=${selection} onSelect=${setSelection} onOpen=${open} loaded=${app.live.torrents.loaded} />`}
    </section>`}
    ${detailed && html`<${Details} key=${ref} app=${app} info=${entries.get(ref)} hash=${ref} tab=${tab} alone=${alone} />`}
    ${ref !== "" && !detailed && !wide && html`<p class="vh" role="status">${t("This torrent was removed.")}</p>`}
  </div>`;
}
