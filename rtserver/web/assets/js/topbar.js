// Top bar: connection status, user menu and the bell's badge; and the banner below it.
import { Notifications } from "../../client/notifications.js";
import { byId, h, icon } from "./dom.js";
import { avatar, personCard } from "./people.js";
import { PATH } from "./server_path.js";
import { addressFor, forgetUser } from "./session.js";
import { refusal } from "./text_format.js";

/** @typedef {import("../../client/connection.js").Connection} Connection */
/** @typedef {import("./session.js").User} User */
/** @typedef {import("./session.js").Person} Person */

const LABELS = { connecting: "Connecting", online: "Live", offline: "Offline", refused: "Not connected" };

/** @param {Connection} connection */
export function showStatus(connection) {
  const lamp = h("span", { class: "lamp" });
  const label = h("span", {});
  byId("status").replaceChildren(h("span", { class: "status" }, lamp, label));
  connection.watchTransport((state) => {
    lamp.dataset.state = state;
    label.textContent = state === "online" && connection.transport ? `Live, ${connection.transport}` : LABELS[state];
  });
}

/**
 * Show a lost or refused connection in the banner, with the way to connect again.
 * @param {Connection} connection
 * @param {{offline: string}} texts
 */
export function showConnectionProblems(connection, { offline }) {
  connection.watch((state) => {
    if (state === "offline") showBanner(offline, { icon: "unplug" });
    else if (state === "refused") showRefusal(connection);
    else hideBanner();
  });
}

/** @param {Connection} connection */
function showRefusal(connection) {
  const problem = connection.problem ?? { message: "" };
  const closed = problem.code === "closed";
  const text = closed ? "The server closed this connection. Somebody may have disconnected you." : refusal(problem);
  const retry = h(
    "button",
    { class: "button quiet small", type: "button", on: { click: () => connection.retry() } },
    closed ? "Connect again" : "Try again",
  );
  showBanner(text, { tone: "bad", icon: "warning", action: retry, code: closed ? undefined : problem.code });
}

/**
 * @param {string} text
 * @param {{tone?: "warn" | "bad", icon?: string, action?: Node | undefined, code?: string | undefined}} options
 */
function showBanner(text, { tone = "warn", icon: name = "warning", action, code }) {
  const banner = byId("banner");
  banner.hidden = false;
  banner.dataset.tone = tone;
  banner.replaceChildren(icon(name), h("span", {}, text), ...(code ? [h("code", {}, code)] : []));
  if (action) banner.append(action);
}

function hideBanner() {
  const banner = byId("banner");
  banner.hidden = true;
  banner.replaceChildren();
}

export function showClientMissing() {
  showBanner(
    "The Socket.IO client for browsers is not installed with this server. " +
      "Install Node.js with npm, run “make setup”, then reload this page.",
    { tone: "bad" },
  );
}

/**
 * The menu behind the avatar: the user, and the users to switch to.
 * @param {User} user
 * @param {Person[] | null} users
 */
export function showUser(user, users) {
  const summary = h(
    "summary",
    { "aria-label": `You are ${user.name}. Switch user` },
    avatar(user, { small: true }),
    h("span", { class: "menu-name" }, user.name),
    icon("chevron"),
  );
  const menu = h("details", { class: "menu" }, summary, menuSheet(user, users));
  byId("user").replaceChildren(menu);
  document.addEventListener("click", (event) => {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    summary.focus();
  });
  keepUserInLinks(user, users);
}

/** @param {User} user @param {Person[] | null} users */
function menuSheet(user, users) {
  const sheet = h("div", { class: "menu-sheet" });
  const others = (users ?? []).filter((other) => other.id !== user.id);
  if (others.length) {
    const here = others.map((other) => personCard(other, { href: addressFor(other.id) }));
    const elsewhere = others
      .slice(0, 2)
      .map((other) => personCard(other, { note: "new tab", href: addressFor(other.id), target: "_blank" }));
    sheet.append(h("h2", {}, "Switch this tab to"), ...here, h("hr"));
    sheet.append(h("h2", {}, "Open a second tab as"), ...elsewhere);
  } else {
    const leave = () => {
      forgetUser();
      location.reload();
    };
    const props = { class: "side-item", type: "button", on: { click: leave } };
    sheet.append(h("button", props, icon("leave"), "Use another token"));
  }
  return sheet;
}

/**
 * Links to the other pages stay with this tab's user, also when opened in a new tab.
 * @param {User} user
 * @param {Person[] | null} users
 */
function keepUserInLinks(user, users) {
  if (!users) return;
  for (const link of userLinks()) link.href = addressFor(user.id, new URL(link.href).pathname);
}

/** The links of the page that carry the user. @returns {Iterable<HTMLAnchorElement>} */
export function userLinks() {
  return document.querySelectorAll("a[data-keep-user]");
}

/** Keep the bell's number up to date, over its own namespace on the same connection. @param {User} user */
export async function watchBell(user) {
  const notifications = await Notifications.connect("", { path: PATH, token: user.token });
  notifications.on("change", () => setBell(notifications.unread));
  return notifications;
}

/** @param {number} unread */
export function setBell(unread) {
  const badge = byId("bell-count");
  badge.hidden = !unread;
  badge.textContent = unread > 99 ? "99+" : String(unread);
  byId("bell-words").textContent = unread ? ` (${unread} unread)` : "";
}
