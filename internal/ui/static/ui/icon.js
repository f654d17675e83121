// The icons: strokes on a grid of 24.
import { html } from "../lib/preact.js";

const paths = {
  add: "M12 5v14M5 12h14",
  alert: "M12 4 2.5 20h19zM12 10v5M12 17.5v.5",
  bars: "M5 20V10M12 20V4M19 20v-7",
  check: "m5 12.5 4.5 4.5L19 7",
  chevron: "m9 6 6 6-6 6",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3 2",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  doctor: "M3 12h4l2-6 4 12 3-6h5",
  down: "M12 4v15M6 13l6 6 6-6",
  feed: "M5 19h.01M5 12a7 7 0 0 1 7 7M5 5a14 14 0 0 1 14 14",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  folder: "M3 6h6l2 2h10v11H3z",
  gauge: "M4 18a9 9 0 1 1 16 0M12 14l4-5",
  help: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 17v.1",
  label: "M3 12V4h8l10 10-7 7zM7.5 8.5h.01",
  leave: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  minus: "M5 12h14",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  pause: "M8 5v14M16 5v14",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  play: "M7 4.5v15l12-7.5z",
  plus: "M12 5v14M5 12h14",
  publish: "M12 16V4M6 10l6-6 6 6M4 16v4h16v-4",
  recheck: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  releases: "M12 3 3 8l9 5 9-5zM3 12.5l9 5 9-5M3 17l9 5 9-5",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 21 21",
  set: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4.5v5M8 14.5v5",
  torrents: "M12 4v11M7 10l5 5 5-5M4 19h16",
  tracker: "M12 12h.01M8.5 15.5a5 5 0 0 1 0-7M15.5 8.5a5 5 0 0 1 0 7M5.6 18.4a9 9 0 0 1 0-12.8M18.4 5.6a9 9 0 0 1 0 12.8",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  unplugged: "M3 3l18 18M9 5V3M15 7V3M7 8v3a5 5 0 0 0 7.5 4.300M17 12V8h-5M12 16v5",
  up: "M12 20V5M6 11l6-6 6 6",
};

/** Icon is an icon beside a text, or alone in a button that has a label. @param {{name: string}} props */
export function Icon({ name }) {
  return html`<svg class="i" viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d=${paths[name]} /></svg>`;
}

/** Waves is the mark of the program, as on the public site. */
export function Waves() {
  return html`<svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><g fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round">
    <path d="M4 9c4-4 8-4 12 0s8 4 12 0" /><path d="M4 17c4-4 8-4 12 0s8 4 12 0" opacity=".75" /><path d="M4 25c4-4 8-4 12 0s8 4 12 0" opacity=".45" /></g></svg>`;
}
