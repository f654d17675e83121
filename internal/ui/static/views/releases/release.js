// One release: its links, how it spreads, its health, and what can be done with it.
import { ago, date, duration, percent, rate, size } from "../../lib/format.js";
import { html, useEffect, useState } from "../../lib/preact.js";
import { pathOf } from "../../lib/api.js";
import { hrefOf } from "../../lib/route.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { Icon } from "../../ui/icon.js";
import { Findings } from "../../ui/findings.js";
import { Button, CopyText } from "../../ui/parts.js";
import { editNotes, withdraw } from "./actions.js";
import { finishedOf, stateOf, titleOf } from "./words.js";

/** How often the peers and the health are asked for, in milliseconds. */
const askEvery = 5000;

/** Release shows the release id. @param {{app: import("../../lib/app.js").App, id: string}} props */
export function Release({ app, id }) {
  const [details, setDetails] = useState(null);
  const [health, setHealth] = useState(null);
  const [peers, setPeers] = useState([]);
  const [error, setError] = useState("");
  const [round, setRound] = useState(0);
  const live = useValue(app.live.releases, () => app.live.releases.entries.get(id));
  const at = pathOf("v1", "releases").concat("/", encodeURIComponent(id));
  useEffect(() => {
    const abort = new AbortController();
    Promise.all([app.api.get(at, undefined, abort.signal), app.api.get(`${at}/health`, undefined, abort.signal), app.api.get(`${at}/peers`, undefined, abort.signal)])
      .then(([one, how, who]) => {
        setDetails(one);
        setHealth(how);
        setPeers(who);
        setError("");
      }, (err) => abort.signal.aborted || setError(err.message));
    const timer = setTimeout(() => setRound((n) => n + 1), askEvery);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [round, id]);
  const again = () => setRound((n) => n + 1);
  const release = details && { ...details, ...live, notes: details.notes, files: details.files };
  return html`<aside class="details release" aria-label=${release ? titleOf(release) : t("Release")} aria-busy=${String(!release && !error)}>
    <header><h1>${release ? titleOf(release) : id}</h1>
      <a class="plain" href=${hrefOf("releases")} aria-label=${t("Close")}><${Icon} name="close" /></a></header>
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    ${release && html`
      <${Acts} app=${app} release=${release} health=${health} again=${again} />
      <${Links} app=${app} release=${release} />
      <${Spread} release=${release} health=${health} />
      ${health && html`<section><h2>${t("Health")}</h2><${Findings} list=${health.findings} /></section>`}
      <${Peers} peers=${peers} />
      <${Family} app=${app} release=${release} />
      <${About} release=${release} />`}
  </aside>`;
}

function Acts({ app, release, health, again }) {
  if (!app.may("publish")) return null;
  const paused = release.live?.state === "paused";
  const pause = async () => {
    const done = await app.act(() => app.api.patch(pathOf("v1", "releases").concat("/", encodeURIComponent(release.ref)), { paused: !paused }));
    if (done) again();
  };
  return html`<p class="buttons">
    <${Button} icon=${paused ? "play" : "pause"} text=${paused ? t("Resume") : t("Pause")} onClick=${pause} />
    <${Button} icon="file" text=${t("Notes")} onClick=${() => editNotes(app, release).then(again)} />
    <${Button} icon="trash" text=${t("Withdraw")} onClick=${() => withdraw(app, release, health)} />
  </p>`;
}

function Links({ app, release }) {
  return html`<section class="links"><h2 class="vh">${t("Links")}</h2>
    <div class="handout"><${CopyText} app=${app} text=${release.page_url} what=${t("the link of the page")} /></div>
    <p class="buttons">
      <a class="button quiet" href=${release.page_url} target="_blank" rel="noopener"><${Icon} name="open" /> ${t("Page")}</a>
      <a class="button quiet" href=${release.torrent_url} download><${Icon} name="file" /> .torrent</a>
      <a class="button quiet" href=${release.magnet}><${Icon} name="link" /> ${t("Magnet link")}</a>
    </p></section>`;
}

function Spread({ release, health }) {
  const { live = {} } = release;
  const facts = [
    [t("State"), stateOf(release)],
    [t("Seeds"), live.seeders ?? 0],
    [t("Downloading now"), live.leechers ?? 0],
    [t("Finished"), finishedOf(release)],
    [t("Sent by this machine"), health ? t("%s × its size", health.copies.toLocaleString()) : ""],
    [t("Saved by others"), health ? size(health.saved) : ""],
    [t("First complete copy"), release.first_copy_seconds > 0 ? t("after %s", duration(release.first_copy_seconds)) : t("not yet")],
    [t("Upload rate"), rate(live.up_rate) || "0"],
  ];
  return html`<dl class="facts tight">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

// Peers shows who has how much of the release now. Copies are those that are whole.
function Peers({ peers }) {
  if (peers.length === 0) return null;
  const whole = peers.filter((p) => p.have >= 1).length;
  const sorted = peers.toSorted((a, b) => b.have - a.have || b.up_rate - a.up_rate).slice(0, 200);
  return html`<section><h2>${t("Connected peers")} <small>${t("%1d, %2d of them with all of it", peers.length, whole)}</small></h2>
    <div class="somepeers" tabindex="0" role="region" aria-label=${t("Connected peers")}><table class="table">
      <thead><tr><th scope="col">${t("Address")}</th><th scope="col">${t("Client")}</th><th scope="col" class="n">${t("Has")}</th><th scope="col" class="n">${t("Rate")}</th></tr></thead>
      <tbody>${sorted.map((p, i) => html`<tr key=${`${p.addr} ${i}`}><td><code>${p.addr}</code></td><td>${p.client}</td><td class="n">${percent(p.have)}</td><td class="n">${rate(p.up_rate)}</td></tr>`)}</tbody>
    </table></div></section>`;
}

// Family shows the other versions and variants of the page.
function Family({ app, release }) {
  const others = [...app.live.releases.entries.values()].filter((r) => r.slug === release.slug && r.ref !== release.ref);
  if (others.length === 0) return null;
  return html`<section><h2>${t("Other versions and variants")}</h2>
    <ul class="family">${others.map((r) => html`<li key=${r.ref}><a href=${hrefOf("releases", r.ref)}>${titleOf(r)}</a> <small>${date(r.published)}</small></li>`)}</ul></section>`;
}

function About({ release }) {
  const facts = [
    [t("Size"), `${size(release.total_length)}, ${t("%d file|%d files", release.num_files)}`],
    [t("Published"), `${date(release.published)} (${ago(release.published)})`],
    [t("Info-hash"), release.info_hash_v1 || release.info_hash_v2, "whole"],
    [t("Signed"), release.public_key ? t("yes") : t("no")],
    [t("Data"), release.path, "whole"],
  ].filter(([, value]) => value);
  return html`<section><h2>${t("About")}</h2><dl class="facts">${facts.map(([name, value, kind]) => html`<div key=${name} class=${kind}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></section>`;
}
