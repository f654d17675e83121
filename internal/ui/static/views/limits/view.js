/** The view of the limits of the whole daemon. @type {import("../../lib/app.js").View} */
export const view = { id: "limits", title: "Limits", icon: "gauge", load: () => import("./page.js") };
