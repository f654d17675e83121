// A field of a form with its label and a hint.
import { html, useId } from "../lib/preact.js";

/** Field is a line of text. wrong says that the hint is an error. @param {{label: string, value: string, onInput: (text: string) => void, hint?: string, wrong?: boolean}} props */
export function Field({ label, value, onInput, hint = "", wrong = false, ...rest }) {
  const id = useId();
  return html`<div class="field"><label for=${id}>${label}</label>
    <input id=${id} value=${value} autocomplete="off" onInput=${(event) => onInput(event.target.value)} aria-invalid=${wrong ? "true" : undefined} aria-describedby=${hint ? `${id}-hint` : undefined} ...${rest} />
    ${hint && html`<small id=${`${id}-hint`} class=${wrong ? "wrong" : ""}>${hint}</small>`}</div>`;
}

/** Choice is a choice of one of several values. @param {{label: string, value: string, choices: [string, string][], onChange: (value: string) => void}} props values with their words */
export function Choice({ label, value, choices, onChange, ...rest }) {
  const id = useId();
  return html`<div class="field"><label for=${id}>${label}</label>
    <select id=${id} onChange=${(event) => onChange(event.target.value)} ...${rest}>${choices.map(([one, words]) => html`<option key=${one} value=${one} selected=${one === value}>${words}</option>`)}</select></div>`;
}

/** Check is a box to tick. @param {{label: string, checked: boolean, onChange: (checked: boolean) => void}} props */
export function Check({ label, checked, onChange, ...rest }) {
  return html`<label class="check"><input type="checkbox" checked=${checked} onChange=${(event) => onChange(event.target.checked)} ...${rest} /> <span>${label}</span></label>`;
}
