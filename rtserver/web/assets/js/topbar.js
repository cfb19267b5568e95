// Owns the right end of the top bar (connection lamp, user menu), the bell's badge, and the banner below.
import { connect } from "./api.js";
import { $, h, icon } from "./dom.js";
import { avatar, personCard } from "./people.js";
import { addressFor, forgetUser } from "./session.js";
import { refusal } from "./words.js";

const LABELS = { connecting: "Connecting", online: "Live", offline: "Offline", refused: "Not connected" };

export function showStatus(connection) {
  const lamp = h("span", { class: "lamp" });
  const label = h("span", {});
  $("status").replaceChildren(h("span", { class: "status" }, lamp, label));
  connection.watchTransport((state) => {
    lamp.dataset.state = state;
    label.textContent = state === "online" && connection.transport ? `Live, ${connection.transport}` : LABELS[state];
  });
}

/** Tell about a lost or refused connection, and offer the way out of it. */
export function showTrouble(connection, { offline }) {
  connection.watch((state) => {
    if (state === "offline") banner(offline, { icon: "unplug" });
    else if (state === "refused") refused(connection);
    else banner(null);
  });
}

function refused(connection) {
  const { problem } = connection;
  const closed = problem.code === "closed";
  const words = closed ? "The server closed this connection. Somebody may have disconnected you." : refusal(problem);
  const again = h("button", { class: "button quiet small", type: "button", on: { click: () => connection.retry() } }, closed ? "Connect again" : "Try again");
  banner(words, { tone: "bad", icon: "warning", action: again, code: closed ? null : problem.code });
}

export function banner(text, { tone = "warn", icon: name = "warning", action = null, code = null } = {}) {
  const strip = $("banner");
  strip.hidden = text === null;
  if (text === null) return strip.replaceChildren();
  strip.dataset.tone = tone;
  strip.replaceChildren(icon(name), h("span", {}, text), ...(code ? [h("code", {}, code)] : []), ...(action ? [action] : []));
}

export function bundleHint() {
  banner(
    "The Socket.IO client for browsers is not installed with this server. Install Node.js with npm, run “make setup”, then reload this page.",
    { tone: "bad" },
  );
}

/** The menu behind the avatar: who you are, who else you could be. */
export function showUser(user, users) {
  const summary = h("summary", { "aria-label": `You are ${user.name}. Switch user` }, avatar(user, { small: true }), h("span", { class: "menu-name" }, user.name), icon("chevron"));
  const sheet = h("div", { class: "menu-sheet" });
  const others = (users ?? []).filter((other) => other.id !== user.id);
  if (others.length) {
    sheet.append(h("h2", {}, "Switch this tab to"), ...others.map((other) => personCard(other, { href: addressFor(other.id) })), h("hr"));
    sheet.append(h("h2", {}, "Open a second tab as"), ...others.slice(0, 2).map((other) => personCard(other, { note: "new tab", href: addressFor(other.id), target: "_blank" })));
  } else {
    const leave = () => (forgetUser(), location.reload());
    sheet.append(h("button", { class: "side-item", type: "button", on: { click: leave } }, icon("leave"), "Use another token"));
  }
  const menu = h("details", { class: "menu" }, summary, sheet);
  $("user").replaceChildren(menu);
  document.addEventListener("click", (event) => menu.contains(event.target) || (menu.open = false));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    summary.focus();
  });
  keepUserInLinks(user, users);
}

/** Links to the other pages stay with this tab's user, also when opened in a new tab. */
function keepUserInLinks(user, users) {
  if (!users) return;
  for (const link of document.querySelectorAll("a[data-keep-user]")) {
    link.href = addressFor(user.id, new URL(link.href).pathname);
  }
}

/** Keep the bell's number in step, over its own namespace on the same connection. */
export async function watchBell(user) {
  const connection = await connect("/notifications", user);
  let count = 0;
  const set = (unread) => setBell((count = unread));
  connection.on("unread", (now) => set(now.count));
  connection.on("read", ({ unread }) => set(unread));
  connection.on("deleted", ({ unread }) => set(unread));
  // A group that has grown was counted when it began.
  connection.on("notification", (note) => set(count + (note.read || note.count > 1 ? 0 : 1)));
}

export function setBell(unread) {
  const badge = $("bell-count");
  badge.hidden = !unread;
  badge.textContent = unread > 99 ? "99+" : String(unread);
  $("bell-words").textContent = unread ? ` (${unread} unread)` : "";
}
