// Notifications page: the list in step with the server and with the user's other devices.
import { Notifications } from "../../../client/notifications.js";
import { Alerts } from "../alerts.js";
import { showAnnouncement } from "../announcements.js";
import { button, byId, h, icon } from "../dom.js";
import { PATH } from "../server_path.js";
import { startSignedIn } from "../sign_in.js";
import { skeletons } from "../skeleton.js";
import { count, failure } from "../text_format.js";
import { toast } from "../toast.js";
import { setBell, showConnectionProblems, showStatus } from "../topbar.js";
import { noteRow } from "./notification_row.js";
import { Preferences } from "./preferences.js";
import { startPushForm } from "./push_form.js";
import { Removals } from "./removals.js";

/** @typedef {import("../../../client/inbox.js").Note} Note */

const SKELETONS = 4;
const ANNOUNCED_FOR = 10_000; // ms
const OFFLINE = "The connection is lost. New notifications appear as soon as it is back.";

startSignedIn(async (user, users) => {
  startPushForm(user, users);
  const notifications = await Notifications.connect("", { path: PATH, token: user.token, device: deviceName() });
  new NotificationsPage(notifications);
  showStatus(notifications.connection);
  showConnectionProblems(notifications.connection, { offline: OFFLINE });
});

class NotificationsPage {
  #unreadOnly = false;
  #type = "";
  /** @type {Set<string>} ids that arrived since the last drawing */
  #arrived = new Set();
  #alerts = new Alerts();

  /** @param {Notifications} notifications */
  constructor(notifications) {
    this.notifications = notifications;
    this.preferences = new Preferences(notifications);
    this.removals = new Removals(notifications, () => this.#show());
    notifications.on("change", () => this.#show());
    notifications.on("notification", (note) => this.#onArrival(note));
    notifications.on("error", (error) => toast(failure(error)));
    notifications.on("announcement", showAnnouncement);
    byId("read-all").addEventListener("click", () => this.#report(notifications.readAll()));
    byId("show-all").addEventListener("click", () => this.#showUnreadOnly(false));
    byId("show-unread").addEventListener("click", () => this.#showUnreadOnly(true));
    byId("more").addEventListener("click", () => notifications.older());
    const types = byId("type-filter", HTMLSelectElement);
    types.addEventListener("change", () => {
      this.#type = types.value;
      this.#filter();
    });
    new IntersectionObserver(([end]) => end?.isIntersecting && notifications.older()).observe(byId("more"));
    document.addEventListener("visibilitychange", () => this.#report(notifications.seen()));
    this.#alerts.control(byId("mute"));
    this.#show();
  }

  /** @param {boolean} unreadOnly */
  #showUnreadOnly(unreadOnly) {
    this.#unreadOnly = unreadOnly;
    byId("show-all").setAttribute("aria-pressed", String(!unreadOnly));
    byId("show-unread").setAttribute("aria-pressed", String(unreadOnly));
    this.#filter();
  }

  #filter() {
    this.notifications.filter({ unreadOnly: this.#unreadOnly, type: this.#type });
  }

  /** Wait for a request and show its failure. @param {Promise<unknown>} request */
  async #report(request) {
    try {
      await request;
    } catch (error) {
      toast(failure(error));
    }
  }

  /** @param {Note} note */
  #onArrival(note) {
    this.#arrived.add(note.id);
    if (!note.silent) this.#alerts.ring(note.message.slice(0, 60));
    const line = h("p", {}, `New notification: ${note.message}`);
    byId("announcer").append(line);
    setTimeout(() => line.remove(), ANNOUNCED_FOR);
    byId("bell").classList.remove("rings");
    requestAnimationFrame(() => byId("bell").classList.add("rings"));
  }

  #show() {
    const { unread, hasOlder, types } = this.notifications;
    this.#offerTypes(types);
    this.#showRows();
    byId("more").hidden = !hasOlder;
    button("read-all").disabled = unread === 0;
    byId("big-count").hidden = unread === 0;
    byId("big-count").textContent = String(unread);
    setBell(unread);
    document.title = `${unread ? `(${unread}) ` : ""}Notifications · rtserver`;
    byId("title").title = count(unread, "unread notification");
    this.notifications.seen().catch(() => {}); // the next drawing tries again
  }

  /** @param {string[]} types */
  #offerTypes(types) {
    const select = byId("type-filter", HTMLSelectElement);
    const known = new Set([...select.options].map((option) => option.value));
    select.append(...types.filter((type) => !known.has(type)).map((type) => h("option", { value: type }, type)));
  }

  #showRows() {
    const notes = this.notifications.list.filter(({ id }) => !this.removals.has(id));
    const focused = focusedRow();
    const rows = notes.map((note) => this.#row(note));
    const others = this.notifications.loaded ? [this.#emptyRow()] : skeletons(SKELETONS);
    byId("notes").replaceChildren(...(rows.length ? rows : others));
    focusRow(focused);
    this.#arrived.clear();
  }

  /** @param {Note} note */
  #row(note) {
    return noteRow(note, {
      arrived: this.#arrived.has(note.id),
      read: () => this.#report(this.notifications.read([note.id])),
      mute: () => this.preferences.mute(note.type),
      remove: () => this.removals.add(note.id),
    });
  }

  #emptyRow() {
    const [title, words] = this.#unreadOnly
      ? ["No unread notifications", "You have read everything."]
      : this.#type
        ? ["No notifications of this type", "Others may be there: show all types."]
        : ["No notifications", "Nothing yet. Push one with the command on this page."];
    return h("li", { class: "blank" }, icon("bell"), h("strong", {}, title), h("span", {}, words));
  }
}

/** The name of this browser, for receipts of delivery. Undefined without storage: then there are no receipts. */
function deviceName() {
  try {
    const known = localStorage.getItem("rtserver.device");
    if (known) return known;
    const made = `browser-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
    localStorage.setItem("rtserver.device", made);
    return made;
  } catch {
    return undefined;
  }
}

/** The index of the row with the focus, to give it back after drawing; -1 for none. */
function focusedRow() {
  return [...byId("notes").children].findIndex((row) => row.contains(document.activeElement));
}

/** @param {number} index */
function focusRow(index) {
  if (index < 0) return;
  const rows = byId("notes").children;
  rows[Math.min(index, rows.length - 1)]?.querySelector("button")?.focus();
}
