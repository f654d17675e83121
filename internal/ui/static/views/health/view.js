/** The view of what the daemon found about itself. @type {import("../../lib/app.js").View} */
export const view = { id: "health", title: "Health", icon: "doctor", load: () => import("./page.js") };
