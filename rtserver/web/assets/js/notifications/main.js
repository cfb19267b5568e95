// Notifications page: the list in step with the server and with the user's other devices.
import { Alerts } from "../alerts.js";
import { codeOf, connect } from "../connection.js";
import { button, byId, h, icon } from "../dom.js";
import { startSignedIn } from "../sign_in.js";
import { count, failure } from "../text_format.js";
import { toast } from "../toast.js";
import { setBell, showConnectionProblems, showStatus } from "../topbar.js";
import { Inbox } from "./inbox.js";
import { noteRow } from "./notification_row.js";
import { Preferences } from "./preferences.js";
import { startPushForm } from "./push_form.js";

/** @typedef {import("../connection.js").Connection} Connection */
/** @typedef {import("./inbox.js").Note} Note */
/** @typedef {{notifications: Note[], more: boolean}} Page */

const PAGE = 30;
const LONGEST_TIMER = 2 ** 31 - 2; // ms
const ANNOUNCED_FOR = 10_000; // ms
const OFFLINE = "The connection is lost. New notifications appear as soon as it is back.";

startSignedIn(async (user, users) => {
  startPushForm(user, users);
  const connection = await connect("/notifications", user, { device: deviceName() });
  new NotificationsPage(connection);
  showStatus(connection);
  showConnectionProblems(connection, { offline: OFFLINE });
});

class NotificationsPage {
  #inbox = new Inbox();
  #unreadOnly = false;
  #type = "";
  /** @type {Set<string>} ids that arrived since the last drawing */
  #arrived = new Set();
  /** @type {number | undefined} timer for the next one that expires */
  #expiry;
  #loads = 0; // how often the list was begun anew
  #loading = false;
  #seenUpTo = 0; // the last seq that was reported as seen
  #alerts = new Alerts();

