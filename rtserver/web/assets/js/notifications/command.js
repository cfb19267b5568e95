// Owns the form that writes the curl command of a backend. It holds no secret: the key is read from the shell.
import { showCode } from "../code.js";
import { $, h } from "../dom.js";

export function watchForm(user, users) {
  $("to").value = user.id;
  $("people").append(...users.map(({ id, name }) => h("option", { value: id }, name)));
  $("push").addEventListener("submit", (event) => event.preventDefault());
  $("push").addEventListener("input", write);
  write();
}

function write() {
  const body = { user: $("to").value, type: $("type").value, message: $("message").value };
  showCode($("command"), command(location.origin, body));
}

export function command(origin, body) {
  return [
    `curl ${origin}/api/notifications`,
    `-H "Authorization: Bearer $RTSERVER_API_KEY"`,
    `-H "Content-Type: application/json"`,
    `-d ${quote(JSON.stringify(body))}`,
  ].join(" \\\n  ");
}

/** One word for a POSIX shell, whatever stands in it. */
function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
