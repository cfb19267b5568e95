// People on the pages: avatars, and the ways to choose a user.
import { h } from "./dom.js";
import { fromToken, keepToken } from "./session.js";

/** @typedef {import("./session.js").Person} Person */
/** @typedef {import("./session.js").User} User */

const TINTS = 8;

/** @param {Person} person @param {{small?: boolean, online?: boolean | null}} [look] */
export function avatar({ id, name }, { small = false, online = null } = {}) {
  const props = { class: small ? "avatar small" : "avatar", "aria-hidden": "true", dataset: { tint: tint(id) } };
  const face = h("span", props);
  face.append(initials(name || id));
  if (online !== null) face.append(h("span", { class: "presence", dataset: { online } }));
  return face;
}

/** @param {string} name */
function initials(name) {
  const words = name.trim().split(/[\s._@-]+/u);
  const [first = "", ...rest] = words.filter(Boolean);
  const last = rest.at(-1);
  const letters = last === undefined ? [first] : [first, last];
  return letters.map((word) => ([...word][0] ?? "").toUpperCase()).join("") || "?";
}

/** @param {string} id */
function tint(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + /** @type {number} */ (char.codePointAt(0))) % 9973;
  return String(sum % TINTS);
}

/**
 * A button (or link, with `href`) for one person.
 * @template {Person} P
 * @param {P} user
 * @param {{note?: string, href?: string | null, pressed?: boolean | null, onPick?: ((user: P) => void) | null,
 *   target?: string | null}} [options]
 */
export function personCard(user, { note = user.id, href = null, pressed = null, onPick = null, target = null } = {}) {
  const text = h("span", { class: "person-text" }, h("strong", {}, user.name), h("small", {}, note));
  /** @type {import("./dom.js").Props} */
  const props = { class: "person", ...(href ? { href, target, rel: target && "noopener" } : { type: "button" }) };
  if (pressed !== null) props["aria-pressed"] = String(pressed);
  if (onPick) props.on = { click: () => onPick(user) };
  return h(href ? "a" : "button", props, avatar(user), text);
}

/**
 * A form for a pasted token; `accept(user, token)` runs with one that can be read.
 * @param {{label: string, button: string, accept: (user: User, token: string) => void, command?: string}} options
 */
export function tokenForm({ label, button, accept, command = "rtserver token --sub alice --name Alice --ttl 1h" }) {
  const input = h("textarea", {
    class: "input",
    id: "token",
    rows: 4,
    required: true,
    spellcheck: "false",
    autocomplete: "off",
    "aria-describedby": "token-note",
  });
  const note = h(
    "p",
    { class: "hint", id: "token-note" },
    "Make one with ",
    h("code", {}, command),
    ". It stays in this tab.",
  );
  const problem = h("p", { class: "problem", role: "alert" });
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    const token = input.value.trim();
    const user = fromToken(token);
    input.setAttribute("aria-invalid", String(!user));
    problem.textContent = user ? "" : "This does not look like a token: three parts with dots between them.";
    if (user) accept(user, token);
  };
  const field = h("div", { class: "field" }, h("label", { for: "token" }, label), input, note, problem);
  return h("form", { on: { submit } }, field, h("button", { class: "button" }, button));
}

/**
 * Ask for this tab's user: one of the ready-made users, or a pasted token. Resolves to the user's id.
 * @param {Person[] | null} users
 * @returns {Promise<string>}
 */
export function askForUser(users) {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "who-title" });
  const head = h("div", {}, h("h2", { id: "who-title" }, "Who are you?"));
  const body = h("div", { class: "dialog-body" }, head);
  dialog.append(body);
  document.body.append(dialog);
  return new Promise((resolve) => {
    /** @param {string} id */
    const finish = (id) => {
      dialog.remove();
      resolve(id);
    };
    if (users) {
      head.append(h("p", { class: "hint" }, "Pick a ready-made user. Another tab can be somebody else."));
      const cards = users.map((user) => personCard(user, { onPick: () => finish(user.id) }));
      body.append(h("div", { class: "people" }, cards));
    } else {
      /** @param {Person} user @param {string} token */
      const accept = (user, token) => {
        keepToken(token);
        finish(user.id);
      };
      head.append(h("p", { class: "hint" }, "The link that the server printed to its terminal has ready-made users."));
      body.append(tokenForm({ label: "Paste your token", button: "Continue", accept }));
    }
    // A browser lets a page refuse the first Escape only, so the question is asked again.
    dialog.addEventListener("close", () => dialog.isConnected && dialog.showModal());
    dialog.showModal();
  });
}
