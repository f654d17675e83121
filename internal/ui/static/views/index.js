// The views of the page, in the order of the navigation.
//
// A view is a folder here with a view.js, which exports a small description (View in lib/app.js), and a page.js, whose
// default export is the component. page.js is loaded when the view is first shown. To add a view: write both, import
// the description here and add it to the list. What a view can use:
//   app.api       requests with CSRF token, errors as ApiError (lib/api.js)
//   app.live      torrents, releases (Collection), status (Value), onEvent: useValue(app.live.releases) renders again
//   app.act       runs a request and shows its error as a toast; app.toasts.say, app.toasts.fail
//   app.dialogs   open(Component, props) shows a dialog; app.ask asks a question (ui/ask.js: ask(app, ...))
//   app.keys      add([{key, label, group, run}]) in an effect; the help lists them
//   app.router    go("releases", ref), and links with hrefOf
//   lib/format.js sizes, rates, times; lib/words.js: t("Text %s", x) for all texts
//   ui/           Button, Icon, Dialog, Progress, Tabs, Empty ...
// Styles of a view are a file in css/, which index.html names; colours are the variables of css/look.css.
import { view as feeds } from "./feeds/view.js";
import { view as health } from "./health/view.js";
import { view as limits } from "./limits/view.js";
import { view as releases } from "./releases/view.js";
import { view as schedule } from "./schedule/view.js";
import { view as torrents } from "./torrents/view.js";

/** @type {import("../lib/app.js").View[]} */
export const views = [torrents, releases, feeds, schedule, limits, health];
