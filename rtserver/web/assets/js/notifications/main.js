// Owns the notifications page: the list in step with the server and with the user's other devices.
import { connect } from "../api.js";
import { $, h, icon } from "../dom.js";
import { start } from "../start.js";
import { toast } from "../toast.js";
import { setBell, showStatus, showTrouble } from "../topbar.js";
import { count, failure } from "../words.js";
import { watchForm } from "./command.js";
import { Inbox } from "./inbox.js";
import { noteRow } from "./row.js";

const PAGE = 30;
const OFFLINE = "The connection is lost. New notifications appear as soon as it is back.";

start(async (user, users) => {
  watchForm(user, users);
  const connection = await connect("/notifications", user);
  new NotificationsPage(connection);
  showStatus(connection);
  showTrouble(connection, { offline: OFFLINE });
});

class NotificationsPage {
  #inbox = new Inbox();
  #unreadOnly = false;
  #fresh = new Set(); // ids that arrived while the page was open

  constructor(connection) {
    this.connection = connection;
    connection.on("unread", ({ count: unread }) => this.#counted(unread));
    connection.on("notification", (note) => this.#arrived(note));
    connection.on("read", ({ ids, unread }) => (this.#inbox.read(ids ?? null), this.#counted(unread)));
    connection.on("deleted", ({ ids, unread }) => (this.#inbox.remove(ids), this.#counted(unread)));
    connection.watch((state) => state === "online" && this.#load());
    $("read-all").addEventListener("click", () => this.#do("read", { all: true }, () => this.#inbox.read(null)));
    $("show-all").addEventListener("click", () => this.#filter(false));
    $("show-unread").addEventListener("click", () => this.#filter(true));
    $("more").addEventListener("click", () => this.#older());
  }

  /** Begin with the newest page: whatever changed while offline is in it. */
  async #load() {
    const answer = await this.#ask({});
    if (!answer) return;
    this.#inbox.notes.clear();
    this.#take(answer);
  }

  async #older() {
    const answer = await this.#ask({ before: this.#inbox.oldest });
    if (answer) this.#take(answer);
  }

  async #ask(payload) {
    try {
      return await this.connection.call("list", { ...payload, limit: PAGE, unread: this.#unreadOnly });
    } catch (error) {
      if (error.code !== "offline") toast(failure(error));
      return null;
    }
  }

  #take({ notifications, more }) {
    this.#inbox.add(notifications);
    this.#inbox.more = more;
    this.#show();
  }

  #filter(unreadOnly) {
    this.#unreadOnly = unreadOnly;
    $("show-all").setAttribute("aria-pressed", String(!unreadOnly));
    $("show-unread").setAttribute("aria-pressed", String(unreadOnly));
    this.#load();
  }

  #arrived(note) {
    this.#inbox.add([note]);
    this.#fresh.add(note.id);
    const line = h("p", {}, `New notification: ${note.message}`);
    $("announcer").append(line);
    setTimeout(() => line.remove(), 10_000);
    $("bell").classList.remove("rings");
    requestAnimationFrame(() => $("bell").classList.add("rings"));
    this.#counted(this.#inbox.unread + (note.read ? 0 : 1));
  }

  #counted(unread) {
    this.#inbox.unread = unread;
    this.#show();
  }

  async #do(event, payload, apply) {
    try {
      const { unread } = await this.connection.call(event, payload);
      apply();
      this.#counted(unread);
    } catch (error) {
      toast(failure(error));
    }
  }

  #show() {
    const { unread, more } = this.#inbox;
    const notes = this.#inbox.shown({ unreadOnly: this.#unreadOnly });
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
      remove: () => this.#do("delete", { ids: [note.id] }, () => this.#inbox.remove([note.id])),
    });
  }

  #empty() {
    const words = this.#unreadOnly ? "You have read everything." : "Nothing yet. Push one with the command on this page.";
    return h("li", { class: "blank" }, icon("bell"), h("strong", {}, this.#unreadOnly ? "No unread notifications" : "No notifications"), h("span", {}, words));
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
