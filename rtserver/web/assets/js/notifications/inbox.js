// Owns the notifications this tab has loaded and their number of unread ones. Pure: no server, no page.

export class Inbox {
  notes = new Map(); // id → notification
  unread = 0;
  unseen = 0;
  types = new Set(); // those that were ever seen here
  more = false;
  #since = null; // what happened while the list was asked for

  /** The list is being asked for: what happens from now on is newer than the answer. */
  asked() {
    this.#since = [];
  }

  /** Begin anew with what `list` answered, and with all that happened meanwhile; without an answer go on as before. */
  answered(notifications) {
    const since = this.#since;
    this.#since = null;
    if (!notifications) return;
    this.notes.clear();
    this.add(notifications);
    for (const again of since) again();
  }

  /** Merge what `list` answered or what arrived. */
  add(notifications) {
    this.#since?.push(() => this.add(notifications));
    for (const note of notifications) {
      this.notes.set(note.id, note);
      this.types.add(note.type);
    }
  }

  /** Whether it adds to the number of unread ones: a group that has grown was counted when it began. */
  counts(note) {
    return !note.read && note.count === 1;
  }

  /** Newest first. */
  shown({ unreadOnly, type }) {
    const now = Date.now();
    const wanted = (note) => (!unreadOnly || !note.read) && (!type || note.type === type) && !(Date.parse(note.expiresAt) <= now);
    return [...this.notes.values()].filter(wanted).sort((a, b) => b.seq - a.seq);
  }

  /** When the next one expires, in milliseconds from now; Infinity for never. */
  get nextExpiry() {
    const now = Date.now();
    return Math.min(Infinity, ...[...this.notes.values()].map((note) => Date.parse(note.expiresAt) - now).filter((left) => left > 0));
  }

  get newest() {
    return Math.max(0, ...[...this.notes.values()].map((note) => note.seq));
  }

  get oldest() {
    return Math.min(...[...this.notes.values()].map((note) => note.seq));
  }

  /** `ids` (null means all) were read. */
  read(ids) {
    this.#since?.push(() => this.read(ids));
    for (const id of ids ?? [...this.notes.keys()]) {
      const note = this.notes.get(id);
      if (note) this.notes.set(id, { ...note, read: true });
    }
  }

  /** These, or those up to a `seq`, or all were shown. */
  seen({ ids, upTo = Infinity }) {
    this.#since?.push(() => this.seen({ ids, upTo }));
    for (const [id, note] of this.notes) if (ids?.includes(id) ?? note.seq <= upTo) this.notes.set(id, { ...note, seen: true });
  }

  remove(ids) {
    this.#since?.push(() => this.remove(ids));
    for (const id of ids) this.notes.delete(id);
  }
}
