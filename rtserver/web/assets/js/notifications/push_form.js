// Form that writes the curl command of a backend. It holds no secret: the key is read from the shell.
import { showCode } from "../code_block.js";
import { byId, form, h, input, onSubmit } from "../dom.js";

/** @typedef {import("../session.js").Person} Person */

/** @param {Person} user @param {Person[]} users */
export function watchCommandForm(user, users) {
  input("to").value = user.id;
  byId("people").append(...users.map(({ id, name }) => h("option", { value: id }, name)));
  onSubmit(form("push"), () => {});
  form("push").addEventListener("input", showCommand);
  showCommand();
}

function showCommand() {
  const message = byId("message", HTMLTextAreaElement).value;
  const body = { user: input("to").value, type: input("type").value, message };
  showCode(byId("command"), curlCommand(location.origin, body));
}

/** @param {string} origin @param {object} body */
function curlCommand(origin, body) {
  return [
    `curl ${origin}/api/notifications`,
    `-H "Authorization: Bearer $RTSERVER_API_KEY"`,
    `-H "Content-Type: application/json"`,
    `-d ${shellWord(JSON.stringify(body))}`,
  ].join(" \\\n  ");
}

/** One word for a POSIX shell, whatever is in it. @param {string} text */
function shellWord(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
