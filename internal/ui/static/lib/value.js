// Observable values: what the views show and what changes.
import { useLayoutEffect, useReducer, useRef } from "./preact.js";

/**
 * Value holds a value and tells its observers when it changes.
 * @template T
 */
export class Value {
  #now;
  #observers = new Set();

  /** @param {T} first */
  constructor(first) {
    this.#now = first;
  }

  /** @returns {T} */
  get() {
    return this.#now;
  }

  /** set changes the value. Observers are not called if it is the same. @param {T} next */
  set(next) {
    if (Object.is(next, this.#now)) return;
    this.#now = next;
    for (const observer of [...this.#observers]) observer(next);
  }

  /** update sets the value that change returns. @param {(now: T) => T} change */
  update(change) {
    this.set(change(this.#now));
  }

  /**
   * observe calls observer after each change until the returned function is called.
   * @param {(now: T) => void} observer
   * @returns {() => void}
   */
  observe(observer) {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }
}

/**
 * useValue returns a value, or the part that select returns, and renders the component again when that changes.
 * @template T, P
 * @param {{get: () => T, observe: (f: () => void) => () => void}} value
 * @param {(now: T) => P} [select]
 * @returns {P}
 */
export function useValue(value, select = (now) => now) {
  const [, again] = useReducer((n) => n + 1, 0);
  const shown = useRef();
  shown.current = select(value.get());
  const chosen = useRef(select);
  chosen.current = select;
  useLayoutEffect(() => {
    const check = () => {
      if (!Object.is(chosen.current(value.get()), shown.current)) again();
    };
    check(); // the value can have changed since the component was rendered
    return value.observe(check);
  }, [value]);
  return shown.current;
}
