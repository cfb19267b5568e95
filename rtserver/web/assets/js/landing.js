// Owns the landing page: is everything well, who is this tab, and code to start from.
import { BundleMissing, connect } from "./api.js";
import { showCode } from "./code.js";
import { $, h } from "./dom.js";
import { personCard, tokenForm } from "./people.js";
import { addressFor, choose, currentUser, keepToken, readyTokens } from "./session.js";
import { bundleHint, setBell, showUser } from "./topbar.js";
import { refusal } from "./words.js";

const CHECK_EVERY = 5000; // ms
const NAMES = { database: "Database", redis: "Redis" };

const vitals = new Map();

function vital(name, value, state) {
  if (!vitals.has(name)) {
    const lamp = h("span", { class: "lamp" });
    const words = h("span", {});
    $("vitals").append(h("div", { class: "vital" }, h("dt", {}, name), h("dd", {}, lamp, words)));
    vitals.set(name, { lamp, words });
  }
  const { lamp, words } = vitals.get(name);
  lamp.dataset.state = state;
  words.textContent = value;
}

async function json(path) {
  try {
    return await (await fetch(path, { cache: "no-store" })).json();
  } catch {
    return null;
  }
}

async function check() {
  const [alive, ready] = await Promise.all([json("/healthz"), json("/readyz")]);
  const version = alive?.version ? `, ${alive.version}` : "";
  vital("Server", alive ? `Running${version}` : "No answer", alive ? "online" : "refused");
  for (const [name, state] of Object.entries(ready?.checks ?? {})) {
    vital(NAMES[name] ?? name, state === "ok" ? "Ready" : "Down", state === "ok" ? "online" : "refused");
  }
  if (ready && !ready.checks?.redis) vital("Redis", "Not configured", "");
}

async function connection(user) {
  try {
    const link = await connect("/notifications", user);
    let unread = 0;
    link.on("unread", ({ count }) => setBell((unread = count)));
    link.on("notification", () => setBell((unread += 1)));
    const words = { connecting: "Connecting", online: "Connected", offline: "Connecting again" };
    link.watchTransport((state) => {
      const via = state === "online" && link.transport ? `, ${link.transport}` : "";
      vital("Socket.IO", state === "refused" ? refusal(link.problem) : words[state] + via, state);
    });
  } catch (error) {
    if (!(error instanceof BundleMissing)) throw error;
    vital("Socket.IO", "Client not installed", "refused");
    bundleHint();
  }
}

function cast(users, user) {
  const pick = ({ id }) => {
    choose(id);
    location.assign(addressFor(id, "/"));
  };
  $("cast").replaceChildren(...users.map((one) => personCard(one, { pressed: one.id === user?.id, onPick: pick })));
  if (!user) return;
  const other = users.find((one) => one.id !== user.id);
  if (!other) return;
  $("second").hidden = false;
  $("second").replaceChildren(h("a", { href: addressFor(other.id, "/chat"), target: "_blank", rel: "noopener" }, `Open the chat as ${other.name} in a new tab`));
}

function paste(user) {
  $("who-hint").textContent = user
    ? `This tab is ${user.name} (${user.id}).`
    : "Ready-made users are there on the server's own machine only. Paste a token to go on from here.";
  const accept = (_, token) => (keepToken(token), location.reload());
  if (!user) $("cast").append(tokenForm({ label: "Your token", button: "Use this token", accept }));
}

const origin = location.origin;
$("origin").textContent = location.host;
showCode($("browser-code"), `import { io } from
  "${origin}/socket.io/socket.io.esm.min.js";

const chat = io("${origin}/chat", {
  auth: { token },
});
chat.on("message", ({ from, text }) => {
  console.log(from.name, text);
});
await chat.emitWithAck("join", { room: "general" });
await chat.emitWithAck("message", {
  room: "general",
  text: "Hello",
});`);
showCode($("backend-code"), `import json, os, urllib.request

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
))`);

const users = (await readyTokens())?.users ?? null;
const user = await currentUser();
if (users) cast(users, user);
else paste(user);
vital("Server", "Checking", "connecting");
await check();
setInterval(check, CHECK_EVERY);
if (user) {
  showUser(user, users);
  await connection(user);
} else vital("Socket.IO", "Pick a user", "");
