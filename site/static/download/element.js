// <spate-download src="https://.../r/NAME">: the download of a release in the page of another
// site. What the element contains, such as a plain link, is shown where this script or the
// release page does not work.
import { Session, possible } from "./session.js";
import { Panel } from "./ui.js";
import { target } from "./target.js";
import { build, describe, webURL } from "./embed.js";

const style = new CSSStyleSheet();
style.replaceSync(`
:host { display: block; }
[hidden] { display: none !important; }
.button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: .5rem 1.1rem; border: 1px solid #0a6870; border-radius: .6rem; background: none; color: inherit; cursor: pointer; }
.button.main { display: inline-flex; align-items: center; gap: .5rem; background: #0a6870; color: #fff; }
.small { font-size: .875em; opacity: .85; margin: .6rem 0 0; }
.tell { font-weight: 600; margin: 0; }
.vh { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid #0a6870; outline-offset: 2px; }
.acts-in { display: flex; flex-wrap: wrap; gap: .75rem; margin: .75rem 0 0; }
[role=progressbar] { height: .75rem; margin-top: .6rem; border-radius: .4rem; overflow: hidden; background: #0a687033; }
video { width: 100%; }
audio { display: block; width: 100%; }
canvas { display: block; width: 100%; height: 100%; image-rendering: pixelated; }
ul { list-style: none; padding: 0; max-height: 18rem; overflow: auto; }
.textual { border: 0; background: none; color: inherit; font: inherit; text-decoration: underline; cursor: pointer; min-height: 2.75rem; }
`);

// worker returns a worker that runs a module of another site.
function worker() {
  const source = new Blob([`import ${JSON.stringify(new URL("./worker.js", import.meta.url).href)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(source), { type: "module" });
}

class SpateDownload extends HTMLElement {
  connectedCallback() {
    if ((this.shadowRoot && !this.ended) || possible()) return;
    this.ended = false;
    const shadow = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    shadow.replaceChildren(document.createElement("slot"));
    this.load(shadow).catch(() => {}); // the content of the element stays
  }

  // disconnectedCallback ends the download when the element has left the page. An element that is
  // only moved is back at once.
  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected) return;
      this.ended = true;
      this.session?.end();
      this.session = null;
    });
  }

  // load takes the texts and the addresses from /r/NAME/inpage.
  async load(shadow) {
    const src = webURL(this.getAttribute("src")?.replace(/\/$/, ""), document.baseURI);
    if (!src) throw new Error("src is no web address");
    const r = await fetch(`${src}/inpage`, { referrerPolicy: "no-referrer" });
    const found = describe(new DOMParser().parseFromString(await r.text(), "text/html"), src);
    if (!r.ok || !found) throw new Error("not a release page");
    const options = await target(found.attributes, src);
    const key = this.getAttribute("key")?.trim(); // the publisher's key, as this page knows it
    if (key) options.signed = { ...options.signed, key, must: true };
    const { start, root } = build(found);
    const box = document.createElement("div");
    box.append(start);
    const slot = shadow.querySelector("slot");
    const panel = new Panel(root, { button: start, link: slot });
    if (!this.isConnected) return;
    this.session = new Session({ ...options, worker }, (m) => panel.message(m));
    panel.attach(this.session);
    shadow.adoptedStyleSheets = [style];
    shadow.append(box, root);
  }
}

if (!customElements.get("spate-download")) customElements.define("spate-download", SpateDownload);
