// Outbox: a message shows at once, carries a nonce, and is sent again under the same nonce until the server confirms or
// rejects it. The server answers a repeated nonce with the first message, so nothing is saved twice.
//
// 1. The messages of a conversation are sent one after the other, in the order in which they were written.
// 2. With a storage, what is not confirmed outlives the page: the next one sends it, under the same nonce.
// 3. `failed` is final: only `retry` sends such a message again.
import { CallError } from "./connection.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Extra} Extra */
/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./conversation.js").Pending} Pending */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">} KeyValues */
/**
 * @typedef {{conversation: Conversation, resolve: (message: Message) => void,
 *   reject: (error: unknown) => void}} Waiter
 */

const PASSING = ["rate_limited", "unavailable", "timeout"];
const PAUSE = 1; // s, and up to one more, so that clients do not return together

export class Outbox {
  /** @type {Set<Conversation>} those that are being worked off */
  #busy = new Set();
  /** @type {Map<Conversation, () => void>} ends the pause of one */
  #wake = new Map();
  /** @type {Map<string, Waiter>} by nonce */
  #waiters = new Map();
  /** @type {Map<string, Conversation>} by nonce: what is in the storage */
  #stored = new Map();
  #prefix;

  /**
   * @param {Connection} connection
   * @param {Store} store
   * @param {{join: (conversation: Conversation) => Promise<void>, storage?: KeyValues | undefined}} options
   */
  constructor(connection, store, { join, storage }) {
    this.connection = connection;
    this.store = store;
    this.join = join;
    this.storage = storage;
    this.#prefix = `rtserver.unsent:${encodeURIComponent(store.me.id)}:`;
    this.#restore();
  }

  /**
   * Resolves when the message is saved; rejects with the error that is final, or when it is discarded.
   * @param {Conversation} conversation
   * @param {string} text
   * @param {Extra} [extra]
   * @returns {Promise<Message>}
   */
  send(conversation, text, { replyTo, mentions, data } = {}) {
    const content = { text, replyTo, mentions, data };
    const sentAt = new Date().toISOString();
    /** @type {Pending} */
    const entry = { ...content, nonce: newNonce(), sentAt, state: "waiting", error: null };
    conversation.pending.push(entry);
    conversation.unreadFrom = null;
    this.#keep(conversation, entry);
    /** @type {Promise<Message>} */
    const sent = new Promise((resolve, reject) => {
      this.#waiters.set(entry.nonce, { conversation, resolve, reject });
    });
    sent.catch(() => {}); // a caller that draws `pending` needs no handler of its own
    this.#work(conversation);
    return sent;
  }

  /** Send a failed message again. @param {Conversation} conversation @param {Pending} entry */
  retry(conversation, entry) {
    this.#mark(conversation, entry, "waiting");
    this.#work(conversation);
  }

  /** Give up a message that is not sent. @param {Conversation} conversation @param {Pending} entry */
  discard(conversation, entry) {
    this.#remove(conversation, entry);
    this.#settle(entry.nonce, new CallError({ code: "discarded" }));
    this.#wake.get(conversation)?.();
  }

  /** Give up all of a conversation, because the user leaves it. @param {Conversation} conversation */
  drop(conversation) {
    for (const entry of conversation.pending) this.discard(conversation, entry);
  }

  /** Send all that waits; runs at each connect. */
  flush() {
    for (const conversation of this.store.conversations.values()) this.#work(conversation);
  }

  /** @param {Conversation} conversation */
  async #work(conversation) {
    this.#settleConfirmed();
    this.store.changed();
    if (this.#busy.has(conversation)) return;
    this.#busy.add(conversation);
    for (let entry = next(conversation); entry && this.connection.online; entry = next(conversation)) {
      await this.#deliver(conversation, entry);
    }
    this.#busy.delete(conversation);
  }

