// The page for signing in with a token.
import { html, useState } from "../lib/preact.js";
import { t } from "../lib/words.js";

/** SignIn asks for a token of the API. */
export function SignIn({ app }) {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const signIn = async (event) => {
    event.preventDefault();
    setBusy(true);
    setWrong("");
    try {
      await app.session.signIn({ token: token.trim() });
    } catch (err) {
      setWrong(err.status === 401 || err.status === 403 ? t("This token is not valid.") : err.message);
      setBusy(false);
    }
  };
  return html`<main id="main" class="signin" tabindex="-1"><form class="card" onSubmit=${signIn}>
    <h1>${t("Sign in")}</h1>
    <p class="say">${t("On this computer, spate open signs you in by itself.")}</p>
    <label for="token">${t("Token")}</label>
    <input id="token" type="password" autocomplete="current-password" required value=${token} onInput=${(e) => setToken(e.target.value)}
      aria-invalid=${wrong ? "true" : undefined} aria-describedby="token-help" />
    <p id="token-help" class="say" role="status">${wrong ? html`<strong class="wrong">${wrong}</strong>` : t("spate serve token add NAME makes one, where the daemon runs.")}</p>
    <button class="button main" disabled=${busy}>${t("Sign in")}</button>
  </form></main>`;
}
