// The peers of a torrent, live.
import { percent, rate, size } from "../../../lib/format.js";
import { html, useState } from "../../../lib/preact.js";
import { useQuery } from "../../../lib/query.js";
import { t } from "../../../lib/words.js";

const columns = [
  { id: "addr", title: "Address", of: (p) => p.addr },
  { id: "client", title: "Client", of: (p) => p.client },
  { id: "have", title: "Has", number: true, of: (p) => p.have, show: (p) => percent(p.have) },
  { id: "down_rate", title: "Down", number: true, of: (p) => p.down_rate, show: (p) => rate(p.down_rate) },
  { id: "up_rate", title: "Up", number: true, of: (p) => p.up_rate, show: (p) => rate(p.up_rate) },
  { id: "downloaded", title: "Received", number: true, of: (p) => p.downloaded, show: (p) => (p.downloaded > 0 ? size(p.downloaded) : "") },
  { id: "uploaded", title: "Sent", number: true, of: (p) => p.uploaded, show: (p) => (p.uploaded > 0 ? size(p.uploaded) : "") },
  { id: "transport", title: "Over", of: (p) => p.transport, show: (p) => `${names[p.transport] ?? p.transport}${p.incoming ? " ←" : ""}` },
];
const names = { tcp: "TCP", utp: "uTP", webrtc: "WebRTC", http: "HTTP" };

/** sorted returns the peers in the order of a column. @param {any[]} peers @param {{by: string, down: boolean}} sort */
export function sorted(peers, { by, down }) {
  const { of } = columns.find((c) => c.id === by);
  return peers.toSorted((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : a.addr < b.addr ? -1 : 1) * (down ? -1 : 1));
}

/** Peers is a table of the connections. */
export function Peers({ app, path }) {
  const [peers] = useQuery(app, `${path}/peers`, 2000);
  const [sort, setSort] = useState({ by: "down_rate", down: true });
  if (!peers) return html`<p class="say" aria-busy="true"></p>`;
  if (peers.length === 0) return html`<p class="say">${t("No peer is connected.")}</p>`;
  const choose = (c) => setSort(sort.by === c.id ? { by: c.id, down: !sort.down } : { by: c.id, down: Boolean(c.number) });
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("Peers")}><table class="table"><thead><tr>${columns.map((c) => html`<th key=${c.id} scope="col" class=${c.number ? "n" : ""} aria-sort=${sort.by === c.id ? (sort.down ? "descending" : "ascending") : undefined}>
      <button type="button" class="sortby" onClick=${() => choose(c)}>${t(c.title)}</button></th>`)}</tr></thead>
    <tbody>${sorted(peers, sort).map((p, i) => html`<tr key=${p.addr || i}>${columns.map((c) => html`<td key=${c.id} class=${c.number ? "n" : c.id}>${c.show ? c.show(p) : c.of(p) || t("unknown")}</td>`)}</tr>`)}</tbody></table></div>`;
}
