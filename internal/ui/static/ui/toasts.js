// Shows the messages. Results are read out politely, errors at once.
import { html } from "../lib/preact.js";
import { useValue } from "../lib/value.js";
import { t } from "../lib/words.js";
import { Icon } from "./icon.js";

/** ToastList shows the messages of toasts. @param {{toasts: import("../lib/toasts.js").Toasts}} props */
export function ToastList({ toasts }) {
  const list = useValue(toasts.list);
  const show = (toast) => html`<div key=${toast.id} class=${`toast ${toast.kind}`}>
    <${Icon} name=${toast.kind === "fail" ? "alert" : "check"} />
    <p>${toast.text}${toast.hint && html`<br /><small>${toast.hint}</small>`}</p>
    <button class="plain" onClick=${() => toasts.close(toast.id)} aria-label=${t("Close")}><${Icon} name="close" /></button></div>`;
  return html`<div class="toasts">
    <div role="alert">${list.filter((toast) => toast.kind === "fail").map(show)}</div>
    <div role="status">${list.filter((toast) => toast.kind === "say").map(show)}</div></div>`;
}
