// The health of the daemon: what its checks found, and what to do.
import { ago } from "../../lib/format.js";
import { html, useEffect, useState } from "../../lib/preact.js";
import { hrefOf } from "../../lib/route.js";
import { useValue } from "../../lib/value.js";
import { t } from "../../lib/words.js";
import { Findings } from "../../ui/findings.js";
import { Button } from "../../ui/parts.js";
import { titleOf } from "../releases/words.js";

/** Page shows the health. */
export default function Page({ app }) {
  const status = useValue(app.live.status);
  const version = useValue(app.live.releases);
  const [report, setReport] = useState(null);
  const [running, setRunning] = useState(false);
  const check = async () => {
    setRunning(true);
    await app.act(async () => setReport(await app.api.post("/v1/check")));
    setRunning(false);
  };
  useEffect(() => {
    if (status && !status.checks && !report && !running) check(); // the first hourly check has not run yet
  }, [Boolean(status)]);
  const shown = report ?? status?.checks;
  const failed = [...app.live.releases.entries.values()].filter((r) => r.live?.state === "failed");
  const folders = (status?.folders ?? []).filter((f) => f.error || f.refused?.length > 0);
  return html`<div class="page health">
    <header><h1>${t("Health")}</h1>
      <${Button} icon="recheck" text=${running ? t("Checking …") : t("Check now")} disabled=${running} onClick=${check} /></header>
    <section class="card" aria-busy=${String(!shown)}><h2>${t("This machine and its network")} ${shown && html`<small>${t("checked %s", ago(shown.checked))}</small>`}</h2>
      ${shown && html`<${Findings} list=${shown.findings} />`}
      <p class="say">${t("The daemon checks this every hour. It asks no other server.")}</p></section>
    <section class="card" data-version=${version}><h2>${t("Releases")}</h2>
      ${failed.length === 0 ? html`<p class="say">${t("All releases that are not paused are seeded.")}</p>` : html`<ul class="findings">${failed.map((r) => html`<li key=${r.ref} class="fail">
        <div><p><a href=${hrefOf("releases", r.ref)}>${titleOf(r)}</a></p><p class="advice">${r.live.error}</p></div></li>`)}</ul>`}</section>
    ${folders.length > 0 && html`<section class="card"><h2>${t("Watched folders")}</h2><ul class="findings">${folders.map((f) => html`<li key=${f.path} class="warn">
      <div><p><code>${f.path}</code> ${f.error}</p>${(f.refused ?? []).map((r) => html`<p class="advice" key=${r.name}>${r.name}: ${r.error}</p>`)}</div></li>`)}</ul></section>`}
  </div>`;
}
