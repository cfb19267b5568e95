// Removals: a deleted notification is hidden at once, and deleted on the server when the time to take it back is over.
import { failure } from "../text_format.js";
import { toast, toastWithAction } from "../toast.js";

/** @typedef {import("../../../client/notifications.js").Notifications} Notifications */

const UNDO_FOR = 5; // s

export class Removals {
  /** @type {Map<string, () => void>} by id: deletes it now */
  #waiting = new Map();

  /** @param {Notifications} notifications @param {() => void} changed */
  constructor(notifications, changed) {
    this.notifications = notifications;
    this.changed = changed;
    addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") return;
      for (const removeNow of this.#waiting.values()) removeNow();
    });
  }

  /** @param {string} id */
  has(id) {
    return this.#waiting.has(id);
  }

  /** @param {string} id */
  add(id) {
    if (this.#waiting.has(id)) return;
    const undo = () => {
      clearTimeout(timer);
      close();
      this.#waiting.delete(id);
      this.changed();
    };
    const removeNow = () => {
      clearTimeout(timer);
      close();
      this.#remove(id);
    };
    const timer = setTimeout(removeNow, UNDO_FOR * 1000);
    const close = toastWithAction("Deleted.", { action: "Undo", run: undo, seconds: UNDO_FOR });
    this.#waiting.set(id, removeNow);
    this.changed();
  }

  /** @param {string} id */
  async #remove(id) {
    try {
      await this.notifications.remove([id]);
    } catch (error) {
      toast(`Not deleted. ${failure(error)}`);
    }
    this.#waiting.delete(id);
    this.changed();
  }
}
