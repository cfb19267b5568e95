// Owns the notifications page: the list in step with the server and with the user's other devices.
import { Alerts } from "../alerts.js";
import { connect } from "../api.js";
import { $, h, icon } from "../dom.js";
import { start } from "../start.js";
import { toast } from "../toast.js";
import { setBell, showStatus, showTrouble } from "../topbar.js";
import { count, failure } from "../words.js";
import { watchForm } from "./command.js";
import { Inbox } from "./inbox.js";
import { Preferences } from "./preferences.js";
import { noteRow } from "./row.js";

const PAGE = 30;
const LONGEST_TIMER = 2 ** 31 - 2; // ms
const OFFLINE = "The connection is lost. New notifications appear as soon as it is back.";

start(async (user, users) => {
  watchForm(user, users);
  const connection = await connect("/notifications", user, { device: device() });
  new NotificationsPage(connection);
  showStatus(connection);
  showTrouble(connection, { offline: OFFLINE });
});

class NotificationsPage {
  #inbox = new Inbox();
  #unreadOnly = false;
  #type = "";
  #fresh = new Set(); // ids that arrived while the page was open
  #expiry = null;
  #loads = 0; // how often the list was begun anew
  #loading = false;
  #seen = 0; // the last seq that was told to have been shown
  #alerts = new Alerts();

