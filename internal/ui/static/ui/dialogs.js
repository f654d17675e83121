// Shows the open dialogs.
import { html } from "../lib/preact.js";
import { useValue } from "../lib/value.js";

/** DialogStack shows all open dialogs. The browser keeps the focus in the last one. */
export function DialogStack({ app }) {
  const list = useValue(app.dialogs.list);
  return list.map(({ id, component: Content, props, close }) => html`<${Content} key=${id} ...${props} close=${close} />`);
}
