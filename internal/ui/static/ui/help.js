// The help: the keys of the page and of the view.
import { html } from "../lib/preact.js";
import { t } from "../lib/words.js";
import { showAdd } from "../views/add/open.js";
import { Dialog } from "./dialog.js";

const shown = { Space: "␣", ArrowDown: "↓", ArrowUp: "↑", Delete: "Del", Enter: "↵" };

function Help({ app, close }) {
  const groups = new Map();
  for (const key of app.keys.all()) {
    if (!key.label) continue;
    const list = groups.get(key.group ?? "") ?? groups.set(key.group ?? "", new Map()).get(key.group ?? "");
    list.set(key.label, [...(list.get(key.label) ?? []), key.key]);
  }
  const name = (key) => key.split("+").map((part) => shown[part] ?? part).join("+");
  return html`<${Dialog} title=${t("Keys")} close=${close} wide>
    <div class="keys">${[...groups].map(([group, keys]) => html`<section key=${group}><h3>${group}</h3>
      <dl>${[...keys].map(([label, names]) => html`<div key=${label}><dt>${names.map((n) => html`<kbd>${name(n)}</kbd> `)}</dt><dd>${label}</dd></div>`)}</dl></section>`)}
    </div>
    <p class="say">${t("Drop a .torrent file or a link anywhere on the page, or paste a link, to add it.")}</p>
  </${Dialog}>`;
}

/** shellKeys returns the keys that act everywhere. @param {import("../lib/app.js").App} app @returns {import("../lib/keys.js").Key[]} */
export function shellKeys(app) {
  const group = t("Everywhere");
  const views = app.views.filter((view) => view.shown?.(app) ?? true);
  return [
    { key: "?", label: t("Show the keys"), group, run: () => app.dialogs.open(Help, { app }) },
    ...(app.may("torrents") ? [{ key: "a", label: t("Add a torrent"), group, run: () => showAdd(app) }] : []),
    ...views.map((view, i) => ({ key: String(i + 1), label: t("Show %s", t(view.title)), group, run: () => app.router.go(view.id) })),
  ];
}
