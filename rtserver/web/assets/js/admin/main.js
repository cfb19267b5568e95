// Admin page: sign-in with a token, then live numbers, clients, announcements and the log.
import { ClientMissing, connect } from "../../../client/connection.js";
import { byId, dialog, h, icon } from "../dom.js";
import { avatar, tokenForm } from "../people.js";
import { PATH } from "../server_path.js";
import { adminUser, keepAdminToken, readyTokens } from "../session.js";
import { showClientMissing, showConnectionProblems, showStatus, userLinks } from "../topbar.js";
import { AnnounceForm } from "./announce.js";
import { Clients } from "./clients.js";
import { addLogEntry, showEmptyLog } from "./log.js";
import { Tiles } from "./tiles.js";

/** @typedef {import("../../../client/connection.js").Connection} Connection */
/** @typedef {import("../session.js").User} User */

const OFFLINE = "The connection is lost. The numbers stand still until it is back.";
const RELOAD_CLIENTS = 10_000; // ms

const tokens = await readyTokens();
if (!tokens) for (const link of userLinks()) link.hidden = true;

const known = await adminUser();
if (known) enter(known);
else askForToken();

function askForToken() {
  const gate = byId("gate");
  /** @param {User} user @param {string} token */
  const accept = (user, token) => {
    keepAdminToken(token);
    gate.hidden = true;
    enter(user);
  };
  if (!gate.querySelector("form")) {
    const command = "rtserver token --sub me --role admin --ttl 1h";
    gate.append(tokenForm({ label: "Admin token", button: "Connect", accept, command }));
  }
  gate.hidden = false;
  byId("token").focus();
}

/** @param {User} user */
async function enter(user) {
  showAdmin(user);
  try {
    const connection = await connect("", "/admin", { path: PATH, token: user.token });
    showStatus(connection);
    showConnectionProblems(connection, { offline: OFFLINE });
    run(connection, user);
  } catch (error) {
    if (!(error instanceof ClientMissing)) throw error;
    showClientMissing();
  }
}

/** @param {Connection} connection @param {User} user */
function run(connection, user) {
  const tiles = new Tiles();
  const clients = new Clients(connection);
  const announce = new AnnounceForm(connection);
  showEmptyLog();
  connection.socket.on("welcome", ({ role, version, instance }) => {
    byId("welcome").textContent = `rtserver ${version}, instance ${instance}, as ${user.name} (${role})`;
    clients.allow(role === "admin");
    announce.allow(role === "admin");
    clients.load();
  });
  connection.socket.on("stats", (stats) => {
    tiles.show(stats);
    announce.offer(["/chat", "/notifications", ...Object.keys(stats.total.connections)]);
  });
  connection.socket.on("log", addLogEntry);
  connection.watch((state) => {
    if (state === "online") byId("console").hidden = false;
    if (state === "refused" && connection.problem?.code !== "closed") onRefused();
  });
  setInterval(() => idle() && connection.online && clients.load(), RELOAD_CLIENTS);
}

/** Whether the table may be redrawn: not while it is in use. */
function idle() {
  const inUse = dialog("confirm").open || byId("clients").contains(document.activeElement);
  return document.visibilityState === "visible" && !inUse;
}

function onRefused() {
  keepAdminToken(null);
  byId("console").hidden = true;
  if (!tokens) askForToken();
}

/** @param {User} user */
function showAdmin(user) {
  const leave = () => {
    keepAdminToken(null);
    location.reload();
  };
  const label = "Forget this token";
  const props = { class: "icon-button", type: "button", "aria-label": label, title: label, on: { click: leave } };
  const status = h("span", { class: "status" }, avatar(user, { small: true }));
  if (!tokens) status.append(h("button", props, icon("leave")));
  byId("user").replaceChildren(status);
}
