// The details of one torrent.
import { html } from "../../../lib/preact.js";
import { t } from "../../../lib/words.js";
import { Button } from "../../../ui/parts.js";

/** Details shows one torrent in tabs. */
export function Details({ app, info }) {
  return html`<section class="details" aria-label=${t("Details")}><header><h2>${info?.name}</h2>
    <${Button} short icon="close" text=${t("Close")} onClick=${() => app.router.go("torrents")} /></header></section>`;
}
