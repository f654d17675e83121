// The dialogs that are open, the last one on top.
import { Value } from "./value.js";

/** Dialogs opens dialogs, which ui/dialogs.js shows. */
export class Dialogs {
  /** @type {Value<{id: number, component: Function, props: any, close: (result?: any) => void}[]>} */
  list = new Value([]);
  #next = 1;

  /**
   * open shows a component as a dialog. The component gets props and close, and is the content of the dialog: see
   * Dialog in ui/dialog.js.
   * @param {Function} component
   * @param {any} [props]
   * @returns {Promise<any>} what close was called with; undefined if the user left the dialog
   */
  open(component, props = {}) {
    return new Promise((done) => {
      const id = this.#next++;
      const close = (result) => {
        this.list.update((now) => now.filter((dialog) => dialog.id !== id));
        done(result);
      };
      this.list.update((now) => [...now, { id, component, props, close }]);
    });
  }
}
