import { openAdd } from "../add/open.js";

/** The view of the added torrents. @type {import("../../lib/app.js").View} */
export const view = {
  id: "torrents",
  title: "Torrents",
  icon: "torrents",
  load: () => import("./page.js"),
  drop: (what, app) => openAdd(app, what),
};
