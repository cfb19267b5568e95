// Actions of a user in a conversation: edit, delete, react, read, typing, leave.
import { CallError } from "./connection.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./store.js").Store} Store */

const REPEATS = 3; // of a change that could not be saved
const LONGEST_WAIT = 10; // s
const TYPING_REPEAT = 2500; // ms between two announcements
const TYPING_IDLE = 4000; // ms without a key until it is over

export class Actions {
  /** @type {Set<Conversation>} those whose read cursor is being sent */
  #reading = new Set();

  /** @param {Connection} connection @param {Store} store */
  constructor(connection, store) {
    this.connection = connection;
    this.store = store;
  }

  /** Report that the newest message of this conversation has been in view. @param {Conversation} conversation */
  async markRead(conversation) {
    const seq = conversation.lastSeq;
    const nothingNew = seq <= conversation.lastRead && !conversation.unread;
    if (!conversation.loaded || nothingNew || this.#reading.has(conversation)) return;
    this.#reading.add(conversation);
    try {
      await this.connection.call("read", { ...conversation.address, seq });
      conversation.markReadUpTo(seq, this.store.me.id);
      this.store.changed();
    } catch {
      // Not read, as far as the server knows; the next look at the conversation tries again.
    } finally {
      this.#reading.delete(conversation);
    }
  }

  /** @param {Conversation} conversation @param {Message} message @param {string} text */
  edit(conversation, { id }, text) {
    return this.#change(conversation, "edit", { id, text });
  }

  /** @param {Conversation} conversation @param {Message} message */
  remove(conversation, { id }) {
    return this.#change(conversation, "delete", { id });
  }

  /** @param {Conversation} conversation @param {Message} message @param {string} emoji @param {boolean} on */
  react(conversation, { id }, emoji, on) {
    return this.#change(conversation, "react", { id, emoji, on });
  }

  /** @param {Conversation} conversation @param {string} event @param {object} payload */
  async #change(conversation, event, payload) {
    const { message } = await this.#untilAnswered(event, { ...conversation.address, ...payload });
    conversation.applyChange(message);
    this.store.changed();
    return /** @type {Message} */ (message);
  }

  /**
   * These events may be repeated, so a passing failure is no reason to bother the user; only a lost connection is.
   * @param {string} event
   * @param {object} payload
   */
  async #untilAnswered(event, payload) {
    for (let left = REPEATS; ; left -= 1) {
      try {
        return await this.connection.call(event, payload);
      } catch (error) {
        const passing = error instanceof CallError && ["unavailable", "timeout", "rate_limited"].includes(error.code);
        const seconds = passing ? (error.retryAfter ?? 1) : Infinity;
        if (left === 0 || seconds > LONGEST_WAIT) throw error;
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      }
    }
  }

  /** Announce that the user is typing; call it as often as a key is pressed. @param {Conversation} conversation */
  signTyping(conversation) {
    clearTimeout(conversation.typingTimer);
    conversation.typingTimer = setTimeout(() => this.endTyping(conversation), TYPING_IDLE);
    if (Date.now() - conversation.typingSigned < TYPING_REPEAT) return;
    conversation.typingSigned = Date.now();
    this.#sendTyping(conversation, true);
  }

  /** @param {Conversation} conversation */
  endTyping(conversation) {
    clearTimeout(conversation.typingTimer);
    if (conversation.typingSigned) this.#sendTyping(conversation, false);
    conversation.typingSigned = 0;
  }

  /** @param {Conversation} conversation @param {boolean} typing */
  #sendTyping({ address }, typing) {
    if (this.connection.online) this.connection.socket.emit("typing", { ...address, typing });
  }

  /** @param {Conversation} conversation */
  async leave(conversation) {
    await this.connection.call("leave", { room: conversation.room });
    this.store.remove(conversation);
  }
}
