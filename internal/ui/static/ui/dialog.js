// A dialog of the browser: it keeps the focus inside, closes with Escape and gives the focus back.
import { html, useEffect, useRef } from "../lib/preact.js";
import { t } from "../lib/words.js";
import { Icon } from "./icon.js";

let number = 0;

/**
 * Dialog is the frame of the content of a dialog. Its children are the body; foot has the buttons. onSubmit is called
 * when the user presses Enter or the button of type submit; without it the dialog has no form.
 * @param {{title: string, close: (result?: any) => void, children: any, foot?: any, wide?: boolean, onSubmit?: () => void}} props
 */
export function Dialog({ title, close, children, foot, wide = false, onSubmit }) {
  const dialog = useRef();
  const id = useRef(`dialog-${++number}`).current;
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const submit = (event) => {
    event.preventDefault();
    onSubmit();
  };
  const cancel = (event) => {
    event.preventDefault();
    close();
  };
  const inside = html`
    <header><h2 id=${id}>${title}</h2>
      <button type="button" class="plain" onClick=${() => close()} aria-label=${t("Close")}><${Icon} name="close" /></button></header>
    <div class="body">${children}</div>
    ${foot && html`<footer>${foot}</footer>`}`;
  return html`<dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${cancel}>
    ${onSubmit ? html`<form onSubmit=${submit} novalidate>${inside}</form>` : html`<div class="form">${inside}</div>`}
  </dialog>`;
}
