// The graphical client: starts the app and shows it.
import { App } from "./lib/app.js";
import { html, render } from "./lib/preact.js";
import { loadTexts } from "./lib/words.js";
import { Shell } from "./ui/shell.js";
import { views } from "./views/index.js";

await loadTexts();
const app = new App(views);
render(html`<${Shell} app=${app} />`, document.body);
await app.start();
