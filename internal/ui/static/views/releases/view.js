import { openPublish } from "../../ui/publish/open.js";

/** The view of the releases. @type {import("../../lib/app.js").View} */
export const view = {
  id: "releases",
  title: "Releases",
  icon: "releases",
  load: () => import("./page.js"),
  drop: (what, app) => openPublish(app, what),
};
