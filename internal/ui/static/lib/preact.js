// The front-end library in one place: Preact with hooks, and htm, which makes elements from tagged templates.
import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { Fragment, createContext, createRef, h, render } from "../vendor/preact.js";
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useReducer, useRef, useState } from "../vendor/preact-hooks.js";

/** html makes elements of Preact: html`<p class="say">${text}</p>`. Text is never parsed as HTML. */
export const html = htm.bind(h);