  /** @param {Connection} connection */
  constructor(connection) {
    this.connection = connection;
    this.preferences = new Preferences(connection);
    this.#watchConnection(connection);
    byId("read-all").addEventListener("click", () => this.#markAllRead());
    byId("show-all").addEventListener("click", () => this.#filter(false));
    byId("show-unread").addEventListener("click", () => this.#filter(true));
    byId("more").addEventListener("click", () => this.#loadOlder());
    const types = byId("type-filter", HTMLSelectElement);
    types.addEventListener("change", () => {
      this.#type = types.value;
      this.#load();
    });
    new IntersectionObserver(([end]) => end?.isIntersecting && this.#loadOlder()).observe(byId("more"));
    document.addEventListener("visibilitychange", () => this.#markSeen());
    this.#alerts.control(byId("mute"));
  }

  /** @param {Connection} connection */
  #watchConnection(connection) {
    connection.on("unread", ({ count: unread, unseen, types }) => {
      this.#addTypes(Object.keys(types));
      this.#setCounts(unread, unseen);
    });
    connection.on("notification", (note, confirm) => {
      confirm?.();
      this.#onArrival(note);
    });
    connection.on("seen", ({ unread, unseen, ...which }) => {
      this.#inbox.markSeen(which);
      this.#setCounts(unread, unseen);
    });
    connection.on("read", ({ ids, unread, unseen }) => {
      this.#inbox.markRead(ids ?? null);
      this.#setCounts(unread, unseen);
    });
    connection.on("deleted", ({ ids, unread, unseen }) => {
      this.#inbox.remove(ids);
      this.#setCounts(unread, unseen);
    });
    connection.watch((state) => state === "online" && this.#load());
  }

  /** Begin anew with the newest page, which has all changes that were missed while offline. */
  async #load() {
    this.#loads += 1;
    const load = this.#loads;
    this.#inbox.beginRequest();
    const page = await this.#fetchPage({});
    if (load !== this.#loads) return; // a newer one is under way
    this.#inbox.endRequest(page?.notifications);
    if (page) this.#onPage(page);
  }

  async #loadOlder() {
    if (!this.#inbox.hasOlder || this.#loading) return;
    this.#loading = true;
    const page = await this.#fetchPage({ before: this.#inbox.oldestSeq });
    this.#loading = false;
    if (!page) return;
    this.#inbox.add(page.notifications);
    this.#onPage(page);
  }

  /** Report as seen all that is on the page: it was in view, but is not yet read. */
  async #markSeen() {
    const upTo = this.#inbox.newestSeq;
    const visible = document.visibilityState === "visible";
    if (!visible || !this.#inbox.unseen || upTo <= this.#seenUpTo || this.#type) return;
    this.#seenUpTo = upTo;
    await this.#call("seen", { upTo }, () => this.#inbox.markSeen({ upTo }));
  }

  #markAllRead() {
    return this.#call("read", { all: true }, () => this.#inbox.markRead(null));
  }

  /** @param {object} position @returns {Promise<Page | null>} null after a failure, which is shown */
  async #fetchPage(position) {
    const filters = { unread: this.#unreadOnly, type: this.#type || undefined };
    try {
      return await this.connection.call("list", { ...position, limit: PAGE, ...filters });
    } catch (error) {
      if (codeOf(error) !== "offline") toast(failure(error));
      return null;
    }
  }

  /** @param {Page} page */
  #onPage({ more }) {
    this.#inbox.hasOlder = more;
    this.#addTypes([]);
    this.#show();
    this.#markSeen();
  }

  /** Offer these types and those of the inbox in the filter. @param {string[]} types */
  #addTypes(types) {
    for (const type of types) this.#inbox.types.add(type);
    const select = byId("type-filter", HTMLSelectElement);
    const known = new Set([...select.options].map((option) => option.value));
    const added = [...this.#inbox.types].filter((type) => !known.has(type));
    select.append(...added.sort().map((type) => h("option", { value: type }, type)));
  }

  /** @param {boolean} unreadOnly */
  #filter(unreadOnly) {
    this.#unreadOnly = unreadOnly;
    byId("show-all").setAttribute("aria-pressed", String(!unreadOnly));
    byId("show-unread").setAttribute("aria-pressed", String(unreadOnly));
    this.#load();
  }

  /** @param {Note} note */
  #onArrival(note) {
    const addsToUnread = this.#inbox.addsToUnread(note);
    this.#inbox.add([note]);
    this.#addTypes([]);
    this.#arrived.add(note.id);
    if (!note.silent) this.#alerts.ring(note.message.slice(0, 60));
    const line = h("p", {}, `New notification: ${note.message}`);
    byId("announcer").append(line);
    setTimeout(() => line.remove(), ANNOUNCED_FOR);
    byId("bell").classList.remove("rings");
    requestAnimationFrame(() => byId("bell").classList.add("rings"));
    this.#setCounts(this.#inbox.unread + (addsToUnread ? 1 : 0), this.#inbox.unseen + 1);
    this.#markSeen();
  }

  /** @param {number} unread @param {number} [unseen] */
  #setCounts(unread, unseen = this.#inbox.unseen) {
    this.#inbox.unread = unread;
    this.#inbox.unseen = unseen;
    this.#show();
  }

  /**
   * Call the server, then `apply()` and take over the counts.
   * @param {string} event
   * @param {object} payload
   * @param {() => void} apply
   */
  async #call(event, payload, apply) {
    try {
      const { unread, unseen } = await this.connection.call(event, payload);
      apply();
      this.#setCounts(unread, unseen);
    } catch (error) {
      if (codeOf(error) !== "offline" || event !== "seen") toast(failure(error));
    }
  }

  #show() {
    const { unread, hasOlder, nextExpiry } = this.#inbox;
    clearTimeout(this.#expiry);
    if (nextExpiry < LONGEST_TIMER) this.#expiry = setTimeout(() => this.#show(), nextExpiry + 1);
    this.#showRows();
    byId("more").hidden = !hasOlder;
    button("read-all").disabled = unread === 0;
    byId("big-count").hidden = unread === 0;
    byId("big-count").textContent = String(unread);
    setBell(unread);
    document.title = `${unread ? `(${unread}) ` : ""}Notifications · rtserver`;
    byId("title").textContent = "Notifications";
    byId("title").title = count(unread, "unread notification");
  }

  #showRows() {
    const notes = this.#inbox.shown({ unreadOnly: this.#unreadOnly, type: this.#type });
    const focused = focusedRow();
    byId("notes").replaceChildren(...(notes.length ? notes.map((note) => this.#row(note)) : [this.#emptyRow()]));
    focusRow(focused);
    this.#arrived.clear();
  }

  /** @param {Note} note */
  #row(note) {
    const ids = [note.id];
    return noteRow(note, {
      arrived: this.#arrived.has(note.id),
      read: () => this.#call("read", { ids }, () => this.#inbox.markRead(ids)),
      mute: () => this.preferences.mute(note.type),
      remove: () => this.#call("delete", { ids }, () => this.#inbox.remove(ids)),
    });
  }

  #emptyRow() {
    const [title, words] = this.#unreadOnly
      ? ["No unread notifications", "You have read everything."]
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
