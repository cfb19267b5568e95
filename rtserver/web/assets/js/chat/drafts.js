// Drafts: what a user has begun to write in each conversation. This browser keeps them, also over a reload.

export class Drafts {
  /** @type {Map<string, string>} by key, where the browser keeps nothing */
  #memory = new Map();
  #prefix;

  /** @param {string} user */
  constructor(user) {
    this.#prefix = `rtserver.draft:${encodeURIComponent(user)}:`;
  }

  /** @param {string} room */
  read(room) {
    const key = this.#prefix + room;
    try {
      return localStorage.getItem(key) ?? this.#memory.get(key) ?? "";
    } catch {
      return this.#memory.get(key) ?? "";
    }
  }

  /** @param {string} room @param {string} text */
  write(room, text) {
    const key = this.#prefix + room;
    this.#memory.set(key, text);
    try {
      if (text) localStorage.setItem(key, text);
      else localStorage.removeItem(key);
    } catch {
      // Full, or forbidden by the browser: the draft lives as long as the page.
    }
  }
}
