// The frame of the page: head, navigation, state of the connection, the view, dialogs and messages.
import { html, useEffect, useState } from "../lib/preact.js";
import { hrefOf } from "../lib/route.js";
import { useValue } from "../lib/value.js";
import { t } from "../lib/words.js";
import { rate } from "../lib/format.js";
import { showAdd } from "../views/add/open.js";
import { Connection } from "./connection.js";
import { DialogStack } from "./dialogs.js";
import { shellKeys } from "./help.js";
import { Icon, Waves } from "./icon.js";
import { SignIn } from "./signin.js";
import { ToastList } from "./toasts.js";

/** Shell is the whole page. @param {{app: import("../lib/app.js").App}} props */
export function Shell({ app }) {
  const phase = useValue(app.session.state, (s) => s.phase);
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("Skip to the content")}</a>
    <${Head} app=${app} signedIn=${phase === "in"} />
    <${Connection} app=${app} />
    ${phase === "in" && html`<${Current} app=${app} />`}
    ${phase === "out" && html`<${SignIn} app=${app} />`}
    ${phase === "unknown" && html`<main id="main" class="waiting" aria-busy="true"></main>`}
    <${DropTarget} app=${app} />
    <${DialogStack} app=${app} />
    <${ToastList} toasts=${app.toasts} />`;
}

// skip moves the focus without the fragment, which is the address of the view.
function skip(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Head({ app, signedIn }) {
  const now = useValue(app.router.route, (r) => r.view) || app.views[0].id;
  useEffect(() => (signedIn ? app.keys.add(shellKeys(app)) : undefined), [signedIn]);
  const shown = app.views.filter((view) => view.shown?.(app) ?? true);
  return html`<header class="top">
    <a class="brand" href="#/" aria-label=${t("spate, home")}><${Waves} /><span>spate</span></a>
    ${signedIn && html`
      <nav aria-label=${t("Views")}>${shown.map((view) => html`
        <a key=${view.id} href=${hrefOf(view.id)} aria-current=${view.id === now ? "page" : undefined}>
          <${Icon} name=${view.icon} /><span>${t(view.title)}</span></a>`)}
      </nav>
      <${Rates} app=${app} />
      ${app.may("torrents") && html`<button class="button main add" onClick=${() => showAdd(app)}><${Icon} name="plus" /><span>${t("Add")}</span></button>`}
      <${Menu} app=${app} />`}
  </header>`;
}

// Rates shows what all torrents and releases transfer now.
function Rates({ app }) {
  const status = useValue(app.live.status);
  const down = (status?.torrents?.down_rate ?? 0) + (status?.totals?.down_rate ?? 0);
  const up = (status?.torrents?.up_rate ?? 0) + (status?.totals?.up_rate ?? 0);
  return html`<p class="rates">
    <span title=${t("Download rate")}><${Icon} name="down" /><span class="vh">${t("Download rate")}</span> ${rate(down) || "0"}</span>
    <span title=${t("Upload rate")}><${Icon} name="up" /><span class="vh">${t("Upload rate")}</span> ${rate(up) || "0"}</span>
  </p>`;
}

function Menu({ app }) {
  const signOut = () => app.act(() => app.session.signOut());
  const help = () => shellKeys(app)[0].run();
  return html`<div class="tools">
    <button class="plain" onClick=${help} aria-label=${t("Keys and help")} title=${t("Keys and help")}><${Icon} name="help" /></button>
    <button class="plain" onClick=${signOut} aria-label=${t("Sign out")} title=${t("Sign out")}><${Icon} name="leave" /></button>
  </div>`;
}

// Current is the view that the address names. Its module is loaded when it is first shown.
function Current({ app }) {
  const route = useValue(app.router.route);
  const view = app.views.find((v) => v.id === (route.view || app.views[0].id));
  const [loaded, setLoaded] = useState({});
  useEffect(() => {
    if (!view || loaded[view.id]) return;
    view.load().then((module) => setLoaded((now) => ({ ...now, [view.id]: module.default })), (err) => app.toasts.fail(err));
  }, [view]);
  useEffect(() => {
    document.title = view ? `${t(view.title)} · spate` : "spate";
  }, [view]);
  const Page = view && loaded[view.id];
  return html`<main id="main" tabindex="-1" class=${view ? `view-${view.id}` : ""}>
    ${!view && html`<p class="empty">${t("There is no such page.")} <a href="#/">${t("To the torrents")}</a></p>`}
    ${Page && html`<${Page} app=${app} parts=${route.parts} query=${route.query} />`}
  </main>`;
}

function DropTarget({ app }) {
  const over = useValue(app.drops.over);
  return over && html`<div class="drop" aria-hidden="true"><p>${t("Drop it to add it")}</p></div>`;
}
