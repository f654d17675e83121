// The page of the releases: the list, and one release beside it.
import { date, rate, size } from "../../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../../lib/preact.js";
import { publishingOf } from "../../lib/publish/publishing.js";
import { hrefOf } from "../../lib/route.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { Icon } from "../../ui/icon.js";
import { Empty } from "../../ui/parts.js";
import { showPublish } from "../../ui/publish/open.js";
import { Release } from "./release.js";
import { Uploads } from "./uploads.js";
import { finishedOf, sortReleases, stateOf, titleOf } from "./words.js";

/** The number of rows that are shown at first. */
const firstRows = 200;

/** Page shows the releases. The first part of the address is the release whose details are shown. */
export default function Page({ app, parts }) {
  const [ref = ""] = parts;
  const version = useValue(app.live.releases);
  const [text, setText] = useState("");
  const [rows, setRows] = useState(firstRows);
  const find = useRef();
  const list = useMemo(() => sortReleases(app.live.releases.entries.values(), text), [version, text]);
  useEffect(() => {
    if (app.may("read")) publishingOf(app).refresh().catch((err) => app.toasts.fail(err));
  }, []);
  const latest = useRef();
  latest.current = { list, ref };
  useEffect(() => app.keys.add(keysOf(app, find, latest)), []);
  const { loaded, entries } = app.live.releases;
  return html`<div class=${`releases ${ref ? "detailed" : ""}`}>
    <section class="list" aria-label=${t("Releases")}>
      <h1 class="vh">${t("Releases")}</h1>
      <div class="toolbar">
        <label class="find"><span class="vh">${t("Find releases")}</span><${Icon} name="search" /><input ref=${find} type="search" placeholder=${t("Find")} value=${text} onInput=${(e) => setText(e.target.value)} /></label>
        ${app.may("publish") && html`<button type="button" class="button main" onClick=${() => showPublish(app)}><${Icon} name="publish" /> ${t("Publish")}</button>`}
      </div>
      <${Uploads} app=${app} />
      ${loaded && entries.size === 0 ? html`<${Empty} icon="releases" title=${t("Nothing published yet")}>
          <p>${t("Drop a file or a folder on this page: it gets a page, a torrent and one link to hand out.")}</p></${Empty}>`
        : html`<ul class="cards">${list.slice(0, rows).map((r) => html`<${Row} key=${r.ref} release=${r} now=${r.ref === ref} />`)}</ul>`}
      ${loaded && entries.size > 0 && list.length === 0 && html`<p class="nothing">${t("No release has these words.")}</p>`}
      ${list.length > rows && html`<p class="nothing"><button type="button" class="button quiet" onClick=${() => setRows(rows * 4)}>${t("Show more")}</button></p>`}
    </section>
    ${ref && html`<${Release} key=${ref} app=${app} id=${ref} />`}
  </div>`;
}

function Row({ release, now }) {
  const { live = {} } = release;
  return html`<li><a class=${`release ${live.state ?? ""}`} href=${hrefOf("releases", release.ref)} aria-current=${now ? "true" : undefined}>
    <span class="title">${titleOf(release)}</span>
    <span class=${`state ${live.state ?? ""}`}>${stateOf(release)}</span>
    <span class="more"><span>${size(release.total_length)}</span><span>${date(release.published)}</span></span>
    <span class="more">
      <span title=${t("Others that have all of it, and this machine")}><${Icon} name="people" /><span class="vh">${t("Seeds")}</span> ${live.seeders ?? 0}</span>
      <span title=${t("Complete copies that others have got")}><${Icon} name="check" /><span class="vh">${t("Finished")}</span> ${finishedOf(release)}</span>
      ${live.up_rate > 0 && html`<span><${Icon} name="up" />${rate(live.up_rate)}</span>`}
    </span>
    ${live.error && html`<span class="wrong">${live.error}</span>`}
  </a></li>`;
}

// keysOf returns the keys of the page.
function keysOf(app, find, latest) {
  const group = t("Releases");
  const step = (by) => () => {
    const { list, ref } = latest.current;
    const at = list.findIndex((r) => r.ref === ref);
    const next = list[Math.max(0, Math.min(list.length - 1, at < 0 ? 0 : at + by))];
    if (next) app.router.go("releases", next.ref);
  };
  return [
    { key: "/", label: t("Find"), group, run: () => find.current?.focus() },
    { key: "p", label: t("Publish"), group, run: () => app.may("publish") && showPublish(app) },
    { key: "ArrowDown", label: t("Next release"), group, run: step(1) },
    { key: "ArrowUp", label: t("Previous release"), group, run: step(-1) },
    { key: "Escape", label: t("Close the details"), group, run: () => app.router.go("releases") },
  ];
}
