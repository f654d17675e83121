// Data of one request, fetched again as long as it is shown.
import { useCallback, useEffect, useRef, useState } from "./preact.js";

/**
 * useQuery fetches a path again and again while the component and the page are shown. It returns the last data, or
 * null before the first answer, and a function that fetches at once.
 * @param {import("./app.js").App} app
 * @param {string} path
 * @param {number} every in milliseconds, counted from the answer
 * @returns {[any, () => void]}
 */
export function useQuery(app, path, every) {
  const [data, setData] = useState(null);
  const now = useRef(() => {});
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const fetchIt = async () => {
      clearTimeout(timer);
      if (!document.hidden) {
        try {
          const answer = await app.api.get(path, undefined, abort.signal);
          if (!abort.signal.aborted) setData(answer);
        } catch {
          // The list and the line below the head say what is wrong.
        }
      }
      if (!abort.signal.aborted) timer = setTimeout(fetchIt, every);
    };
    now.current = fetchIt;
    setData(null);
    fetchIt();
    const shown = () => document.hidden || fetchIt();
    document.addEventListener("visibilitychange", shown);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [app, path, every]);
  return [data, useCallback(() => now.current(), [])];
}
