// Form that joins or makes a room, with what is wrong with a name.
import { byId, form, input, onSubmit } from "../dom.js";
import { failure } from "../text_format.js";

const ROOM_NAME = /^[\p{L}\p{N}\-_.:@/#]{1,200}$/u;
const RESERVED = /^(user:|dm:)|^(?=.*[0-9A-Z])[\w-]{20}$/; // those of users, of direct conversations, and of sockets

/** What is wrong with the name of a room; empty for a good one. @param {string} room */
export function problemOf(room) {
  if (!ROOM_NAME.test(room)) return "Use up to 200 letters, digits and - _ . : @ / # only.";
  return RESERVED.test(room) ? "This name is reserved. Choose another one." : "";
}

export class NewRoomForm {
  /** @param {(room: string) => Promise<void>} join */
  constructor(join) {
    this.join = join;
    this.form = form("new-room");
    byId("new-room-toggle").addEventListener("click", () => {
      this.#show(Boolean(this.form.hidden));
      if (!this.form.hidden) byId("room-name").focus();
    });
    onSubmit(this.form, () => this.#submit());
  }

  /** @param {boolean} open */
  #show(open) {
    this.form.hidden = !open;
    byId("new-room-toggle").setAttribute("aria-expanded", String(open));
  }

  async #submit() {
    const room = input("room-name").value.trim().replace(/^#/, "");
    const problem = problemOf(room);
    byId("room-problem").textContent = problem;
    if (problem) return;
    try {
      await this.join(room);
      this.form.reset();
      this.#show(false);
    } catch (error) {
      byId("room-problem").textContent = failure(error);
    }
  }
}
