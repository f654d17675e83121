// The download in a release page. Without this script, or if the browser lacks something that it
// needs, the page keeps its plain links.
import { Session, possible } from "./session.js";
import { Panel } from "./ui.js";
import { target } from "./target.js";

for (const root of document.querySelectorAll("[data-download]")) {
  const button = document.querySelector("[data-act=start]");
  const link = button?.parentElement.querySelector("a.button.main");
  if (!button || possible()) continue;
  const panel = new Panel(root, { button, link, own: document.querySelector("[data-own]"), kept: document.querySelector("[data-kept]") });
  target(root.dataset, location.href).then((options) => {
    panel.attach(new Session({ ...options, worker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }) }, (m) => panel.message(m)));
  }, () => {}); // the plain link stays
}
