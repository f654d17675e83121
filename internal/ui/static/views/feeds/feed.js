// One feed: its state, what its rule does, and what can be done with it.
import { ago, date } from "../../lib/format.js";
import { html, useState } from "../../lib/preact.js";
import { hrefOf } from "../../lib/route.js";
import { t } from "../../lib/words.js";
import { ask } from "../../ui/ask.js";
import { Icon } from "../../ui/icon.js";
import { Button, CopyText } from "../../ui/parts.js";
import { FeedDialog } from "./dialog.js";
import { Items } from "./items.js";
import { nameOf, periodInWords, ruleInWords, stateOf } from "./rule.js";

const pathOfFeed = (feed) => `/v1/feeds/${encodeURIComponent(feed.id)}`;

/** actsOf returns what can be done with a feed; load loads the list again. @param {import("../../lib/app.js").App} app */
export function actsOf(app, feed, load) {
  const act = async (request, says) => {
    await app.act(request, { what: nameOf(feed), ...says });
    await load(); // a check that fails changes the feed too
  };
  return {
    check: () => act(() => app.api.post(`${pathOfFeed(feed)}/check`), { done: t("%s was checked.", nameOf(feed)) }),
    pause: () => act(() => app.api.patch(pathOfFeed(feed), { paused: !feed.paused })),
    change: () => app.dialogs.open(FeedDialog, { app, feed }).then(load),
    remove: async () => {
      const yes = await ask(app, { title: t("Stop following %s?", nameOf(feed)), text: t("Torrents that it has added stay."), yes: t("Remove"), danger: true });
      if (!yes) return;
      app.router.go("feeds");
      await act(() => app.api.delete(pathOfFeed(feed)), { done: t("%s is not followed any more.", nameOf(feed)) });
    },
  };
}

/** Feed shows a feed. @param {{app: import("../../lib/app.js").App, feed: any, load: () => Promise<void>}} props */
export function Feed({ app, feed, load }) {
  const [preview, setPreview] = useState(null);
  const [busy, setBusy] = useState("");
  const may = app.may("torrents");
  const acts = actsOf(app, feed, load);
  const during = async (name, what) => {
    setBusy(name);
    await what();
    setBusy("");
  };
  const rule = JSON.stringify(feed.rule);
  const look = () => during("look", () => app.act(async () => setPreview({ ...await app.api.post("/v1/feeds/preview", { id: feed.id }), of: rule })));
  return html`<aside class="details release" aria-label=${nameOf(feed)}>
    <header><h1>${nameOf(feed)}</h1><a class="plain" href=${hrefOf("feeds")} aria-label=${t("Close")}><${Icon} name="close" /></a></header>
    ${may && html`<p class="buttons">
      <${Button} icon="recheck" text=${busy === "check" ? t("Checking …") : t("Check now")} disabled=${busy === "check"} onClick=${() => during("check", acts.check)} />
      <${Button} icon=${feed.paused ? "play" : "pause"} text=${feed.paused ? t("Resume") : t("Pause")} onClick=${acts.pause} />
      <${Button} icon="set" text=${t("Change")} onClick=${acts.change} />
      <${Button} icon="trash" text=${t("Remove")} onClick=${acts.remove} /></p>`}
    ${feed.error && html`<p class="wrong">${feed.error}</p>`}
    <div class="handout"><${CopyText} app=${app} text=${feed.url} what=${t("the URL of the feed")} /></div>
    <${Facts} feed=${feed} />
    ${may && html`<section><h2>${t("What the rule does")}</h2>
      <p class="buttons"><${Button} icon="search" text=${busy === "look" ? t("Asking the feed …") : t("Show the items of now")} disabled=${busy === "look"} onClick=${look} /></p></section>`}
    ${preview && html`<${Items} preview=${preview} old=${preview.of !== rule} />`}
  </aside>`;
}

function Facts({ feed }) {
  const facts = [
    [t("State"), stateOf(feed).words],
    [t("Rule"), ruleInWords(feed.rule), "whole"],
    [t("Torrents added"), feed.taken],
    [t("Label"), feed.label],
    [t("Checked"), feed.checked && periodInWords(feed.every)],
    [t("Next check"), !feed.paused && feed.next && (new Date(feed.next) > new Date() ? ago(feed.next) : t("now"))],
    [t("Followed since"), date(feed.added)],
    [t("Title"), feed.title !== nameOf(feed) && feed.title],
    [t("Folder"), feed.dir, "whole"],
  ].filter(([, value]) => value || value === 0);
  return html`<dl class="facts tight">${facts.map(([name, value, kind]) => html`<div key=${name} class=${kind}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
