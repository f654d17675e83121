// The trackers of a torrent with their last words.
import { ago } from "../../../lib/format.js";
import { html } from "../../../lib/preact.js";
import { t } from "../../../lib/words.js";

/** wordsOf says what a tracker answered last. @param {any} tracker */
export function wordsOf(tracker) {
  const parts = [];
  if (tracker.last_announce) parts.push(t("asked %s", ago(tracker.last_announce)));
  if (!tracker.error && tracker.last_announce && (tracker.seeders > 0 || tracker.leechers > 0)) parts.push(t("%1s seeders, %2s leechers", Math.max(0, tracker.seeders), Math.max(0, tracker.leechers)));
  if (tracker.next_announce && Date.parse(tracker.next_announce) > Date.now()) parts.push(t("again %s", ago(tracker.next_announce)));
  return parts.length > 0 ? parts.join(" · ") : t("not asked yet");
}

/** Trackers lists the trackers. */
export function Trackers({ info, details }) {
  if (!details) return html`<p class="say" aria-busy="true"></p>`;
  if (details.trackers.length === 0) return html`<p class="say">${info.paused || info.state === "queued" ? t("A torrent that does not run asks no tracker.") : t("The torrent names no tracker, or none was asked yet.")}</p>`;
  return html`<ul class="trackers">${details.trackers.map((tracker, i) => html`<li key=${i}>
    <code>${tracker.url}</code><p class="say">${wordsOf(tracker)}</p>
    ${tracker.error && html`<p class="wrong">${tracker.error}</p>`}${tracker.warning && html`<p class="warning">${tracker.warning}</p>`}</li>`)}</ul>`;
}
