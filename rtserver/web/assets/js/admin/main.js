// Owns the admin page: getting in with a token, then live numbers, clients, announcing, the log.
import { BundleMissing, connect } from "../api.js";
import { $, h, icon } from "../dom.js";
import { avatar, tokenForm } from "../people.js";
import { adminUser, fromToken, keepAdminToken, readyTokens } from "../session.js";
import { bundleHint, showStatus, showTrouble } from "../topbar.js";
import { Announce } from "./announce.js";
import { Clients } from "./clients.js";
import { log, showEmptyLog } from "./log.js";
import { Tiles } from "./tiles.js";

const OFFLINE = "The connection is lost. The numbers stand still until it is back.";
const RELOAD_CLIENTS = 10_000; // ms

const tokens = await readyTokens();
if (!tokens) for (const link of document.querySelectorAll("a[data-keep-user]")) link.hidden = true;

const person = await adminUser();
if (person) enter(person);
else gate();

function gate() {
  const accept = (_, token) => {
    keepAdminToken(token);
    $("gate").hidden = true;
    enter(fromToken(token));
  };
  if (!$("gate").querySelector("form")) {
    $("gate").append(tokenForm({ label: "Admin token", button: "Connect", accept, command: "rtserver token --sub me --role admin --ttl 1h" }));
  }
  $("gate").hidden = false;
  $("token").focus();
}

async function enter(user) {
  whoAmI(user);
  try {
    const connection = await connect("/admin", user);
    showStatus(connection);
    showTrouble(connection, { offline: OFFLINE });
    run(connection, user);
  } catch (error) {
    if (!(error instanceof BundleMissing)) throw error;
    bundleHint();
  }
}

function run(connection, user) {
  const tiles = new Tiles();
  const clients = new Clients(connection);
  const announce = new Announce(connection);
  showEmptyLog();
  connection.on("welcome", ({ role, version, instance }) => {
    $("welcome").textContent = `rtserver ${version}, instance ${instance}, as ${user.name} (${role})`;
    clients.allow(role === "admin");
    announce.allow(role === "admin");
    clients.load();
  });
  connection.on("stats", (stats) => {
    tiles.show(stats);
    announce.offer(["/chat", "/notifications", ...Object.keys(stats.total.connections)]);
  });
  connection.on("log", log);
  connection.watch((state) => {
    if (state === "online") $("console").hidden = false;
    if (state === "refused" && connection.problem.code !== "closed") refused();
  });
  setInterval(() => idle() && connection.online && clients.load(), RELOAD_CLIENTS);
}

/** The table is not redrawn under somebody who works in it. */
function idle() {
  return document.visibilityState === "visible" && !$("confirm").open && !$("clients").contains(document.activeElement);
}

function refused() {
  keepAdminToken(null);
  $("console").hidden = true;
  if (!tokens) gate();
}

function whoAmI(user) {
  const leave = () => {
    keepAdminToken(null);
    location.reload();
  };
  const out = h("button", { class: "icon-button", type: "button", "aria-label": "Forget this token", title: "Forget this token", on: { click: leave } }, icon("leave"));
  $("user").replaceChildren(h("span", { class: "status" }, avatar(user, { small: true }), ...(tokens ? [] : [out])));
}