  /** @param {Conversation} conversation @param {Pending} entry */
  async #deliver(conversation, entry) {
    this.#mark(conversation, entry, "sending");
    const { text, nonce, replyTo, mentions, data } = entry;
    try {
      const payload = { ...conversation.address, text, nonce, replyTo, mentions, data };
      const { message } = await this.connection.call("message", payload);
      conversation.add([message]);
      this.#remove(conversation, entry);
      this.#settle(nonce, message);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      await this.#onFailure(conversation, entry, error);
    }
  }

  /** @param {Conversation} conversation @param {Pending} entry @param {CallError} error */
  async #onFailure(conversation, entry, error) {
    if (error.code === "offline") {
      this.#mark(conversation, entry, "waiting");
    } else if (error.code === "room_not_joined" && conversation.member && !entry.joined) {
      await this.#join(conversation, entry);
    } else if (PASSING.includes(error.code)) {
      this.#mark(conversation, entry, "waiting", error);
      await this.#pause(conversation, error.retryAfter ?? PAUSE + Math.random());
    } else {
      this.#mark(conversation, entry, "failed", error);
      this.#settle(entry.nonce, error);
    }
  }

  /**
   * A new connection is in no room until it has joined again, and this message was sent before that.
   * @param {Conversation} conversation
   * @param {Pending} entry
   */
  async #join(conversation, entry) {
    entry.joined = true;
    try {
      await this.join(conversation);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      await this.#onFailure(conversation, entry, error);
    }
  }

  /** @param {Conversation} conversation @param {number} seconds */
  async #pause(conversation, seconds) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake.set(conversation, () => {
        clearTimeout(timer);
        resolve(undefined);
      });
    });
    this.#wake.delete(conversation);
  }

  /**
   * @param {Conversation} conversation
   * @param {Pending} entry
   * @param {Pending["state"]} state
   * @param {CallError | null} error
   */
  #mark(conversation, entry, state, error = null) {
    const kept = state === "failed" || entry.state === "failed";
    Object.assign(entry, { state, error });
    if (state === "failed") entry.joined = false;
    if (kept) this.#keep(conversation, entry);
    this.store.changed();
  }

  /** @param {Conversation} conversation @param {Pending} entry */
  #remove(conversation, entry) {
    conversation.pending = conversation.pending.filter((other) => other !== entry);
    this.#forget(entry.nonce);
    this.store.changed();
  }

  // Storage: one key for each message, so that tabs of one user do not overwrite each other.

  /** @param {Conversation} conversation @param {Pending} entry */
  #keep({ room, pending }, { joined, error, ...entry }) {
    const conversation = this.store.conversation(room);
    if (!this.storage || !pending.some(({ nonce }) => nonce === entry.nonce)) return;
    const { code = "", message = "" } = error ?? {};
    try {
      const value = { ...entry, room, error: error && { code, message } };
      this.storage.setItem(this.#prefix + entry.nonce, JSON.stringify(value));
      this.#stored.set(entry.nonce, conversation);
    } catch {
      // Full, or forbidden by the browser: the message lives as long as the page.
    }
  }

  /** @param {string} nonce */
  #forget(nonce) {
    if (this.#stored.delete(nonce)) this.storage?.removeItem(this.#prefix + nonce);
  }

  /** Settle what the server has confirmed by another way than an ack: as part of the history. */
  #settleConfirmed() {
    for (const [nonce, { pending }] of this.#stored) {
      if (!pending.some((entry) => entry.nonce === nonce)) this.#forget(nonce);
    }
    for (const [nonce, { conversation }] of this.#waiters) {
      const message = conversation.messages.find((other) => other.nonce === nonce);
      if (message) this.#settle(nonce, message);
    }
  }

  /** Answer the caller of `send`. @param {string} nonce @param {Message | CallError} result */
  #settle(nonce, result) {
    const waiter = this.#waiters.get(nonce);
    this.#waiters.delete(nonce);
    if (result instanceof CallError) waiter?.reject(result);
    else waiter?.resolve(result);
  }

  #restore() {
    if (!this.storage) return;
    const keys = Array.from({ length: this.storage.length }, (_, index) => this.storage?.key(index) ?? "");
    const own = keys.filter((key) => key.startsWith(this.#prefix));
    const found = own.map((key) => parse(this.storage?.getItem(key) ?? null));
    const entries = found.filter((entry) => entry !== null).sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1));
    for (const { room, ...entry } of entries) {
      const conversation = this.store.conversation(room);
      conversation.pending.push(entry);
      this.#stored.set(entry.nonce, conversation);
    }
  }
}

/** The first message that is to be sent. @param {Conversation} conversation */
const next = ({ pending }) => pending.find(({ state }) => state !== "failed");

/**
 * A message of the storage; null for what is none.
 * @param {string | null} text
 * @returns {Pending & {room: string} | null}
 */
function parse(text) {
  try {
    const { room, nonce, text: words, sentAt, state, error, replyTo, mentions, data } = JSON.parse(text ?? "");
    if ([room, nonce, words, sentAt].some((field) => typeof field !== "string")) return null;
    const failed = state === "failed" && error ? new CallError(error) : null;
    const content = { text: words, replyTo, mentions, data };
    return { ...content, room, nonce, sentAt, state: failed ? "failed" : "waiting", error: failed };
  } catch {
    return null;
  }
}

/** Not `randomUUID`: that is there on secure pages only. */
function newNonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
