// The overview of a torrent: rates, pieces and what it is.
import { ago, date, duration, ratio, size } from "../../../lib/format.js";
import { html } from "../../../lib/preact.js";
import { useQuery } from "../../../lib/query.js";
import { t } from "../../../lib/words.js";
import { CopyText } from "../../../ui/parts.js";
import { Chart } from "./chart.js";
import { PieceMap } from "./piecemap.js";

/** Overview shows the rates of the last hour, the pieces and the facts. */
export function Overview({ app, info, details, path }) {
  const [history] = useQuery(app, `${path}/history`, 10_000);
  const [pieces] = useQuery(app, `${path}/pieces`, 3000);
  return html`
    <section><h3>${t("The last hour")}</h3><${Chart} history=${history} /></section>
    <section><h3>${t("Pieces")}</h3><${PieceMap} pieces=${pieces} /></section>
    <section><h3>${t("About")}</h3><${Facts} app=${app} info=${info} details=${details} /></section>`;
}

function Facts({ app, info, details }) {
  const facts = [
    [t("Size"), info.total_length > 0 && size(info.total_length)],
    [t("Downloaded"), size(info.downloaded)],
    [t("Uploaded"), `${size(info.uploaded)}${info.uploaded > 0 ? ` (${ratio(info).toFixed(2)})` : ""}`],
    [t("Connected peers"), String(info.peers)],
    [t("Seeders and leechers"), info.seeders + info.leechers > 0 && `${info.seeders} / ${info.leechers}`],
    [t("Label"), info.label],
    [t("Feed"), info.feed],
    [t("Added"), info.added && `${date(info.added)} (${ago(info.added)})`],
    [t("Completed"), info.completed && date(info.completed)],
    [t("Seeded for"), info.seeded > 0 && duration(info.seeded)],
    [t("Pieces"), details?.pieces > 0 && t("%1s of %2s", details.pieces.toLocaleString(), size(details.piece_length))],
    [t("Created"), details && [date(details.creation_date), details.created_by].filter(Boolean).join(", ")],
    [t("Private"), info.private && t("yes: peers come from its trackers only")],
  ].filter(([, value]) => value);
  const long = [
    [t("Folder"), info.path ?? info.dir],
    [t("Info-hash v1"), details?.info_hash_v1 ?? (details?.info_hash_v2 ? "" : info.info_hash)],
    [t("Info-hash v2"), details?.info_hash_v2],
    [t("Magnet link"), magnetOf(info, details)],
  ].filter(([, value]) => value);
  return html`<dl class="facts">
    ${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
    ${details?.comment && html`<div class="whole"><dt>${t("Comment")}</dt><dd>${details.comment}</dd></div>`}
    ${long.map(([name, value]) => html`<div class="whole" key=${name}><dt>${name}</dt><dd><${CopyText} app=${app} text=${value} what=${name} /></dd></div>`)}
  </dl>`;
}

/** magnetOf returns the link that was added, or one with the hashes and trackers of the torrent. */
export function magnetOf(info, details) {
  if (info.magnet) return info.magnet;
  if (!details) return "";
  const topics = [details.info_hash_v1 && `xt=urn:btih:${details.info_hash_v1}`, details.info_hash_v2 && `xt=urn:btmh:1220${details.info_hash_v2}`].filter(Boolean);
  const trackers = info.private ? [] : details.trackers.map((tracker) => `tr=${encodeURIComponent(tracker.url)}`);
  return topics.length > 0 ? `magnet:?${[...topics, `dn=${encodeURIComponent(info.name)}`, ...trackers].join("&")}` : "";
}
