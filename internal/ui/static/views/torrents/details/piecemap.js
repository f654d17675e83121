// The map of the pieces.
import { html, useEffect, useRef, useState } from "../../../lib/preact.js";
import { t } from "../../../lib/words.js";
import { cellsOf, counts } from "./pieces.js";

const cell = 9; // pixels, with the gap
const mostRows = 12;

/** PieceMap draws a cell for each piece, or for several pieces of a large torrent. */
export function PieceMap({ pieces }) {
  const canvas = useRef();
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!canvas.current) return undefined;
    const sizes = new ResizeObserver(() => setWidth(canvas.current?.parentElement.clientWidth ?? 0));
    sizes.observe(canvas.current.parentElement);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    const again = () => setWidth((w) => w + 0.001); // the colours have changed
    theme.addEventListener("change", again);
    return () => {
      sizes.disconnect();
      theme.removeEventListener("change", again);
    };
  }, [pieces === null || pieces.pieces === 0]);
  useEffect(() => {
    if (pieces && canvas.current && width > 0) draw(canvas.current, Math.floor(width), pieces);
  }, [pieces, width]);
  if (pieces === null) return html`<p class="say" aria-busy="true"></p>`;
  if (pieces.pieces === 0) return html`<p class="say">${t("The pieces are known when a peer has sent the torrent.")}</p>`;
  const n = counts(pieces);
  const words = t("%1d of %2d pieces are here", n.have, pieces.pieces);
  return html`<div class="pieces"><canvas ref=${canvas} role="img" aria-label=${words}></canvas></div>
    <p class="say small">${words}${n.open > 0 ? ` · ${t("%d in progress", n.open)}` : ""}</p>`;
}

function draw(canvas, width, pieces) {
  const columns = Math.max(1, Math.floor((width + 1) / cell));
  const cells = cellsOf(pieces, columns * mostRows);
  const scale = devicePixelRatio || 1;
  const rows = Math.max(1, Math.ceil(cells.length / columns));
  canvas.width = width * scale;
  canvas.height = rows * cell * scale;
  canvas.style.height = `${rows * cell}px`;
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const colours = { line: colour("--line"), main: colour("--main"), open: colour("--leech"), soft: colour("--soft") };
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  cells.forEach(({ have, open, skipped }, i) => {
    const x = (i % columns) * cell;
    const y = Math.floor(i / columns) * cell;
    const fill = (what, alpha) => {
      c.globalAlpha = alpha;
      c.fillStyle = what;
      c.fillRect(x, y, cell - 1, cell - 1);
    };
    if (skipped >= 1) return fill(colours.line, 0.45);
    fill(colours.line, 1);
    if (have > 0) fill(colours.main, 0.25 + 0.75 * have);
    if (open > 0) fill(colours.open, 1);
    return undefined;
  });
}