  constructor(connection) {
    this.connection = connection;
    this.preferences = new Preferences(connection);
    connection.on("unread", ({ count: unread, unseen, types }) => (this.#typesKnown(types), this.#counted(unread, unseen)));
    connection.on("notification", (note, confirm) => (confirm?.(), this.#arrived(note)));
    connection.on("seen", ({ unread, unseen, ...which }) => (this.#inbox.seen(which), this.#counted(unread, unseen)));
    connection.on("read", ({ ids, unread, unseen }) => (this.#inbox.read(ids ?? null), this.#counted(unread, unseen)));
    connection.on("deleted", ({ ids, unread, unseen }) => (this.#inbox.remove(ids), this.#counted(unread, unseen)));
    connection.watch((state) => state === "online" && this.#load());
    $("read-all").addEventListener("click", () => this.#do("read", { all: true }, () => this.#inbox.read(null)));
    $("show-all").addEventListener("click", () => this.#filter(false));
    $("show-unread").addEventListener("click", () => this.#filter(true));
    $("more").addEventListener("click", () => this.#older());
    $("type-filter").addEventListener("change", (event) => ((this.#type = event.target.value), this.#load()));
    new IntersectionObserver(([end]) => end.isIntersecting && this.#older()).observe($("more"));
    document.addEventListener("visibilitychange", () => this.#look());
    this.#alerts.control($("mute"));
  }

  /** Begin with the newest page: whatever changed while offline is in it. */
  async #load() {
    const load = ++this.#loads;
    this.#inbox.asked();
    const answer = await this.#ask({});
    if (load !== this.#loads) return; // a newer one is under way
    this.#inbox.answered(answer?.notifications);
    if (answer) this.#taken(answer);
  }

  async #older() {
    if (!this.#inbox.more || this.#loading) return;
    this.#loading = true;
    const answer = await this.#ask({ before: this.#inbox.oldest });
    this.#loading = false;
    if (!answer) return;
    this.#inbox.add(answer.notifications);
    this.#taken(answer);
  }

  /** All that is on the page has been before the reader's eyes: new, but not yet dealt with. */
  async #look() {
    const upTo = this.#inbox.newest;
    if (document.visibilityState !== "visible" || !this.#inbox.unseen || upTo <= this.#seen || this.#type) return;
    this.#seen = upTo;
    await this.#do("seen", { upTo }, () => this.#inbox.seen({ upTo }));
  }

  async #ask(payload) {
    try {
      return await this.connection.call("list", { ...payload, limit: PAGE, unread: this.#unreadOnly, type: this.#type || undefined });
    } catch (error) {
      if (error.code !== "offline") toast(failure(error));
      return null;
    }
  }

  #taken({ more }) {
    this.#inbox.more = more;
    this.#typesKnown({});
    this.#show();
    this.#look();
  }

  #typesKnown(types) {
    for (const type of Object.keys(types)) this.#inbox.types.add(type);
    const select = $("type-filter");
    const known = new Set([...select.options].map((option) => option.value));
    select.append(...[...this.#inbox.types].filter((type) => !known.has(type)).sort().map((type) => h("option", { value: type }, type)));
  }

  #filter(unreadOnly) {
    this.#unreadOnly = unreadOnly;
    $("show-all").setAttribute("aria-pressed", String(!unreadOnly));
    $("show-unread").setAttribute("aria-pressed", String(unreadOnly));
    this.#load();
  }

  #arrived(note) {
    const counts = this.#inbox.counts(note);
    this.#inbox.add([note]);
    this.#typesKnown({});
    this.#fresh.add(note.id);
    if (!note.silent) this.#alerts.ring(note.message.slice(0, 60));
    const line = h("p", {}, `New notification: ${note.message}`);
    $("announcer").append(line);
    setTimeout(() => line.remove(), 10_000);
    $("bell").classList.remove("rings");
    requestAnimationFrame(() => $("bell").classList.add("rings"));
    this.#counted(this.#inbox.unread + (counts ? 1 : 0), this.#inbox.unseen + 1);
    this.#look();
  }

  #counted(unread, unseen = this.#inbox.unseen) {
    Object.assign(this.#inbox, { unread, unseen });
    this.#show();
  }

  async #do(event, payload, apply) {
    try {
      const { unread, unseen } = await this.connection.call(event, payload);
      apply();
      this.#counted(unread, unseen);
    } catch (error) {
      if (error.code !== "offline" || event !== "seen") toast(failure(error));
    }
  }

  #show() {
    const { unread, more } = this.#inbox;
    const notes = this.#inbox.shown({ unreadOnly: this.#unreadOnly, type: this.#type });
    clearTimeout(this.#expiry);
    if (this.#inbox.nextExpiry < LONGEST_TIMER) this.#expiry = setTimeout(() => this.#show(), this.#inbox.nextExpiry + 1);
    const focused = focusPlace();
    $("notes").replaceChildren(...(notes.length ? notes.map((note) => this.#row(note)) : [this.#empty()]));
    restoreFocus(focused);
    this.#fresh.clear();
    $("more").hidden = !more;
    $("read-all").disabled = unread === 0;
    $("big-count").hidden = unread === 0;
    $("big-count").textContent = String(unread);
    setBell(unread);
    document.title = `${unread ? `(${unread}) ` : ""}Notifications · rtserver`;
    $("title").textContent = "Notifications";
    $("title").title = count(unread, "unread notification");
  }

  #row(note) {
    return noteRow(note, {
      fresh: this.#fresh.has(note.id),
      read: () => this.#do("read", { ids: [note.id] }, () => this.#inbox.read([note.id])),
      mute: () => this.preferences.mute(note.type),
      remove: () => this.#do("delete", { ids: [note.id] }, () => this.#inbox.remove([note.id])),
    });
  }

  #empty() {
    const words = this.#unreadOnly ? "You have read everything." : "Nothing yet. Push one with the command on this page.";
    return h("li", { class: "blank" }, icon("bell"), h("strong", {}, this.#unreadOnly ? "No unread notifications" : "No notifications"), h("span", {}, words));
  }
}

/** What this browser calls itself, so that the server knows what has arrived here. */
function device() {
  try {
    const known = localStorage.getItem("rtserver.device");
    if (known) return known;
    const made = `browser-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
    localStorage.setItem("rtserver.device", made);
    return made;
  } catch {
    return undefined; // without receipts, then
  }
}

/** Which row and button hold the focus, to give it back to the nearest one after drawing. */
function focusPlace() {
  const rows = [...$("notes").children];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  return at < 0 ? null : at;
}

function restoreFocus(at) {
  if (at === null) return;
  const row = $("notes").children[Math.min(at, $("notes").children.length - 1)];
  row?.querySelector("button")?.focus();
}
