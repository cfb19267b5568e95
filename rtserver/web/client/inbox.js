// Inbox: the notifications that are loaded, and the counts of unread and unseen ones. Pure: no server, no page.

/**
 * A notification as docs/events.md has it.
 * @typedef {object} Note
 * @property {string} id
 * @property {number} seq
 * @property {string} type
 * @property {string} message
 * @property {any} data
 * @property {string} createdAt
 * @property {string | null} [expiresAt]
 * @property {boolean} read
 * @property {boolean} seen
 * @property {number} count of the group
 * @property {boolean} [silent] quiet hours: no sound
 * @property {boolean} [muted]
 */
/** @typedef {{ids?: string[], upTo?: number, all?: boolean}} Which these, those up to a seq, or all */

export class Inbox {
  /** @type {Map<string, Note>} by id */
  notes = new Map();
  unread = 0;
  unseen = 0;
  /** @type {Set<string>} all types that were ever here */
  types = new Set();
  hasOlder = false;
  /** @type {(() => void)[] | null} changes while the list is being requested */
  #changes = null;

  /** The list is being requested: changes from now on are newer than the answer. */
  beginRequest() {
    this.#changes = [];
  }

  /**
   * Begin anew with the answer and the changes since it was requested; without an answer nothing changes.
   * @param {Note[] | undefined} notifications
   */
  endRequest(notifications) {
    const changes = this.#changes ?? [];
    this.#changes = null;
    if (!notifications) return;
    this.notes.clear();
    this.add(notifications);
    for (const apply of changes) apply();
  }

  /** Merge notifications from an answer or an event. @param {Note[]} notifications */
  add(notifications) {
    this.#changes?.push(() => this.add(notifications));
    for (const note of notifications) {
      this.notes.set(note.id, note);
      this.types.add(note.type);
    }
  }

  /** Whether it adds to the unread count: a group that has grown was counted when it began. @param {Note} note */
  addsToUnread(note) {
    return !note.read && note.count === 1;
  }

  /**
   * The notifications that pass the filters and have not expired, newest first.
   * @param {{unreadOnly: boolean, type: string}} filters
   */
  shown({ unreadOnly, type }) {
    const now = Date.now();
    /** @param {Note} note */
    const wanted = (note) => (!unreadOnly || !note.read) && (!type || note.type === type) && !(expiry(note) <= now);
    return [...this.notes.values()].filter(wanted).sort((a, b) => b.seq - a.seq);
  }

  /** When the next one expires, in milliseconds from now; Infinity for never. */
  get nextExpiry() {
    const now = Date.now();
    const left = [...this.notes.values()].map((note) => expiry(note) - now);
    return Math.min(Infinity, ...left.filter((time) => time > 0));
  }

  get newestSeq() {
    return Math.max(0, ...[...this.notes.values()].map((note) => note.seq));
  }

  get oldestSeq() {
    return Math.min(...[...this.notes.values()].map((note) => note.seq));
  }

  /** Mark as read, and seen. @param {Which} which */
  markRead(which) {
    this.#mark(which, { read: true, seen: true });
  }

  /** @param {Which} which */
  markSeen(which) {
    this.#mark(which, { seen: true });
  }

  /** @param {Which} which @param {Partial<Note>} change */
  #mark({ ids, upTo = Infinity }, change) {
    this.#changes?.push(() => this.#mark({ ...(ids && { ids }), upTo }, change));
    for (const [id, note] of this.notes) {
      if (ids?.includes(id) ?? note.seq <= upTo) this.notes.set(id, { ...note, ...change });
    }
  }

  /** @param {string[]} ids */
  remove(ids) {
    this.#changes?.push(() => this.remove(ids));
    for (const id of ids) this.notes.delete(id);
  }
}

/** In milliseconds; NaN for never. @param {Note} note */
const expiry = (note) => Date.parse(note.expiresAt ?? "");
