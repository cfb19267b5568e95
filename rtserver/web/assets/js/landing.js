// Landing page: health of the server, the user of this tab, and code to start from.

import { ClientMissing, connect } from "../../client/connection.js";
import { showCode } from "./code_block.js";
import { byId, h } from "./dom.js";
import { personCard, tokenForm } from "./people.js";
import { PATH } from "./server_path.js";
import { addressFor, chooseUser, currentUser, keepToken, readyTokens } from "./session.js";
import { refusal } from "./text_format.js";
import { setBell, showClientMissing, showUser } from "./topbar.js";

/** @typedef {import("./session.js").User} User */
/** @typedef {import("./session.js").Person} Person */

const CHECK_EVERY = 5000; // ms
/** @type {Record<string, string>} */
const NAMES = { database: "Database", redis: "Redis" };

/** @type {Map<string, {lamp: HTMLElement, text: HTMLElement}>} */
const vitals = new Map();

/** @param {string} name @param {string} value @param {string} state of the lamp */
function showVital(name, value, state) {
  const vital = vitals.get(name) ?? addVital(name);
  vital.lamp.dataset.state = state;
  vital.text.textContent = value;
}

/** @param {string} name */
function addVital(name) {
  const vital = { lamp: h("span", { class: "lamp" }), text: h("span", {}) };
  byId("vitals").append(h("div", { class: "vital" }, h("dt", {}, name), h("dd", {}, vital.lamp, vital.text)));
  vitals.set(name, vital);
  return vital;
}

/** The JSON at `path`, or null without an answer. @param {string} path */
async function fetchJson(path) {
  try {
    return await (await fetch(path, { cache: "no-store" })).json();
  } catch {
    return null;
  }
}

async function checkHealth() {
  const [alive, ready] = await Promise.all([fetchJson("/healthz"), fetchJson("/readyz")]);
  const version = alive?.version ? `, ${alive.version}` : "";
  showVital("Server", alive ? `Running${version}` : "No answer", alive ? "online" : "refused");
  for (const [name, state] of Object.entries(ready?.checks ?? {})) {
    showVital(NAMES[name] ?? name, state === "ok" ? "Ready" : "Down", state === "ok" ? "online" : "refused");
  }
  if (ready && !ready.checks?.redis) showVital("Redis", "Not configured", "");
}

/** @param {User} user */
async function showConnection(user) {
  try {
    const connection = await connect("", "/notifications", { path: PATH, token: user.token });
    let unread = 0;
    connection.socket.on("unread", ({ count }) => {
      unread = count;
      setBell(unread);
    });
    connection.socket.on("notification", () => {
      unread += 1;
      setBell(unread);
    });
    const texts = { connecting: "Connecting", online: "Connected", offline: "Connecting again" };
    connection.watchTransport((state) => {
      const via = state === "online" && connection.transport ? `, ${connection.transport}` : "";
      const text = state === "refused" ? refusal(connection.problem ?? { message: "" }) : texts[state] + via;
      showVital("Socket.IO", text, state);
    });
  } catch (error) {
    if (!(error instanceof ClientMissing)) throw error;
    showVital("Socket.IO", "Client not installed", "refused");
    showClientMissing();
  }
}

/** The ready-made users to choose from. @param {Person[]} users @param {User | null} user */
function showUsers(users, user) {
  /** @param {Person} person */
  const onPick = ({ id }) => {
    chooseUser(id);
    location.assign(addressFor(id, "/"));
  };
  const cards = users.map((person) => personCard(person, { pressed: person.id === user?.id, onPick }));
  byId("cast").replaceChildren(...cards);
  const other = user && users.find((person) => person.id !== user.id);
  if (!other) return;
  const link = { href: addressFor(other.id, "/chat"), target: "_blank", rel: "noopener" };
  byId("second").hidden = false;
  byId("second").replaceChildren(h("a", link, `Open the chat as ${other.name} in a new tab`));
}

/** @param {User | null} user */
function showTokenForm(user) {
  byId("who-hint").textContent = user
    ? `This tab is ${user.name} (${user.id}).`
    : "Open the link that the server printed to its terminal for ready-made users, or paste a token.";
  if (user) return;
  /** @param {User} _ @param {string} token */
  const accept = (_, token) => {
    keepToken(token);
    location.reload();
  };
  byId("cast").append(tokenForm({ label: "Your token", button: "Use this token", accept }));
}

const origin = location.origin;
byId("origin").textContent = location.host;
showCode(
  byId("browser-code"),
  `import { io } from
  "${origin}${PATH}/socket.io.esm.min.js";

const chat = io("${origin}/chat", {
  auth: { token },${PATH === "/socket.io" ? "" : `\n  path: "${PATH}",`}
});
// And again after every reconnect.
chat.on("connect", async () => {
  await chat.emitWithAck("join", { room: "general" });
});
chat.on("message", ({ from, text }) => {
  console.log(from.name, text);
});
const send = (text) =>
  chat.emitWithAck("message", { room: "general", text });`,
);
showCode(
  byId("backend-code"),
  `import json, os, urllib.request

notification = {
    "user": "alice",
    "type": "order.shipped",
    "message": "Your order #1042 has shipped.",
}
urllib.request.urlopen(urllib.request.Request(
    "${origin}/api/notifications",
    json.dumps(notification).encode(),
    {"Authorization": "Bearer " + os.environ["RTSERVER_API_KEY"],
     "Content-Type": "application/json"},
))`,
);

const users = (await readyTokens())?.users ?? null;
const user = await currentUser();
if (users) showUsers(users, user);
else showTokenForm(user);
showVital("Server", "Checking", "connecting");
await checkHealth();
setInterval(checkHealth, CHECK_EVERY);
if (user) {
  showUser(user, users);
  await showConnection(user);
} else {
  showVital("Socket.IO", "Pick a user", "");
}
