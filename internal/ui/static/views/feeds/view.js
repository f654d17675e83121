/** The view of the feeds that the daemon follows. @type {import("../../lib/app.js").View} */
export const view = { id: "feeds", title: "Feeds", icon: "feed", load: () => import("./page.js") };
