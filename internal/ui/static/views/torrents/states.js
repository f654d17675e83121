// The states of torrents: their names, and the groups by which the list is filtered.
import { t } from "../../lib/words.js";

const names = {
  metadata: "Fetching metadata", queued: "Queued", checking: "Checking", downloading: "Downloading", stalled: "Stalled", seeding: "Seeding",
  paused: "Paused", finished: "Finished", moving: "Moving", removing: "Removing", failed: "Failed",
};

/** stateName returns the name of a state. @param {string} state */
export function stateName(state) {
  return names[state] ? t(names[state]) : state;
}

/** The groups of the filter, in their order. Each torrent is in "all" and can be in several others. */
export const groups = [
  { id: "all", title: "All", icon: "list", has: () => true },
  { id: "downloading", title: "Downloading", icon: "down", has: (x) => x.state === "downloading" || x.state === "stalled" || x.state === "metadata" },
  { id: "seeding", title: "Seeding", icon: "up", has: (x) => x.state === "seeding" },
  { id: "complete", title: "Complete", icon: "check", has: (x) => x.total_length > 0 && x.done >= x.total_length },
  { id: "active", title: "Active", icon: "gauge", has: (x) => x.down_rate + x.up_rate > 0 },
  { id: "waiting", title: "Waiting", icon: "clock", has: (x) => x.state === "queued" || x.state === "checking" || x.state === "moving" },
  { id: "stalled", title: "Stalled", icon: "unplugged", has: (x) => x.state === "stalled" },
  { id: "paused", title: "Paused", icon: "pause", has: (x) => x.state === "paused" || x.state === "finished" },
  { id: "failed", title: "Failed", icon: "alert", has: (x) => x.state === "failed" },
];
