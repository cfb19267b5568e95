// Push form: sends a notification as a backend does, with the service token that a server in development hands out,
// and shows the curl command that does the same. The command holds no secret: the key is read from the shell.
import { showCode } from "../code_block.js";
import { button, byId, form, h, input, onSubmit } from "../dom.js";
import { readyTokens } from "../session.js";
import { failure } from "../text_format.js";
import { toast } from "../toast.js";

/** @typedef {import("../session.js").Person} Person */

const PATH = "/api/notifications";

/** @param {Person} user @param {Person[]} users */
export async function startPushForm(user, users) {
  input("to").value = user.id;
  byId("people").append(...users.map(({ id, name }) => h("option", { value: id }, name)));
  onSubmit(form("push"), send);
  form("push").addEventListener("input", () => {
    showProblem("");
    showCommand();
  });
  showCommand();
  button("push-send").hidden = !(await serviceToken());
}

async function send() {
  const sender = button("push-send");
  if (sender.hidden || sender.getAttribute("aria-disabled") === "true") return;
  sender.setAttribute("aria-disabled", "true"); // `disabled` would take the focus away
  showProblem("");
  try {
    const notification = entered();
    await post(notification);
    toast(`Sent to ${notification.user}.`);
  } catch (error) {
    showProblem(failure(error));
  } finally {
    sender.removeAttribute("aria-disabled");
  }
}

/** Throws `{code, message}` where the server does not accept it. @param {object} notification */
async function post(notification) {
  const token = await serviceToken({ fresh: true });
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const answer = await fetch(PATH, { method: "POST", headers, body: JSON.stringify(notification) }).catch(() => null);
  if (!answer) throw { code: "offline" };
  const { ok, error } = await answer.json().catch(() => ({ ok: answer.ok, error: { code: "internal" } }));
  if (!ok) throw error;
}

async function serviceToken({ fresh = false } = {}) {
  return (await readyTokens({ fresh }))?.service?.token;
}

function entered() {
  const message = byId("message", HTMLTextAreaElement).value;
  return { user: input("to").value.trim(), type: input("type").value.trim(), message };
}

function showCommand() {
  showCode(byId("command"), curlCommand(location.origin, entered()));
}

/** @param {string} text */
function showProblem(text) {
  byId("push-problem").textContent = text;
}

/** @param {string} origin @param {object} body */
function curlCommand(origin, body) {
  return [
    `curl ${origin}${PATH}`,
    `-H "Authorization: Bearer $RTSERVER_API_KEY"`,
    `-H "Content-Type: application/json"`,
    `-d ${shellWord(JSON.stringify(body))}`,
  ].join(" \\\n  ");
}

/** One word for a POSIX shell, whatever is in it. @param {string} text */
function shellWord(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
