// Notifications: one user's inbox, kept in step with the server and with the user's other devices.
// docs/notifications.md shows its use.
//
// 1. `change` is emitted once for all that happens in one turn of the event loop: draw then what is on screen.
// 2. After every connect the list begins anew with the newest page, which has all that was missed.
import { CallError, ClientMissing, Connection, codeOf, connect } from "./connection.js";
import { Emitter } from "./emitter.js";
import { Inbox } from "./inbox.js";

export { CallError, ClientMissing, codeOf };

/** @typedef {import("./connection.js").Announcement} Announcement */
/** @typedef {import("./connection.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./connection.js").Problem} Problem */
/** @typedef {import("./connection.js").Socket} Socket */
/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Token} Token */
/** @typedef {import("./inbox.js").Note} Note */
/** @typedef {import("./inbox.js").Which} Which */
/** @typedef {{from: string, to: string, timeZone: string}} QuietHours */
/** @typedef {{mutedTypes: string[], mutedRooms: string[], quietHours: QuietHours | null}} Preferences */
/** @typedef {{unread: number, unseen: number}} Counts */
/** @typedef {{unreadOnly?: boolean, type?: string}} Filter */

const PAGE = 30;
const RETRY = 2000; // ms until a list that could not be loaded is requested again
const RECOUNT = 200; // ms: one question for a burst of pushes
const LONGEST_TIMER = 2 ** 31 - 2; // ms

/**
 * `error`: a list could not be loaded; it is requested again. `announcement`: an event that `/notifications`
 * itself does not have.
 * @extends {Emitter<{change: [], notification: [Note], preferences: [Preferences], state: [State, Problem | null],
 *   error: [CallError], announcement: [Announcement]}>}
 */
export class Notifications extends Emitter {
  #inbox = new Inbox();
  /** @type {{unreadOnly: boolean, type: string}} */
  #filter = { unreadOnly: false, type: "" };
  #loads = 0; // how often the list was begun anew
  #loadingOlder = false;
  #seenUpTo = 0; // the last seq that was reported as seen
  #changeQueued = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #recount;
  /** @type {ReturnType<typeof setTimeout> | undefined} for the next one that expires */
  #expiry;
  /** whether the list is there */
  loaded = false;
  /** @type {Preferences | null} null: not known */
  preferences = null;

  /**
   * Connect to the server at `url`; empty: the server of this page. With the name of a `device`, its pushes have
   * receipts. Throws ClientMissing, where no `io` is given.
   * @param {string} url
   * @param {ConnectOptions & {device?: string | undefined}} options
   */
  static async connect(url, { device, auth, ...options }) {
    const fields = device === undefined ? { ...auth } : { ...auth, device };
    return new Notifications(await connect(url, "/notifications", { ...options, auth: fields }));
  }

