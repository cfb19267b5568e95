// Owns sending: a message shows at once, carries a nonce, and is sent again under the same nonce until the server
// confirms it or says no. The server answers a repeated nonce with the first message, so nothing is saved twice.
import { failure } from "../words.js";

export class Outbox {
  constructor(connection, book, { join }) {
    this.connection = connection;
    this.book = book;
    this.join = join;
  }

  send(conversation, text, replyTo) {
    const entry = { nonce: nonce(), text, replyTo, sentAt: new Date().toISOString(), state: "sending", reason: "" };
    conversation.pending.push(entry);
    conversation.freshFrom = null;
    this.deliver(conversation, entry);
  }

  async deliver(conversation, entry) {
    this.#mark(entry, this.connection.online ? "sending" : "waiting");
    if (!this.connection.online) return;
    try {
      const payload = { ...conversation.address, text: entry.text, nonce: entry.nonce, replyTo: entry.replyTo };
      const { message } = await this.connection.call("message", payload);
      conversation.add([message]);
      this.discard(conversation, entry);
    } catch (error) {
      this.#failed(conversation, entry, error);
    }
  }

  #failed(conversation, entry, error) {
    if (error.code === "offline") return this.#mark(entry, "waiting");
    if (error.code === "room_not_joined" && !entry.joined) return this.#joinFirst(conversation, entry);
    if (error.code === "rate_limited") {
      const seconds = Math.ceil(error.retryAfter ?? 1);
      this.#mark(entry, "waiting", `This room is slow: sent in ${seconds} s`);
      return setTimeout(() => this.deliver(conversation, entry), seconds * 1000);
    }
    return this.#mark(entry, "failed", failure(error));
  }

  /** A new connection is in no room until it has joined again, and this was faster. */
  async #joinFirst(conversation, entry) {
    entry.joined = true;
    try {
      await this.join(conversation);
    } catch (error) {
      return this.#failed(conversation, entry, error);
    }
    return this.deliver(conversation, entry);
  }

  #mark(entry, state, reason = "") {
    Object.assign(entry, { state, reason });
    this.book.changed();
  }

  discard(conversation, entry) {
    conversation.pending = conversation.pending.filter((other) => other !== entry);
    this.book.changed();
  }

  /** After a reconnect: everything that waits, in the order it was written. */
  async flush() {
    for (const conversation of this.book.conversations.values()) {
      for (const entry of conversation.pending.filter((one) => one.state === "waiting")) {
        await this.deliver(conversation, entry);
      }
    }
  }
}

function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
