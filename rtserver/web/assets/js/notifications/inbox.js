// Owns the notifications this tab has loaded and their number of unread ones. Pure: no server, no page.

export class Inbox {
  notes = new Map(); // id → notification
  unread = 0;
  more = false;

  /** Merge what `list` answered or what arrived. */
  add(notifications) {
    for (const note of notifications) this.notes.set(note.id, note);
  }

  /** Newest first. */
  shown({ unreadOnly }) {
    const all = [...this.notes.values()].sort((a, b) => b.seq - a.seq);
    return unreadOnly ? all.filter((note) => !note.read) : all;
  }

  get oldest() {
    return Math.min(...[...this.notes.values()].map((note) => note.seq));
  }

  /** `ids` (null means all) were read. */
  read(ids) {
    for (const id of ids ?? [...this.notes.keys()]) {
      const note = this.notes.get(id);
      if (note) this.notes.set(id, { ...note, read: true });
    }
  }

  remove(ids) {
    for (const id of ids) this.notes.delete(id);
  }
}
