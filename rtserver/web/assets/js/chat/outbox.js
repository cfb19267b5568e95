// Outbox: a message shows at once, carries a nonce, and is sent again under the same nonce until the server confirms or
// rejects it. The server answers a repeated nonce with the first message, so nothing is saved twice.
import { CallError } from "../connection.js";
import { failure } from "../text_format.js";

/** @typedef {import("../connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Pending} Pending */
/** @typedef {import("./store.js").Store} Store */

export class Outbox {
  /**
   * @param {Connection} connection
   * @param {Store} store
   * @param {{join: (conversation: Conversation) => Promise<void>}} sync
   */
  constructor(connection, store, { join }) {
    this.connection = connection;
    this.store = store;
    this.join = join;
  }

  /** @param {Conversation} conversation @param {string} text @param {string | undefined} replyTo */
  send(conversation, text, replyTo) {
    const sentAt = new Date().toISOString();
    /** @type {Pending} */
    const entry = { nonce: newNonce(), text, replyTo, sentAt, state: "sending", reason: "" };
    conversation.pending.push(entry);
    conversation.unreadFrom = null;
    this.deliver(conversation, entry);
  }

  /** @param {Conversation} conversation @param {Pending} entry */
  async deliver(conversation, entry) {
    this.#mark(entry, this.connection.online ? "sending" : "waiting");
    if (!this.connection.online) return;
    try {
      const payload = { ...conversation.address, text: entry.text, nonce: entry.nonce, replyTo: entry.replyTo };
      const { message } = await this.connection.call("message", payload);
      conversation.add([message]);
      this.discard(conversation, entry);
    } catch (error) {
      this.#onFailure(conversation, entry, error);
    }
  }

  /** @param {Conversation} conversation @param {Pending} entry @param {unknown} error */
  #onFailure(conversation, entry, error) {
    const { code, retryAfter } = error instanceof CallError ? error : { code: "", retryAfter: undefined };
    if (code === "offline") {
      this.#mark(entry, "waiting");
    } else if (code === "room_not_joined" && !entry.joined) {
      this.#joinAndDeliver(conversation, entry);
    } else if (code === "rate_limited") {
      const seconds = Math.ceil(retryAfter ?? 1);
      this.#mark(entry, "waiting", `This room is slow: sent in ${seconds} s`);
      setTimeout(() => this.deliver(conversation, entry), seconds * 1000);
    } else {
      this.#mark(entry, "failed", failure(error));
    }
  }

  /**
   * A new connection is in no room until it has joined again, and this message was sent before that.
   * @param {Conversation} conversation
   * @param {Pending} entry
   */
  async #joinAndDeliver(conversation, entry) {
    entry.joined = true;
    try {
      await this.join(conversation);
    } catch (error) {
      this.#onFailure(conversation, entry, error);
      return;
    }
    await this.deliver(conversation, entry);
  }

  /** @param {Pending} entry @param {Pending["state"]} state */
  #mark(entry, state, reason = "") {
    Object.assign(entry, { state, reason });
    this.store.changed();
  }

  /** @param {Conversation} conversation @param {Pending} entry */
  discard(conversation, entry) {
    conversation.pending = conversation.pending.filter((other) => other !== entry);
    this.store.changed();
  }

  /** After a reconnect: send all that waits, in the order in which it was written. */
  async flush() {
    for (const conversation of this.store.conversations.values()) {
      for (const entry of conversation.pending.filter(({ state }) => state === "waiting")) {
        await this.deliver(conversation, entry);
      }
    }
  }
}

function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
