// Small parts that several views use.
import { html, useRef } from "../lib/preact.js";
import { percent } from "../lib/format.js";
import { t } from "../lib/words.js";
import { Icon } from "./icon.js";

/** Progress is a bar. kind is the state, which gives the colour. @param {{share: number, kind?: string, label: string}} props */
export function Progress({ share, kind = "", label }) {
  const whole = Math.max(0, Math.min(1, share));
  return html`<div class=${`bar ${kind}`} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor(whole * 100)} aria-valuetext=${percent(share)}>
    <span style=${{ transform: `scaleX(${whole})` }}></span></div>`;
}

/** Button is a button with an icon. The text is its label if it is not shown. @param {{icon: string, text: string, short?: boolean, kind?: string, disabled?: boolean, onClick: Function}} props */
export function Button({ icon, text, short = false, kind = "quiet", disabled = false, onClick, ...rest }) {
  return html`<button type="button" class=${short ? "plain" : `button ${kind}`} disabled=${disabled} onClick=${onClick} aria-label=${short ? text : undefined} title=${short ? text : undefined} ...${rest}>
    <${Icon} name=${icon} />${!short && html`<span>${text}</span>`}</button>`;
}

/** Empty is shown in place of an empty list. @param {{title: string, icon?: string, children?: any}} props */
export function Empty({ title, icon = "torrents", children }) {
  return html`<div class="empty"><${Icon} name=${icon} /><h2>${title}</h2>${children}</div>`;
}

/**
 * Tabs are links between the parts of a view; arrow keys move among them.
 * @param {{label: string, tabs: {id: string, title: string, count?: number}[], now: string, onChoose: (id: string) => void, controls: string}} props
 */
export function Tabs({ label, tabs, now, onChoose, controls }) {
  const list = useRef();
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const at = (tabs.findIndex((tab) => tab.id === now) + step + tabs.length) % tabs.length;
    onChoose(tabs[at].id);
    list.current.children[at].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>${tabs.map((tab) => html`
    <button key=${tab.id} type="button" role="tab" id=${`tab-${tab.id}`} aria-selected=${String(tab.id === now)} aria-controls=${controls} tabindex=${tab.id === now ? 0 : -1} onClick=${() => onChoose(tab.id)}>
      ${tab.title}${tab.count > 0 && html` <small>${tab.count}</small>`}</button>`)}</div>`;
}

/** CopyText is a text with a button that copies it. @param {{app: import("../lib/app.js").App, text: string, what: string}} props */
export function CopyText({ app, text, what }) {
  const line = useRef();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      app.toasts.say(t("Copied."));
    } catch { // over plain HTTP browsers copy only the selection
      getSelection().selectAllChildren(line.current);
      app.toasts.say(document.execCommand("copy") ? t("Copied.") : t("Selected."));
    }
  };
  return html`<span class="copytext"><code ref=${line}>${text}</code><${Button} short icon="copy" text=${t("Copy %s", what)} onClick=${copy} /></span>`;
}
