// Chat: rooms and direct conversations of one user, kept in step with the server. docs/chat.md shows its use.
//
// 1. `change` is emitted once for all that happens in one turn of the event loop: draw then what is on screen.
// 2. What is sent waits in `conversation.pending` until the server has saved it; the order of a conversation is kept.
// 3. Everything that a user wrote is plain text: never put it into a page as HTML.

import { Actions } from "./chat_actions.js";
import { CallError, ClientMissing, Connection, codeOf, connect } from "./connection.js";
import { directRoom } from "./conversation.js";
import { Emitter } from "./emitter.js";
import { Outbox } from "./outbox.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { subjectOf } from "./token_claims.js";
import { attachmentOf, Uploads } from "./uploads.js";

export { attachmentOf, CallError, ClientMissing, codeOf };

/** @typedef {import("./connection.js").Announcement} Announcement */
/** @typedef {import("./connection.js").ConnectOptions} ConnectOptions */
/** @typedef {import("./connection.js").Problem} Problem */
/** @typedef {import("./connection.js").Socket} Socket */
/** @typedef {import("./connection.js").State} State */
/** @typedef {import("./connection.js").Token} Token */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Extra} Extra */
/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./conversation.js").Pending} Pending */
/** @typedef {import("./conversation.js").Person} Person */
/** @typedef {import("./outbox.js").KeyValues} KeyValues */
/** @typedef {{message: Message, conversation: Conversation, mine: boolean}} Arrival */
/**
 * `user`: who is logged in, the `sub` of the token. `storage`, such as `localStorage`: unsent messages outlive the
 * page.
 * `people`: known from elsewhere, with their names.
 * @typedef {{user?: string | Person | undefined, storage?: KeyValues | undefined, people?: Person[]}} ChatOptions
 */

const NOBODY = { id: "", name: "" }; // of a token that cannot be read: the server says what is wrong with it
const RETRY = 2000; // ms until a catch-up that failed is tried again

/**
 * `error`: the state could not be fetched; it is requested again. `announcement`: an event that `/chat` itself does not
 * have, sent by an admin or a backend.
 * @extends {Emitter<{change: [], message: [Arrival], state: [State, Problem | null],
 *   error: [CallError], announcement: [Announcement]}>}
 */
export class Chat extends Emitter {
  #ready = milestone(); // connected, and up to date
  #upToDate = false;
  #connects = 0; // a catch-up of an older connection ends with it

  /**
   * Connect to the server at `url`; empty: the server of this page. Throws ClientMissing, where no `io` is given.
   * @param {string} url
   * @param {ConnectOptions & ChatOptions} options
   */
  static async connect(url, { user, storage, people, ...options }) {
    const { token } = options;
    const seen = user || !token ? null : typeof token === "function" ? await token({ fresh: false }) : token;
    const who = user ?? (token ? (subjectOf(seen) ?? NOBODY) : undefined);
    const connection = await connect(url, "/chat", options);
    return new Chat(connection, { user: who, storage, people: people ?? [], url });
  }

  /**
   * With a socket of your own, connected to `/chat`, `user` is required; `token` only for uploads.
   * @param {Socket | Connection} socket
   * @param {ChatOptions & {token?: Token, url?: string}} options
   */
  constructor(socket, { user, storage, people = [], token, url }) {
    super();
    if (!user) throw new TypeError("Chat needs the id of the user: pass `user`, or a token whose `sub` can be read");
    const me = typeof user === "string" ? { id: user, name: user } : user;
    this.connection = socket instanceof Connection ? socket : new Connection(socket, { token });
    this.store = new Store(me, people);
    this.sync = new Sync(this.connection, this.store, {
      onArrival: (conversation, message, mine) => this.emit("message", { conversation, message, mine }),
    });
    this.actions = new Actions(this.connection, this.store);
    this.outbox = new Outbox(this.connection, this.store, { join: (room) => this.sync.join(room), storage });
    this.uploads = new Uploads(this.connection, url);
    this.store.on("change", () => this.emit("change"));
    this.connection.on("announcement", (announcement) => this.emit("announcement", announcement));
    this.connection.watch((state) => this.#onState(state));
  }

  /** @param {State} state */
  #onState(state) {
    if (state === "online") this.#catchUp();
    else this.#notReady();
    this.emit("state", state, this.connection.problem);
  }

  #notReady() {
    this.#connects += 1;
    if (this.#upToDate) this.#ready = milestone();
    this.#upToDate = false;
  }

