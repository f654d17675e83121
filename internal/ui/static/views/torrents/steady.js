// Renders a list again at most once a frame, and not at all while the page is hidden.
import { useLayoutEffect, useState } from "../../lib/preact.js";

/** useSteady returns the version of a collection. Many changes in a short time are one. @param {import("../../lib/collection.js").Collection} collection */
export function useSteady(collection) {
  const [version, setVersion] = useState(collection.get());
  useLayoutEffect(() => {
    let asked = 0;
    const show = () => {
      asked = 0;
      setVersion(collection.get());
    };
    const soon = () => {
      asked ||= requestAnimationFrame(show);
    };
    if (collection.get() !== version) soon();
    const end = collection.observe(soon);
    return () => {
      end();
      cancelAnimationFrame(asked);
    };
  }, [collection]);
  return version;
}
