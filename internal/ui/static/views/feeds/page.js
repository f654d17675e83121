// The page of the feeds: the list, and one feed beside it.
import { ago } from "../../lib/format.js";
import { html, useEffect, useMemo, useRef, useState } from "../../lib/preact.js";
import { hrefOf } from "../../lib/route.js";
import { t } from "../../lib/words.js";
import { Icon } from "../../ui/icon.js";
import { Empty } from "../../ui/parts.js";
import { FeedDialog } from "./dialog.js";
import { actsOf, Feed } from "./feed.js";
import { nameOf, ruleInWords, sortFeeds, stateOf } from "./rule.js";

/** How often the list is loaded while it is seen, in milliseconds: the events of the daemon have no feeds. */
const loadEvery = 10_000;

/** Page shows the feeds. The first part of the address is the ID of the feed whose details are shown. */
export default function Page({ app, parts }) {
  const [id = ""] = parts;
  const [feeds, setFeeds] = useState(null);
  const [text, setText] = useState("");
  const find = useRef();
  const load = () => app.api.get("/v1/feeds").then((body) => setFeeds(body.feeds));
  const reload = () => load().catch(() => {}); // the shell says that the daemon does not answer
  useEffect(() => {
    app.act(load);
    const again = () => document.visibilityState === "visible" && reload();
    const timer = setInterval(again, loadEvery);
    const unwatch = app.live.onEvent((event) => event.feed && again());
    return () => {
      clearInterval(timer);
      unwatch();
    };
  }, []);
  const list = useMemo(() => sortFeeds(feeds ?? [], text), [feeds, text]);
  const feed = feeds?.find((one) => one.id === id);
  const follow = async () => {
    const added = await app.dialogs.open(FeedDialog, { app });
    if (!added) return;
    app.toasts.say(t("%s is followed.", nameOf(added)));
    await app.act(load);
    app.router.go("feeds", added.id);
  };
  const latest = useRef();
  latest.current = { list, feed };
  useEffect(() => app.keys.add(keysOf(app, find, latest, follow, reload)), []);
  return html`<div class=${`releases feeds ${id ? "detailed" : ""}`}>
    <section class="list" aria-label=${t("Feeds")} aria-busy=${String(!feeds)}>
      <h1 class="vh">${t("Feeds")}</h1>
      <div class="toolbar">
        <label class="find"><span class="vh">${t("Find feeds")}</span><${Icon} name="search" /><input ref=${find} type="search" placeholder=${t("Find")} value=${text} onInput=${(e) => setText(e.target.value)} /></label>
        ${app.may("torrents") && html`<button type="button" class="button main" onClick=${follow}><${Icon} name="feed" /> ${t("Follow a feed")}</button>`}
      </div>
      ${feeds?.length === 0 ? html`<${Empty} icon="feed" title=${t("No feeds yet")}>
          <p>${t("Follow the RSS or Atom feed of a site: what a rule wants of it is added as it comes.")}</p></${Empty}>`
        : html`<ul class="cards">${list.map((one) => html`<${Row} key=${one.id} feed=${one} now=${one.id === id} />`)}</ul>`}
      ${feeds?.length > 0 && list.length === 0 && html`<p class="nothing">${t("No feed has these words.")}</p>`}
    </section>
    ${feed && html`<${Feed} key=${id} app=${app} feed=${feed} load=${reload} />`}
    ${id && feeds && !feed && html`<aside class="details release" aria-label=${t("Feed")}><p class="nothing">${t("This feed is not followed.")} <a href=${hrefOf("feeds")}>${t("To the feeds")}</a></p></aside>`}
  </div>`;
}

function Row({ feed, now }) {
  const { state, words } = stateOf(feed);
  return html`<li><a class=${`release ${state}`} href=${hrefOf("feeds", feed.id)} aria-current=${now ? "true" : undefined}>
    <span class="title">${nameOf(feed)}</span>
    <span class=${`state ${state}`}>${words}</span>
    <span class="more"><span>${ruleInWords(feed.rule)}</span>${feed.label && html`<span><${Icon} name="label" /><span class="vh">${t("Label")}</span> ${feed.label}</span>`}</span>
    <span class="more"><span>${t("%d torrent added|%d torrents added", feed.taken)}</span>${!feed.paused && feed.next && new Date(feed.next) > new Date() && html`<span>${t("next check %s", ago(feed.next))}</span>`}</span>
    ${feed.error && html`<span class="wrong">${feed.error}</span>`}
  </a></li>`;
}

// keysOf returns the keys of the page.
function keysOf(app, find, latest, follow, load) {
  const group = t("Feeds");
  const step = (by) => () => {
    const { list, feed } = latest.current;
    const at = list.indexOf(feed);
    const next = list[Math.max(0, Math.min(list.length - 1, at < 0 ? 0 : at + by))];
    if (next) app.router.go("feeds", next.id);
  };
  const act = (name) => () => latest.current.feed && actsOf(app, latest.current.feed, load)[name]();
  return [
    { key: "/", label: t("Find"), group, run: () => find.current?.focus() },
    { key: "ArrowDown", label: t("Next feed"), group, run: step(1) },
    { key: "ArrowUp", label: t("Previous feed"), group, run: step(-1) },
    { key: "Escape", label: t("Close the details"), group, run: () => app.router.go("feeds") },
    ...(app.may("torrents") ? [
      { key: "n", label: t("Follow a feed"), group, run: follow },
      { key: "c", label: t("Check now"), group, run: act("check") },
      { key: "Space", label: t("Pause or resume"), group, run: act("pause") },
      { key: "s", label: t("Change"), group, run: act("change") },
      { key: "Delete", label: t("Remove"), group, run: act("remove") },
    ] : []),
  ];
}
