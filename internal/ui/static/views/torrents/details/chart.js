// The chart of the rates in the last hour. uPlot is loaded when the first chart is shown.
import { rate, size } from "../../../lib/format.js";
import { html, useEffect, useRef, useState } from "../../../lib/preact.js";
import { language, t } from "../../../lib/words.js";

const height = 150;

/**
 * seriesOf returns what uPlot draws: times in seconds, and the rates of both directions.
 * @param {{step: number, until: string, down: number[], up: number[]}} history
 */
export function seriesOf({ step, until, down, up }) {
  const end = Date.parse(until) / 1000;
  return [down.map((_, i) => end - (down.length - i) * step), down, up];
}

/** Chart draws the history, and says its maximum in words. */
export function Chart({ history }) {
  const box = useRef();
  const plot = useRef(null);
  const [library, setLibrary] = useState(null);
  const empty = history !== null && history.down.length === 0;
  useEffect(() => {
    if (!empty) import("../../../vendor/uplot.js").then((module) => setLibrary(() => module.default));
  }, [empty]);
  useEffect(() => {
    if (!library || !history || empty) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new library(optionsOf(box.current), seriesOf(history), box.current);
    };
    draw();
    const sizes = new ResizeObserver(([entry]) => plot.current?.setSize({ width: Math.floor(entry.contentRect.width), height }));
    sizes.observe(box.current);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => {
      sizes.disconnect();
      theme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [library, empty, history === null]);
  useEffect(() => {
    if (history && plot.current) plot.current.setData(seriesOf(history));
  }, [history]);
  if (empty) return html`<p class="say">${t("Nothing was transferred in the last hour.")}</p>`;
  const most = history && { down: Math.max(...history.down), up: Math.max(...history.up) };
  return html`<div class="chart" ref=${box} role="img" aria-label=${most ? t("Rates of the last hour: at most %1s down and %2s up", rate(most.down) || "0", rate(most.up) || "0") : t("Rates of the last hour")}></div>
    <p class="legend"><span class="down">${t("Down")}</span> <span class="up">${t("Up")}</span></p>`;
}

function optionsOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--soft"), font, grid, ticks: { show: false } };
  const time = new Intl.DateTimeFormat(language().tag, { timeStyle: "short" });
  return {
    width: element.clientWidth, height, legend: { show: false }, cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { y: { range: (_, min, max) => [0, Math.max(max * 1.1, 1000)] } },
    axes: [{ ...axis, size: 30, space: 70, values: (_, ticks) => ticks.map((s) => time.format(s * 1000)) }, { ...axis, size: 68, space: 34, values: (_, ticks) => ticks.map((n) => (n === 0 ? "0" : size(n))) }],
    series: [{}, { stroke: colour("--main"), fill: `${colour("--main")}22`, width: 2, points: { show: false } }, { stroke: colour("--leech"), width: 1.5, points: { show: false } }],
  };
}
