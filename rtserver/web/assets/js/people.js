// Owns how a person looks (avatar, name) and the ways to choose who you are.
import { h } from "./dom.js";
import { fromToken, keepToken } from "./session.js";

const TINTS = 8;

export function avatar({ id, name }, { small = false, online = null } = {}) {
  const face = h("span", { class: small ? "avatar small" : "avatar", "aria-hidden": "true", dataset: { tint: tint(id) } });
  face.append(initials(name || id));
  if (online !== null) face.append(h("span", { class: "presence", dataset: { online } }));
  return face;
}

function initials(name) {
  const words = name.trim().split(/[\s._@-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join("") || "?";
}

function tint(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + char.codePointAt(0)) % 9973;
  return String(sum % TINTS);
}

/** A button (or link, with `href`) that stands for one person. */
export function personCard(user, { note = user.id, href = null, pressed = null, onPick = null, target = null } = {}) {
  const text = h("span", { class: "person-text" }, h("strong", {}, user.name), h("small", {}, note));
  const props = { class: "person", ...(href ? { href, target, rel: target && "noopener" } : { type: "button" }) };
  if (pressed !== null) props["aria-pressed"] = String(pressed);
  if (onPick) props.on = { click: () => onPick(user) };
  return h(href ? "a" : "button", props, avatar(user), text);
}

/** A form that takes a pasted token; `accept(person, token)` runs with one that can be read. */
export function tokenForm({ label, button, accept, command = "rtserver token --sub alice --name Alice --ttl 1h" }) {
  const input = h("textarea", { class: "input", id: "token", rows: 4, required: true, spellcheck: "false", autocomplete: "off", "aria-describedby": "token-note" });
  const note = h("p", { class: "hint", id: "token-note" }, "Make one with ", h("code", {}, command), ". It stays in this tab.");
  const problem = h("p", { class: "problem", role: "alert" });
  const submit = (event) => {
    event.preventDefault();
    const token = input.value.trim();
    const person = fromToken(token);
    input.setAttribute("aria-invalid", String(!person));
    problem.textContent = person ? "" : "This does not look like a token: three parts with dots between them.";
    if (person) accept(person, token);
  };
  return h("form", { on: { submit } }, h("div", { class: "field" }, h("label", { for: "token" }, label), input, note, problem), h("button", { class: "button" }, button));
}

/** Ask who this tab is: one of the ready-made users, or a pasted token. Resolves to the page's new address. */
export function askWho(users) {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "who-title" });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  const head = h("div", {}, h("h2", { id: "who-title" }, "Who are you?"));
  const body = h("div", { class: "dialog-body" }, head);
  dialog.append(body);
  document.body.append(dialog);
  return new Promise((done) => {
    const finish = (choice) => {
      dialog.close();
      dialog.remove();
      done(choice);
    };
    if (users) {
      head.append(h("p", { class: "hint" }, "Pick a ready-made user. Another tab can be somebody else."));
      body.append(h("div", { class: "people" }, users.map((user) => personCard(user, { onPick: () => finish(user.id) }))));
    } else {
      const accept = (person, token) => {
        keepToken(token);
        finish(person.id);
      };
      body.append(tokenForm({ label: "Paste your token", button: "Continue", accept }));
    }
    dialog.showModal();
  });
}
