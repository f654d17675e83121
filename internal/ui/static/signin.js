// The page to sign in. A link of spate open has a one-time code in its fragment, which browsers do not
// send to servers and which the page removes from the address at once.
const form = document.getElementById("form");
const error = document.getElementById("error");
const wait = document.getElementById("wait");

const fragment = new URLSearchParams(location.hash.slice(1));
const once = fragment.get("once");
fragment.delete("once");
const rest = fragment.toString();
history.replaceState(null, "", "/" + (rest ? "#" + rest : ""));

// enter loads the client: the same address, which the server now answers with the client.
function enter() {
  location.reload();
}

async function signIn(body) {
  error.textContent = "";
  let answer;
  try {
    answer = await fetch("/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    error.textContent = "spate does not answer. Is it still running?";
    return false;
  }
  if (answer.ok) {
    enter();
    return true;
  }
  const problem = await answer.json().catch(() => ({}));
  error.textContent = `${problem.detail ?? answer.statusText}.` + (problem.hint ? ` Hint: ${problem.hint}.` : "");
  return false;
}

function show(signing) {
  wait.hidden = !signing;
  form.hidden = signing;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signIn({ token: form.elements.token.value });
});

// A link on a page of another site leads here without the cookie of a session (SameSite=Strict), but a
// request of this page has it.
async function start() {
  show(true);
  try {
    if ((await fetch("/session")).ok) {
      enter();
      return;
    }
  } catch {
    // signIn says that spate does not answer
  }
  if (!once || !(await signIn({ once }))) {
    show(false);
    form.elements.token.focus();
  }
}

start();
