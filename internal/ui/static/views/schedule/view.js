/** The view of the limits by time and of the monthly volume. @type {import("../../lib/app.js").View} */
export const view = { id: "schedule", title: "Schedule", icon: "clock", load: () => import("./page.js") };
