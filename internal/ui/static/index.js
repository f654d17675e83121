// Says who is signed in, until there is a client here.
const answer = await fetch("/session");
const session = await answer.json();
document.getElementById("name").textContent = session.name;
document.getElementById("scopes").textContent = session.scopes.join(", ");
const source = new URLSearchParams(location.hash.slice(1)).get("add");
if (source) document.getElementById("add").textContent = `To add: ${source}`;
document.getElementById("out").addEventListener("click", async () => {
  await fetch("/session", { method: "DELETE", headers: { "X-Spate-CSRF": session.csrf } });
  location.reload();
});