  async #catchUp() {
    for (const connect = this.#connects; connect === this.#connects; ) {
      try {
        await this.sync.catchUp();
        this.#upToDate = connect === this.#connects;
        if (!this.#upToDate) return;
        this.outbox.flush();
        this.#ready.reach();
        return;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        if (error.code !== "offline") this.emit("error", error);
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  }

  get me() {
    return this.store.me;
  }

  /** @returns {State} */
  get state() {
    return this.connection.state;
  }

  /** Resolves when connected and up to date. */
  get ready() {
    return this.#ready.reached;
  }

  /** The rooms of the user, those with the latest messages first. */
  get rooms() {
    return this.store.rooms;
  }

  /** Rooms and direct conversations by the name of their room. */
  get conversations() {
    return this.store.conversations;
  }

  /** What is known of a user: `{id, name, online}`. @param {string} id */
  person(id) {
    return this.store.person(id);
  }

  /**
   * Open a room, or make it: the user becomes a member until `leave`. Throws CallError.
   * @param {string} room
   * @returns {Promise<Conversation>}
   */
  async open(room) {
    await this.#ready.reached;
    const known = this.store.conversations.get(room);
    const conversation = this.store.conversation(room);
    try {
      if (!conversation.loaded) await this.sync.load(conversation);
    } catch (error) {
      if (!known) this.store.remove(conversation);
      throw error;
    }
    return conversation;
  }

  /** Open the direct conversation with a user. @param {string} user */
  openDirect(user) {
    return this.open(directRoom(this.me.id, user));
  }

  /** Leave a room: the membership ends, and what was not sent is discarded. @param {Conversation} conversation */
  async leave(conversation) {
    await this.actions.leave(conversation);
    this.outbox.drop(conversation);
  }

  /**
   * Send a message: it is in `pending` at once, and in `messages` when the promise resolves. A rejection is final.
   * @param {Conversation} conversation
   * @param {string} text
   * @param {Extra} [extra]
   */
  send(conversation, text, extra) {
    this.actions.endTyping(conversation);
    return this.outbox.send(conversation, text, extra);
  }

  /** Send a failed message again. @param {Conversation} conversation @param {Pending} pending */
  retry(conversation, pending) {
    this.outbox.retry(conversation, pending);
  }

  /** Give up a message that is not sent. @param {Conversation} conversation @param {Pending} pending */
  discard(conversation, pending) {
    this.outbox.discard(conversation, pending);
  }

  /**
   * Upload a file and send it, with a text or its name. Throws CallError.
   * @param {Conversation} conversation
   * @param {File} file
   */
  async sendFile(conversation, file, text = file.name) {
    const attachment = await this.uploads.upload(file);
    return this.send(conversation, text, { data: { attachment } });
  }

  /** The file of a message, with an address to load it from; null for none. @param {Message} message */
  attachmentOf(message) {
    return attachmentOf(message, this.uploads.url);
  }

  /** Load the page before the oldest message; does nothing without `hasOlder`. @param {Conversation} conversation */
  async older(conversation) {
    if (conversation.hasOlder && conversation.loaded) await this.sync.loadOlder(conversation);
  }

  /** Load older pages until a message is there, by its `seq`. @param {Conversation} conversation @param {number} seq */
  loadBackTo(conversation, seq) {
    return this.sync.loadBackTo(conversation, seq);
  }

  /** Change one's own message. @param {Message} message @param {string} text */
  edit(message, text) {
    return this.actions.edit(this.store.conversation(message.room), message, text);
  }

  /** Delete a message. @param {Message} message */
  remove(message) {
    return this.actions.remove(this.store.conversation(message.room), message);
  }

  /** Add a reaction, or take it back. @param {Message} message @param {string} emoji */
  react(message, emoji, on = true) {
    return this.actions.react(this.store.conversation(message.room), message, emoji, on);
  }

  /** Call it with every keystroke. @param {Conversation} conversation */
  typing(conversation) {
    this.actions.signTyping(conversation);
  }

  /** The text is empty again, or another conversation is on screen. @param {Conversation} conversation */
  stopTyping(conversation) {
    this.actions.endTyping(conversation);
  }

  /** Call it when the end of a conversation is in view. @param {Conversation} conversation */
  async read(conversation) {
    if (!globalThis.document?.hidden) await this.actions.markRead(conversation);
  }

  /**
   * Messages with all of these words, the newest first, in one conversation or in all.
   * @param {string} query
   * @param {{in?: Conversation, cursor?: string}} [where] `cursor`: the `next` of the previous page
   * @returns {Promise<{messages: Message[], next: string | null}>}
   */
  search(query, { in: conversation, cursor } = {}) {
    return this.connection.call("search", { query, room: conversation?.room, cursor });
  }

  /** Change the settings of a room, as a moderator. @param {Conversation} conversation @param {object} changes */
  configure(conversation, changes) {
    return this.sync.configure(conversation, changes);
  }

  /** End the connection. */
  close() {
    this.connection.close();
  }
}

/** A promise that others wait for. Not `Promise.withResolvers`: Node.js 20 has none. */
function milestone() {
  let reach = () => {};
  /** @type {Promise<void>} */
  const reached = new Promise((resolve) => {
    reach = resolve;
  });
  return { reached, reach };
}
