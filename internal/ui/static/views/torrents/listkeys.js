// The keys of the list.
import { t } from "../../lib/words.js";
import * as actions from "./actions.js";
import { all, move, none, toggle } from "./selection.js";

/**
 * listKeys returns the keys. latest.current has what the page shows now: list, selection, setSelection, chosen, open.
 * @param {{current: any}} latest
 * @returns {import("../../lib/keys.js").Key[]}
 */
export function listKeys(latest) {
  const group = t("Torrents");
  const step = (by, range = false) => () => {
    const { list, selection, setSelection } = latest.current;
    setSelection(move(selection, list, by, range));
  };
  const act = (run) => () => {
    const { app, chosen } = latest.current;
    if (app.may("torrents") && chosen().length > 0) run(app, chosen());
  };
  const pages = () => Math.max(1, Math.floor((document.getElementById("list")?.clientHeight ?? 400) / 36) - 2);
  return [
    { key: "/", label: t("Search"), group, run: () => document.getElementById("search")?.focus() },
    { key: "ArrowDown", label: t("Next torrent"), group, run: step(1) },
    { key: "j", label: t("Next torrent"), group, run: step(1) },
    { key: "ArrowUp", label: t("Previous torrent"), group, run: step(-1) },
    { key: "k", label: t("Previous torrent"), group, run: step(-1) },
    { key: "Shift+ArrowDown", label: t("Select more"), group, run: step(1, true) },
    { key: "Shift+ArrowUp", label: t("Select more"), group, run: step(-1, true) },
    { key: "PageDown", group, label: "", run: () => step(pages())() },
    { key: "PageUp", group, label: "", run: () => step(-pages())() },
    { key: "Home", group, label: "", run: step(-Infinity) },
    { key: "End", group, label: "", run: step(Infinity) },
    { key: "Ctrl+a", label: t("Select all"), group, run: () => latest.current.setSelection(all(latest.current.selection, latest.current.list)) },
    { key: "x", label: t("Add to the selection or take from it"), group, run: () => latest.current.selection.at && latest.current.setSelection(toggle(latest.current.selection, latest.current.selection.at)) },
    { key: "Enter", label: t("Show the details"), group, run: () => latest.current.selection.at && latest.current.open(latest.current.selection.at) },
    { key: "Escape", label: t("Close the details, select nothing"), group, run: () => (latest.current.opened ? latest.current.open("") : latest.current.setSelection(none)) },
    { key: "Space", label: t("Pause or resume"), group, run: act(actions.pauseOrResume) },
    { key: "s", label: t("Label, limits and goals"), group, run: act(actions.setOptions) },
    { key: "r", label: t("Check the data again"), group, run: act(actions.recheck) },
    { key: "n", label: t("Ask the trackers now"), group, run: act(actions.reannounce) },
    { key: "Delete", label: t("Remove"), group, run: act(actions.remove) },
  ];
}
