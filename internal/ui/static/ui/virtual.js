// Long lists: only the rows in sight are elements.
import { useCallback, useLayoutEffect, useRef, useState } from "../lib/preact.js";

/**
 * windowOf returns which rows are elements: those in sight and a few more on both sides.
 * @param {{top: number, height: number, row: number, count: number, more?: number}} view lengths in pixels
 * @returns {{first: number, last: number}} last is exclusive
 */
export function windowOf({ top, height, row, count, more = 6 }) {
  const first = Math.max(0, Math.floor(top / row) - more);
  return { first: Math.min(first, count), last: Math.min(count, Math.ceil((top + height) / row) + more) };
}

/**
 * useVirtual follows an element that scrolls, and returns its reference, the rows to show and a function that
 * scrolls a row into sight.
 * @param {number} count number of rows
 * @param {number} row   height of a row in pixels
 * @param {number} [head] height of what sticks to the upper edge
 */
export function useVirtual(count, row, head = 0) {
  const box = useRef(null);
  const shown = useRef(false);
  const [at, setAt] = useState({ first: 0, last: 0 });
  const measure = useCallback(() => {
    const e = box.current;
    if (!e) return;
    const next = windowOf({ top: e.scrollTop, height: e.clientHeight, row, count });
    setAt((now) => (now.first === next.first && now.last === next.last ? now : next));
  }, [count, row]);
  useLayoutEffect(() => {
    const e = box.current;
    let asked = 0;
    const soon = () => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        measure();
      });
    };
    if (shown.current) measure();
    else soon(); // the rows of a new list come with the next frame, so that no task is long
    shown.current = true;
    e.addEventListener("scroll", soon, { passive: true });
    const sizes = new ResizeObserver(soon);
    sizes.observe(e);
    return () => {
      e.removeEventListener("scroll", soon);
      sizes.disconnect();
      cancelAnimationFrame(asked);
    };
  }, [measure]);
  const show = useCallback((index) => {
    const e = box.current;
    if (!e) return;
    if (index * row < e.scrollTop) e.scrollTop = index * row;
    else if ((index + 1) * row + head > e.scrollTop + e.clientHeight) e.scrollTop = (index + 1) * row + head - e.clientHeight;
  }, [row, head]);
  return { box, first: Math.min(at.first, count), last: Math.min(at.last, count), show };
}

/** useMedia returns whether a media query holds, and renders again when that changes. @param {string} query */
export function useMedia(query) {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useLayoutEffect(() => {
    const list = matchMedia(query);
    const change = () => setHolds(list.matches);
    change();
    list.addEventListener("change", change);
    return () => list.removeEventListener("change", change);
  }, [query]);
  return holds;
}
