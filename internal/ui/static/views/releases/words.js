// The states of releases in words.
import { percent } from "../../lib/format.js";
import { t } from "../../lib/words.js";

/** stateOf returns the state of a release in words. */
export function stateOf(release) {
  const { state, progress = 0 } = release.live ?? {};
  switch (state) {
    case "seeding": return t("Seeding");
    case "checking": return t("Checking %s", percent(progress));
    case "paused": return t("Paused");
    case "failed": return t("Failed");
    default: return "";
  }
}

/** finishedOf returns the number of complete copies that others have got, as the daemon counts them. */
export function finishedOf(release) {
  return (release.completed ?? 0) + ((release.num_files === 1 ? release.direct : release.archives) ?? 0);
}

/** titleOf returns the name of a release with its version and variant. */
export function titleOf(release) {
  return [release.slug, release.version, release.variant].filter(Boolean).join(" ");
}

/**
 * sortReleases returns the releases that have all words in their names, newest first.
 * @param {Iterable<any>} list @param {string} text
 */
export function sortReleases(list, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return [...list].filter((r) => {
    const name = `${titleOf(r)} ${r.group ?? ""} ${r.name}`.toLowerCase();
    return words.every((word) => name.includes(word));
  }).sort((a, b) => (a.published < b.published ? 1 : a.published > b.published ? -1 : a.ref < b.ref ? -1 : 1));
}
