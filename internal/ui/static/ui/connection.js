// Says that the daemon cannot be reached.
import { html, useEffect, useState } from "../lib/preact.js";
import { useValue } from "../lib/value.js";
import { t } from "../lib/words.js";
import { Icon } from "./icon.js";

/** The time that an interruption lasts before the page speaks of it, in milliseconds. */
const patience = 1500;

/** Connection is a line below the head while the daemon does not answer. */
export function Connection({ app }) {
  const reached = useValue(app.reached);
  const stream = useValue(app.live.stream.state);
  const phase = useValue(app.session.state, (s) => s.phase);
  const broken = !reached || (phase === "in" && stream === "lost");
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!broken) return setShown(false);
    const timer = setTimeout(() => setShown(true), patience);
    return () => clearTimeout(timer);
  }, [broken]);
  return html`<div class="connection" role="status">${shown && html`
    <p><${Icon} name="unplugged" /> <span>${t("The daemon does not answer. Trying again…")}</span>
    ${phase === "in" && html`<button class="textual" onClick=${() => app.live.stream.retry()}>${t("Try now")}</button>`}</p>`}</div>`;
}