  /** With a socket of your own, connected to `/notifications`. @param {Socket | Connection} socket */
  constructor(socket) {
    super();
    this.connection = socket instanceof Connection ? socket : new Connection(socket);
    const { socket: events } = this.connection;
    events.on("unread", ({ count, unseen, types }) => this.#onCounts({ unread: count, unseen }, Object.keys(types)));
    events.on("notification", (note, confirm) => this.#onNotification(note, confirm));
    events.on("seen", ({ unread, unseen, ...which }) => this.#onMarked({ unread, unseen }, "markSeen", which));
    events.on("read", ({ unread, unseen, ...which }) => this.#onMarked({ unread, unseen }, "markRead", which));
    events.on("deleted", ({ ids, unread, unseen }) => {
      this.#inbox.remove(ids);
      this.#onCounts({ unread, unseen });
    });
    events.on("preferences", (preferences) => this.#onPreferences(preferences));
    this.connection.on("announcement", (announcement) => this.emit("announcement", announcement));
    this.connection.watch((state) => {
      if (state === "online") this.#start();
      this.emit("state", state, this.connection.problem);
    });
  }

  /** Those that pass the filter and have not expired, newest first. */
  get list() {
    return this.#inbox.shown(this.#filter);
  }

  get unread() {
    return this.#inbox.unread;
  }

  /** For a badge. */
  get unseen() {
    return this.#inbox.unseen;
  }

  /** All types that are known, for a filter. */
  get types() {
    return [...this.#inbox.types].sort();
  }

  get hasOlder() {
    return this.#inbox.hasOlder;
  }

  /** @returns {State} */
  get state() {
    return this.connection.state;
  }

  /** Show only these. @param {Filter} filter */
  filter({ unreadOnly = false, type = "" }) {
    this.#filter = { unreadOnly, type };
    return this.#load();
  }

  /** Load the next page. */
  async older() {
    if (!this.hasOlder || this.#loadingOlder) return;
    this.#loadingOlder = true;
    const loads = this.#loads;
    const page = await this.#fetchPage({ before: this.#inbox.oldestSeq });
    this.#loadingOlder = false;
    if (!page || loads !== this.#loads) return; // the list was begun anew
    this.#inbox.add(page.notifications);
    this.#onPage(page);
  }

  /** Report as seen all that is loaded: it is in view, but not yet read. Does nothing while the page is hidden. */
  async seen() {
    const upTo = this.#inbox.newestSeq;
    if (globalThis.document?.hidden || !this.unseen || upTo <= this.#seenUpTo || this.#filter.type) return;
    this.#seenUpTo = upTo;
    try {
      await this.#mark("seen", { upTo }, () => this.#inbox.markSeen({ upTo }));
    } catch (error) {
      this.#seenUpTo = 0;
      throw error;
    }
  }

  /** Mark these as read. Throws CallError. @param {string[]} ids */
  read(ids) {
    return this.#mark("read", { ids }, () => this.#inbox.markRead({ ids }));
  }

  /** Mark all as read, but not what comes in at this very moment. Throws CallError. */
  readAll() {
    const which = this.#filter.type ? { all: true } : { upTo: this.#inbox.newestSeq };
    return this.#mark("read", which, () => this.#inbox.markRead(which));
  }

  /** Delete these. Throws CallError. @param {string[]} ids */
  remove(ids) {
    return this.#mark("delete", { ids }, () => this.#inbox.remove(ids));
  }

  /**
   * Change preferences; what is left out stays as it is. Throws CallError.
   * @param {Partial<Preferences>} changes
   */
  async setPreferences(changes) {
    const { preferences } = await this.connection.call("setPreferences", changes);
    this.#onPreferences(preferences);
  }

  /** End the connection. */
  close() {
    clearTimeout(this.#recount);
    clearTimeout(this.#expiry);
    this.connection.close();
  }

  async #start() {
    await Promise.all([this.#load(), this.#loadPreferences()]);
  }

  /** Begin anew with the newest page, which has all changes that were missed. */
  async #load() {
    this.#loads += 1;
    const load = this.#loads;
    this.#inbox.beginRequest();
    const page = await this.#fetchPage({});
    if (load !== this.#loads) return; // a newer one is under way
    this.#inbox.endRequest(page?.notifications);
    if (page) this.#onPage(page);
    else setTimeout(() => load === this.#loads && this.connection.online && this.#load(), RETRY);
  }

  async #loadPreferences() {
    try {
      const { preferences } = await this.connection.call("preferences");
      this.#onPreferences(preferences);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** @param {object} position @returns {Promise<{notifications: Note[], more: boolean} | null>} null: it failed */
  async #fetchPage(position) {
    const { unreadOnly, type } = this.#filter;
    try {
      return await this.connection.call("list", {
        ...position,
        limit: PAGE,
        unread: unreadOnly,
        type: type || undefined,
      });
    } catch (error) {
      this.#onError(error);
      return null;
    }
  }

  /** @param {{notifications: Note[], more: boolean}} page */
  #onPage({ notifications, more }) {
    this.loaded = true;
    this.#inbox.hasOlder = more;
    const ids = notifications.map(({ id }) => id);
    if (ids.length && this.connection.online) this.connection.socket.emit("delivered", { ids });
    this.#changed();
  }

  /** @param {Note} note @param {(() => void) | undefined} confirm */
  #onNotification(note, confirm) {
    confirm?.();
    if (this.#inbox.addsToUnread(note)) this.#inbox.unread += 1;
    this.#inbox.add([note]);
    this.#recount ??= setTimeout(() => this.#count(), RECOUNT);
    this.#changed();
    this.emit("notification", note);
  }

  /** A group that grows may have been counted already: ask. */
  async #count() {
    this.#recount = undefined;
    try {
      const { count, unseen, types } = await this.connection.call("unread");
      this.#onCounts({ unread: count, unseen }, Object.keys(types));
    } catch {
      // The next connect brings the counts.
    }
  }

  /** @param {Counts} counts @param {string[]} types */
  #onCounts({ unread, unseen }, types = []) {
    Object.assign(this.#inbox, { unread, unseen });
    for (const type of types) this.#inbox.types.add(type);
    this.#changed();
  }

  /** @param {Counts} counts @param {"markRead" | "markSeen"} mark @param {Which} which */
  #onMarked(counts, mark, which) {
    this.#inbox[mark](which);
    this.#onCounts(counts);
  }

  /** @param {Preferences} preferences */
  #onPreferences(preferences) {
    this.preferences = preferences;
    this.emit("preferences", preferences);
  }

  /** A failure that no call can report; the connection's own are the business of `state`. @param {unknown} error */
  #onError(error) {
    if (!(error instanceof CallError)) throw error;
    if (error.code !== "offline") this.emit("error", error);
  }

  /** @param {string} event @param {object} payload @param {() => void} apply */
  async #mark(event, payload, apply) {
    const counts = await this.connection.call(event, payload);
    apply();
    this.#onCounts(counts);
  }

  #changed() {
    if (this.#changeQueued) return;
    this.#changeQueued = true;
    queueMicrotask(() => {
      this.#changeQueued = false;
      this.#watchExpiry();
      this.emit("change");
    });
  }

  #watchExpiry() {
    clearTimeout(this.#expiry);
    const { nextExpiry } = this.#inbox;
    if (nextExpiry < LONGEST_TIMER) this.#expiry = setTimeout(() => this.#changed(), nextExpiry + 1);
  }
}
