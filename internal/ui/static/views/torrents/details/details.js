// The details of one torrent, in tabs.
import { pathOf } from "../../../lib/api.js";
import { duration, percent, rate, size, timeLeft } from "../../../lib/format.js";
import { html } from "../../../lib/preact.js";
import { useQuery } from "../../../lib/query.js";
import { t } from "../../../lib/words.js";
import { Button, Progress, Tabs } from "../../../ui/parts.js";
import * as actions from "../actions.js";
import { stateName } from "../states.js";
import { Files } from "./files.js";
import { Options } from "./options.js";
import { Overview } from "./overview.js";
import { Peers } from "./peers.js";
import { Trackers } from "./trackers.js";

const parts = { overview: Overview, files: Files, peers: Peers, trackers: Trackers, options: Options };

/** Details shows a torrent. info is its entry in the list; alone says that the list is not beside it. */
export function Details({ app, info, hash, tab, alone }) {
  const path = pathOf("v1", "torrents", hash);
  const [details, again] = useQuery(app, path, 3000);
  if (!info) return html`<section class="details" aria-busy="true"></section>`;
  const Part = parts[tab] ?? Overview;
  const now = parts[tab] ? tab : "overview";
  const choose = (id) => app.router.go("torrents", hash, id);
  const tabs = [
    { id: "overview", title: t("Overview") }, { id: "files", title: t("Files"), count: info.num_files }, { id: "peers", title: t("Peers"), count: info.peers },
    { id: "trackers", title: t("Trackers"), count: details?.trackers.length }, { id: "options", title: t("Settings") },
  ];
  return html`<section class="details" aria-label=${t("Details of %s", info.name)}>
    <header><h2>${info.name}</h2><${Button} short icon="close" text=${alone ? t("Back to the list") : t("Close the details")} onClick=${() => app.router.go("torrents")} /></header>
    <${Head} app=${app} info=${info} />
    <${Tabs} label=${t("Details")} tabs=${tabs} now=${now} onChoose=${choose} controls="detail" />
    <div class=${`part part-${now}`} id="detail" role="tabpanel" aria-labelledby=${`tab-${now}`}>
      <${Part} app=${app} info=${info} details=${details} path=${path} again=${again} /></div>
  </section>`;
}

// Head has the progress in words and what can be done.
function Head({ app, info }) {
  const share = info.total_length > 0 && info.done >= info.total_length && info.state !== "checking" ? 1 : info.progress;
  const words = [percent(share), info.total_length > 0 ? t("%1s of %2s", size(info.done), size(info.total_length)) : ""];
  if (info.down_rate > 0) words.push(`↓ ${rate(info.down_rate)}`);
  if (info.up_rate > 0) words.push(`↑ ${rate(info.up_rate)}`);
  if (info.down_rate > 0 && share < 1) words.push(t("%s left", duration(timeLeft(info))));
  const one = [info];
  return html`<div class="summary">
    <p><span class=${`state ${info.state}`}>${stateName(info.state)}</span> <span class="words">${words.filter(Boolean).join(" · ")}</span></p>
    <${Progress} share=${share} kind=${info.state} label=${t("Progress")} />
    ${info.held && html`<p class="say">${info.held === "volume" ? t("The monthly volume is used up.") : t("Paused by the schedule")}</p>`}
    ${(info.error || info.stall_reason) && html`<p class=${info.error ? "wrong" : "say"}>${info.error ?? info.stall_reason}</p>`}
    ${app.may("torrents") && html`<div class="buttons">
      ${info.paused || info.state === "failed" || info.state === "finished" ? html`<${Button} icon="play" text=${t("Resume")} onClick=${() => actions.resume(app, one)} />`
        : html`<${Button} icon="pause" text=${t("Pause")} onClick=${() => actions.pause(app, one)} />`}
      <${Button} short icon="recheck" text=${t("Check the data again")} onClick=${() => actions.recheck(app, one)} />
      <${Button} short icon="tracker" text=${t("Ask the trackers now")} onClick=${() => actions.reannounce(app, one)} />
      <${Button} short icon="trash" text=${t("Remove")} onClick=${async () => (await actions.remove(app, one)) && app.router.go("torrents")} />
    </div>`}
  </div>`;
}
