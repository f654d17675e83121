// Renders a list again at most once a frame, not while the page is hidden, and rarely while it is being loaded.
import { useLayoutEffect, useState } from "../../lib/preact.js";

/** The time between two renderings of a list that is being loaded, in milliseconds. */
const loadingEvery = 400;

/** useSteady returns the version of a collection. Many changes in a short time are one. @param {import("../../lib/collection.js").Collection} collection */
export function useSteady(collection) {
  const [version, setVersion] = useState(collection.get());
  useLayoutEffect(() => {
    let asked = 0;
    let shown = collection.entries.size;
    const show = () => {
      asked = 0;
      shown = collection.entries.size;
      setVersion(collection.get());
    };
    let timer = 0;
    const soon = () => {
      if (collection.loaded || shown === 0) asked ||= requestAnimationFrame(show);
      else timer ||= setTimeout(() => {
        timer = 0;
        asked ||= requestAnimationFrame(show);
      }, loadingEvery);
    };
    if (collection.get() !== version) soon();
    const end = collection.observe(soon);
    return () => {
      end();
      clearTimeout(timer);
      cancelAnimationFrame(asked);
    };
  }, [collection]);
  return version;
}
