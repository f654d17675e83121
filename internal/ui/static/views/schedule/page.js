// The limits by time: what applies now, the windows, and the monthly volume.
import { ago, date, percent, rate, size } from "../../lib/format.js";
import { html, useEffect, useState } from "../../lib/preact.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { ask } from "../../ui/ask.js";
import { Icon } from "../../ui/icon.js";
import { Button, Progress } from "../../ui/parts.js";
import { WindowDialog } from "./dialog.js";
import { Once } from "./once.js";
import { replaced, same, whatOf, whenOf } from "./windows.js";

/** Page shows the schedule. */
export default function Page({ app }) {
  const [schedule, setSchedule] = useState(null);
  const volume = useValue(app.live.status, (s) => s?.volume);
  const applies = useValue(app.live.status, (s) => JSON.stringify(s?.schedule ?? null)); // it changes with the time, and by others
  useEffect(() => {
    app.act(async () => setSchedule(await app.api.get("/v1/schedule")));
  }, [applies]);
  // Another client can have changed the windows, so that they are loaded before one of them is replaced.
  const put = async (old, next) => {
    const { windows } = await app.api.get("/v1/schedule");
    setSchedule(await app.api.put("/v1/schedule", { windows: replaced(windows, old, next) }));
  };
  const may = app.may("admin");
  const edit = (window) => app.dialogs.open(WindowDialog, { app, window, zone: schedule?.zone, save: (next) => put(window, next) });
  const remove = async (window) => {
    const yes = await ask(app, { title: t("Remove the window?"), text: `${whenOf(window)}: ${whatOf(window)}`, yes: t("Remove"), danger: true });
    if (yes) await app.act(() => put(window, null), { done: t("The window is removed.") });
  };
  useEffect(() => (may && schedule ? app.keys.add([{ key: "n", label: t("Add a window"), group: t("Schedule"), run: () => edit() }]) : undefined), [may, schedule]);
  if (!schedule) return html`<div class="page" aria-busy="true"></div>`;
  return html`<div class="page schedule"><header><h1>${t("Schedule")}</h1></header>
    <${Now} now=${schedule.now} volume=${volume} />
    ${may && html`<${Once} app=${app} put=${put} />`}
    <section class="card"><header><h2>${t("Windows")}</h2>${may && html`<${Button} icon="plus" text=${t("Add a window")} onClick=${() => edit()} />`}</header>
      <${Windows} schedule=${schedule} may=${may} edit=${edit} remove=${remove} />
      <p class="say">${t("The times of the week are those of the daemon's clock (%s). Every limit that applies holds, so that the lowest counts.", schedule.zone)}</p></section>
    <${Volume} volume=${volume} />
  </div>`;
}

function Now({ now, volume }) {
  const labels = Object.entries(now.labels ?? {});
  const all = whatOf(now);
  const monthly = volume && whatOf(volume.limits);
  const change = now.until && date(now.until);
  return html`<section class="card" aria-live="polite"><h2>${t("Now")}</h2>
    ${!all && labels.length === 0 && !monthly ? html`<p>${t("No limit by time applies.")}</p>` : html`<ul class="findings">
      ${all && html`<li class="warn"><${Icon} name=${now.pause ? "pause" : "gauge"} /><div>${t("The whole daemon: %s", all)}</div></li>`}
      ${labels.map(([label, limits]) => html`<li class="warn" key=${label}><${Icon} name="label" /><div>${t("Torrents with the label %1s: %2s", label, whatOf(limits))}</div></li>`)}
      ${monthly && html`<li class="fail"><${Icon} name="alert" /><div>${t("The monthly volume is used up: %s", monthly)}</div></li>`}</ul>`}
    ${change && html`<p class="say">${now.active?.length > 0 ? t("Until %1s (%2s)", change, ago(now.until)) : t("The next window begins %1s (%2s)", change, ago(now.until))}</p>`}</section>`;
}

function Windows({ schedule, may, edit, remove }) {
  const row = (window, own, i) => {
    const active = schedule.now.active?.some((w) => same(w, window));
    return html`<li key=${`${own} ${i}`} class=${active ? "active" : ""}>
      <div><p><strong>${whenOf(window)}</strong></p><p class="limit">${whatOf(window)}</p>
        <p class="more"><span>${window.label ? t("Label %s", window.label) : t("Whole daemon")}</span>
          ${active && html`<span class="on">${t("Applies now")}</span>`}
          ${!own && html`<span>${t("From the settings, where it can be changed")}</span>`}</p></div>
      ${may && own && html`<div class="acts">${!window.until && html`<${Button} short icon="set" text=${t("Change %s", whenOf(window))} onClick=${() => edit(window)} />`}
        <${Button} short icon="trash" text=${t("Remove %s", whenOf(window))} onClick=${() => remove(window)} /></div>`}</li>`;
  };
  if (schedule.settings.length + schedule.windows.length === 0) return html`<p>${t("There are no windows.")}</p>`;
  return html`<ul class="windows">${schedule.windows.map((w, i) => row(w, true, i))}${schedule.settings.map((w, i) => row(w, false, i))}</ul>`;
}

function Volume({ volume }) {
  if (!volume) {
    return html`<section class="card"><h2>${t("Monthly volume")}</h2><p class="say">${t("There is none. The setting monthly-volume of the daemon bounds what is carried in a month.")}</p></section>`;
  }
  const share = volume.counted / volume.bytes;
  const counts = { up: t("What is sent counts."), down: t("What is received counts.") }[volume.counts] ?? t("What is sent and received counts.");
  const facts = [[t("Sent"), size(volume.up)], [t("Received"), size(volume.down)], [t("Month began"), date(volume.begin)], [t("Next month begins"), date(volume.end)]];
  return html`<section class="card"><h2>${t("Monthly volume")} <small>${t("%1s of %2s, %3s", size(volume.counted), size(volume.bytes), percent(share))}</small></h2>
    <${Progress} share=${share} kind=${share >= 1 ? "failed" : share >= 0.8 ? "stalled" : ""} label=${t("Used of the monthly volume")} />
    <dl class="facts tight">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <p class="say">${counts} ${volume.floor > 0 ? t("When it is used up, the rate is %s until the next month.", rate(volume.floor)) : t("When it is used up, everything pauses until the next month.")}</p></section>`;
}
