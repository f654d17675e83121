// The limits of the whole daemon.
import { rate, readRate } from "../../lib/format.js";
import { html, useEffect, useId, useState } from "../../lib/preact.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";

/** Page shows and changes the limits. */
export default function Page({ app }) {
  const [limits, setLimits] = useState(null);
  const [form, setForm] = useState(null); // what the user is writing
  const uplink = useValue(app.live.status, (s) => s?.uplink);
  const load = () => app.act(async () => {
    const now = await app.api.get("/v1/limits");
    setLimits(now);
    setForm({ up: rate(now.up), down: rate(now.down) });
  });
  useEffect(() => { load(); }, []);
  if (!limits || !form) return html`<div class="page" aria-busy="true"></div>`;
  const may = app.may("admin");
  const [up, down] = [readRate(form.up), readRate(form.down)];
  const change = async (body, done) => {
    if (await app.act(() => app.api.patch("/v1/limits", body), { done })) await load();
  };
  const save = (event) => {
    event.preventDefault();
    if (up === null || down === null) return;
    // A limit that was not edited is not rounded to what is shown of it.
    const edited = { up: form.up === rate(limits.up) ? undefined : up, down: form.down === rate(limits.down) ? undefined : down };
    change(edited, t("The limits hold now."));
  };
  return html`<div class="page limits"><header><h1>${t("Limits")}</h1></header>
    <form class="card" onSubmit=${save} novalidate>
      <h2>${t("Rates of all torrents and releases together")}</h2>
      <div class="describe">
        <${Rate} label=${t("Upload")} value=${form.up} wrong=${up === null} disabled=${!may} onInput=${(text) => setForm({ ...form, up: text })} />
        <${Rate} label=${t("Download")} value=${form.down} wrong=${down === null} disabled=${!may} onInput=${(text) => setForm({ ...form, down: text })} />
      </div>
      <p class="say">${t("They hold at once and after a restart, until the settings of the daemon are changed.")} ${uplink?.limit > 0 && limits.up === 0 && t("Without a limit the daemon keeps below %s, which it learned from the line.", rate(uplink.limit))}</p>
      ${may && html`<p class="buttons">
        <button type="submit" class="button main" disabled=${up === null || down === null}>${t("Save")}</button>
        ${limits.changed && html`<button type="button" class="button quiet" onClick=${() => change({ reset: true }, t("The limits are those of the settings."))}>${t("Back to the settings")}</button>`}</p>`}
    </form>
    <section class="card"><h2>${t("Connections")}</h2>
      <dl class="facts tight"><div><dt>${t("Open now")}</dt><dd>${limits.connections}</dd></div><div><dt>${t("At most")}</dt><dd>${limits.max_connections}</dd></div></dl></section>
  </div>`;
}

function Rate({ label, value, wrong, disabled, onInput }) {
  const id = useId();
  return html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} value=${value} placeholder=${t("no limit")} disabled=${disabled} autocomplete="off" onInput=${(event) => onInput(event.target.value)} aria-invalid=${String(wrong)} aria-describedby=${`${id}-hint`} />
    <small id=${`${id}-hint`} class=${wrong ? "wrong" : ""}>${wrong ? t("Write a rate such as 500 kB/s.") : t("Such as 500 kB/s; empty for none")}</small></div>`;
}
