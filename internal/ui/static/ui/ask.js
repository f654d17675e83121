// Asks the user before something that cannot be undone.
import { html, useState } from "../lib/preact.js";
import { t } from "../lib/words.js";
import { Dialog } from "./dialog.js";

function Question({ title, text, yes, danger, option, close }) {
  const [checked, setChecked] = useState(false);
  return html`<${Dialog} title=${title} close=${close} onSubmit=${() => close({ option: checked })} foot=${html`
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      <button type="submit" class=${danger ? "button danger" : "button main"} autofocus>${yes}</button>`}>
    <p class="say">${text}</p>
    ${option && html`<label class="check"><input type="checkbox" checked=${checked} onChange=${(e) => setChecked(e.target.checked)} /> <span>${option}</span></label>`}
  </${Dialog}>`;
}

/**
 * ask asks a question and returns the answer: null for no, or an object whose member option says whether the box of
 * the option is checked.
 * @param {import("../lib/app.js").App} app
 * @param {{title: string, text: string, yes: string, danger?: boolean, option?: string}} question
 * @returns {Promise<?{option: boolean}>}
 */
export async function ask(app, question) {
  return (await app.dialogs.open(Question, question)) ?? null;
}
