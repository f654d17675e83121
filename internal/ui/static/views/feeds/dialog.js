// The dialog that follows a feed or changes how it is followed. What the rule does is shown before it acts.
import { html, useEffect, useRef, useState } from "../../lib/preact.js";
import { t } from "../../lib/words.js";
import { Dialog } from "../../ui/dialog.js";
import { Check, Choice, Field } from "../../ui/field.js";
import { LabelField } from "../torrents/optionsfields.js";
import { Items } from "./items.js";
import { bodyOf, changeOf, countFates, formOf, nameOf, periodInWords, ruleOf } from "./rule.js";

// What a preview is of: it is shown as old when that differs.
const askOf = (feed, form, rule) => JSON.stringify(feed ? { id: feed.id, rule } : { url: form.url.trim(), rule });

/** FeedDialog follows a feed, or changes feed. It closes with the feed that was added, or true. */
export function FeedDialog({ app, feed, close }) {
  const [form, setForm] = useState(() => formOf(feed));
  const [preview, setPreview] = useState(null); // {of, items, title}
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const { rule, wrong } = ruleOf(form.rule, feed?.rule);
  const ask = askOf(feed, form, rule);
  const current = preview?.of === ask;
  const run = async (what) => {
    setBusy(true);
    setError("");
    try {
      await what();
    } catch (err) {
      if (err.status !== 401) setError(err.message);
    }
    setBusy(false);
  };
  const look = () => run(async () => {
    setPreview(null);
    setPreview({ ...await app.api.post("/v1/feeds/preview", JSON.parse(ask)), of: ask });
  });
  const follow = () => run(async () => close(await app.api.post("/v1/feeds", bodyOf(form, rule))));
  const save = () => run(async () => {
    const change = changeOf(feed, form, rule);
    if (Object.keys(change).length > 0) await app.api.patch(`/v1/feeds/${encodeURIComponent(feed.id)}`, change);
    close(true);
  });
  const result = useRef();
  useEffect(() => { // on a phone the fields of the rule fill the dialog
    if (preview) result.current?.scrollIntoView({ block: "nearest" });
  }, [preview]);
  const ready = !busy && !wrong && (feed || form.url.trim() !== "");
  const submit = () => {
    if (!ready) return undefined;
    return feed ? save() : current ? follow() : look();
  };
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const main = feed ? t("Save") : current ? t("Follow") : t("Preview");
  return html`<${Dialog} title=${feed ? nameOf(feed) : t("Follow a feed")} wide close=${close} onSubmit=${submit} foot=${html`
      <button type="button" class="button quiet" onClick=${() => close()}>${t("Cancel")}</button>
      ${feed && html`<button type="button" class="button quiet" disabled=${!ready} onClick=${look}>${t("Preview")}</button>`}
      <button type="submit" class="button main" disabled=${!ready}>${main}</button>`}>
    ${!feed && html`<${Field} label=${t("URL of the feed")} type="url" value=${form.url} onInput=${set("url")} maxlength="4000" placeholder="https://…" autofocus hint=${t("RSS or Atom. Its items are shown before anything is added.")} />`}
    <${RuleFields} fields=${form.rule} wrong=${wrong} onChange=${set("rule")} />
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    ${busy && !preview && html`<p class="say" role="status">${t("Asking the feed …")}</p>`}
    <div ref=${result} class="result">${preview && html`<${Items} preview=${preview} old=${!current} />`}</div>
    <div class="describe">
      <${Field} label=${t("Name")} value=${form.name} onInput=${set("name")} maxlength="200" placeholder=${preview?.title || t("title of the feed")} />
      <${LabelField} app=${app} id="feed-label" value=${form.label} onChange=${set("label")} />
      <${Field} label=${t("Folder")} value=${form.dir} onInput=${set("dir")} placeholder=${t("that of the label")} />
      <${Choice} label=${t("Check it")} value=${form.every} onChange=${set("every")} choices=${periods(form.every)} /></div>
    ${feed ? html`<p class="say">${t("A new rule holds for items that come later; those that were decided before stay so.")}</p>`
      : html`<${Check} label=${t("Take what the feed has now, too")} checked=${form.existing} onChange=${set("existing")} />
        <p class="say">${outcome(form, current && preview)}</p>`}
  </${Dialog}>`;
}

// outcome says what Follow does at once.
function outcome(form, preview) {
  if (!form.existing) return t("Nothing is added now, only what comes later.");
  return preview ? t("%d torrent is added at once.|%d torrents are added at once.", countFates(preview.items).wanted) : t("What the rule wants of it is added at once.");
}

// periods are the choices of how often a feed is checked, with the one that it has.
function periods(every) {
  const seconds = [900, 3600, 10800, 43200, 86400, 604800];
  if (every !== "0" && !seconds.includes(Number(every))) seconds.push(Number(every));
  return [0, ...seconds.sort((a, b) => a - b)].map((n) => [String(n), periodInWords(n)]);
}

function RuleFields({ fields, wrong, onChange }) {
  const set = (name) => (value) => onChange({ ...fields, [name]: value });
  const bytes = (name) => (wrong !== name ? t("Such as 700 MB") : name === "max" && fields.min ? t("Write a size of at least the smallest.") : t("Write a size such as 700 MB."));
  return html`<fieldset class="rule"><legend>${t("Rule: which items are wanted")}</legend><div class="describe">
    <${Field} label=${t("With all of")} value=${fields.all} onInput=${set("all")} hint=${t("Words of the title, with commas; * is any letters")} />
    <${Field} label=${t("With one of")} value=${fields.any} onInput=${set("any")} />
    <${Field} label=${t("With none of")} value=${fields.not} onInput=${set("not")} />
    <${Field} label=${t("Smallest size")} value=${fields.min} onInput=${set("min")} wrong=${wrong === "min"} hint=${bytes("min")} />
    <${Field} label=${t("Largest size")} value=${fields.max} onInput=${set("max")} wrong=${wrong === "max"} hint=${bytes("max")} />
    <${Check} label=${t("Only newer versions")} checked=${fields.newer} onChange=${set("newer")} /></div></fieldset>`;
}
