// Traffic of the chat page: requests to the server, and what its events change in the store.
// After every connect it fetches what was missed with `sync`, changes included, and joins the rooms again.
import { codeOf } from "../connection.js";

/** @typedef {import("../connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{id: string, name?: string, online?: boolean}} PersonFacts */
/** @typedef {{room: string, unread: number, lastMessage?: Message, lastRead?: number, rev: number}} RoomSummary */
/** @typedef {{readOnly: boolean, meta?: {topic?: unknown}}} RoomSettings */
/** @typedef {{seq: number, changed: Message[], messages: Message[], lastSeq: number, rev: number, unread: number,
 *   lastRead: number, more: boolean, error?: unknown}} MissedPart */
/** @typedef {(conversation: Conversation, message: Message, mine: boolean) => void} OnArrival */

const PAGE = 50;
const SYNC_ROOMS = 200;
const SYNC_LIMIT = 100; // messages of a room per answer
const GAP_LIMIT = 500; // further behind than this, start again from the newest page
export const FIRST_ROOM = "general";

export class Sync {
  /** @type {Map<string, number>} id → #clock of the last presence event */
  #presenceTimes = new Map();
  #clock = 0; // counts presence events
  /** @type {Set<Conversation>} those whose read cursor is being sent */
  #reading = new Set();

  /** @param {Connection} connection @param {Store} store @param {{onArrival: OnArrival}} options */
  constructor(connection, store, { onArrival }) {
    this.connection = connection;
    this.store = store;
    this.onArrival = onArrival;
    connection.on("message", (message) => this.#onMessage(message));
    connection.on("messageEdited", (message) => this.#onChange(message));
    connection.on("messageDeleted", (message) => this.#onChange(message));
    connection.on("reaction", (reaction) => {
      store.conversation(reaction.room).applyReaction(reaction);
      store.changed();
    });
    connection.on("roomChanged", (settings) => this.#applySettings(store.conversation(settings.room), settings));
    connection.on("typing", ({ room, user, typing }) => store.setTyping(store.conversation(room), user, typing));
    connection.on("presence", ({ user, online }) => this.#onPresence(user, online));
    connection.on("joined", ({ room, user }) => this.#onMembership(room, user, true));
    connection.on("left", ({ room, user }) => this.#onMembership(room, user, false));
    connection.on("read", ({ room, user, seq }) => this.#onRead(room, user, seq));
  }

  /** Bring everything up to date; runs at each connect. */
  async catchUp() {
    /** @type {{rooms: RoomSummary[]}} */
    const { rooms } = await this.connection.call("rooms");
    for (const summary of rooms) this.#applySummary(summary);
    if (!rooms.some(({ room }) => !room.startsWith("dm:"))) this.store.conversation(FIRST_ROOM);
    const active = this.store.active;
    const all = [...this.store.conversations.values()];
    all.sort((a, b) => Number(b === active) - Number(a === active));
    await this.#fetchMissed(all.filter((conversation) => conversation.loaded && conversation.lastSeq));
    for (const conversation of all) await this.#refresh(conversation);
    await this.#fetchPresence();
    this.store.changed();
  }

  /** @param {RoomSummary} summary */
  #applySummary({ room, unread, lastMessage, lastRead, rev }) {
    const conversation = this.store.conversation(room);
    conversation.unread = unread;
    if (!conversation.loaded) conversation.rev = rev;
    conversation.lastRead = lastRead ?? conversation.lastRead;
    conversation.latest = lastMessage ?? null;
    if (conversation.peer === null) return;
    const name = lastMessage?.from.id === conversation.peer ? lastMessage.from.name : undefined;
    this.store.updatePerson({ id: conversation.peer, name });
  }

  /** @param {Conversation} conversation */
  async #refresh(conversation) {
    try {
      if (!conversation.direct) await this.join(conversation);
      else if (conversation === this.store.active && !conversation.loaded) await this.load(conversation);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "forbidden" && code !== "not_found") throw error;
      this.store.remove(conversation);
    }
  }

  /**
   * Fetch the messages and changes since the connection was lost, for all of these, page by page.
   * @param {Conversation[]} conversations
   */
  async #fetchMissed(conversations) {
    for (let left = conversations.slice(0, SYNC_ROOMS); left.length; ) {
      const rooms = Object.fromEntries(left.map(({ room, lastSeq, rev }) => [room, { seq: lastSeq, rev }]));
      const answer = await this.connection.call("sync", { rooms, limit: SYNC_LIMIT });
      left = left.filter((conversation) => this.#applyMissed(conversation, answer.rooms[conversation.room]));
    }
    this.store.changed();
  }

  /**
   * Apply one room's part of the answer; returns whether there is more to fetch.
   * @param {Conversation} conversation
   * @param {MissedPart | undefined} part
   */
  #applyMissed(conversation, part) {
    if (!part || part.error) return false;
    const tooFarBehind = part.lastSeq > conversation.lastSeq + GAP_LIMIT;
    if (tooFarBehind) conversation.restart([]);
    else conversation.add(part.messages);
    for (const message of part.changed) conversation.applyChange(message);
    conversation.rev = Math.max(conversation.rev, part.rev);
    conversation.unread = part.unread;
    conversation.lastRead = part.lastRead;
    return part.more && !tooFarBehind;
  }

  /** Join a room and load its newest page. @param {Conversation} conversation */
  async join(conversation) {
    const { room } = conversation;
    conversation.beginMembersRequest();
    const requested = this.#clock;
    /** @type {{members: PersonFacts[], messages: Message[], lastRead: number}} */
    const { members, messages, lastRead } = await this.connection.call("join", { room });
    for (const member of members) this.#updatePerson(member, requested);
    conversation.endMembersRequest(members.map((member) => member.id));
    conversation.lastRead = lastRead;
    const first = messages[0];
    if (conversation.loaded && first && first.seq > conversation.lastSeq + GAP_LIMIT) conversation.restart(messages);
    else if (conversation.loaded && first && conversation.hasGapBefore(first.seq)) await this.#fillGap(conversation);
    conversation.hasOlder = conversation.loaded ? conversation.hasOlder : messages.length >= PAGE;
    if (conversation.loaded) conversation.add(messages);
    else conversation.addNewestPage(messages);
    this.#markLoaded(conversation);
    this.connection.call("room", { room }).then(
      (answer) => this.#applySettings(conversation, answer.room),
      () => {}, // then they are not known
    );
  }

  /** @param {Conversation} conversation @param {RoomSettings} settings */
  #applySettings(conversation, { readOnly, meta }) {
    conversation.readOnly = readOnly;
    conversation.topic = typeof meta?.topic === "string" ? meta.topic : "";
    this.store.changed();
  }

  /** Load the newest page of a direct conversation. @param {Conversation} conversation */
  async load(conversation) {
    const { messages, more } = await this.#history(conversation, { limit: PAGE });
    conversation.addNewestPage(messages);
    conversation.hasOlder = more;
    for (const { from } of messages) this.store.updatePerson(from);
    this.#markLoaded(conversation);
  }

  /**
   * @param {Conversation} conversation
   * @param {object} page
   * @returns {Promise<{messages: Message[], more: boolean}>}
   */
  #history(conversation, page) {
    return this.connection.call("history", { ...conversation.address, ...page });
  }

  /** @param {Conversation} conversation */
  #markLoaded(conversation) {
    const first = !conversation.loaded;
    conversation.loaded = true;
    if (first && conversation === this.store.active) this.store.markFirstUnread(conversation);
    this.store.changed();
  }

  /** Load the page before the oldest message. @param {Conversation} conversation */
  async loadOlder(conversation) {
    const { messages, more } = await this.#history(conversation, { before: conversation.firstSeq, limit: PAGE });
    conversation.add(messages);
    conversation.hasOlder = more;
    this.store.changed();
  }

  /** @param {Conversation} conversation */
  async #fillGap(conversation) {
    for (let more = true; more; ) {
      const answer = await this.#history(conversation, { after: conversation.lastSeq, limit: SYNC_LIMIT });
      const added = conversation.add(answer.messages);
      more = answer.more && added.length > 0;
    }
    this.store.changed();
  }

  async #fetchPresence() {
    const users = [...this.store.people.keys()];
    const requested = this.#clock;
    /** @type {{online: string[]}} */
    const { online } = await this.connection.call("online", { users });
    for (const id of users) this.#updatePerson({ id, online: online.includes(id) }, requested);
  }

  /** @param {string} id @param {boolean} online */
  #onPresence(id, online) {
    this.#clock += 1;
    this.#presenceTimes.set(id, this.#clock);
    this.store.updatePerson({ id, online });
  }

  /**
   * Apply an answer about a person; presence events since it was `requested` are newer.
   * @param {PersonFacts} person
   * @param {number} requested by #clock
   */
  #updatePerson({ id, name, online }, requested) {
    const outdated = (this.#presenceTimes.get(id) ?? 0) > requested;
    this.store.updatePerson({ id, name, online: outdated ? undefined : online });
  }

  /** @param {Message} message */
  #onMessage(message) {
    const conversation = this.store.conversation(message.room);
    this.store.updatePerson(message.from);
    if (conversation.hasGapBefore(message.seq)) this.#fillGap(conversation).catch(() => {});
    if (!conversation.add([message]).length) return; // also before the room is loaded: the answer may be older
    this.store.setTyping(conversation, message.from.id, false);
    const mine = message.from.id === this.store.me.id;
    if (!mine) conversation.unread += 1;
    this.store.changed();
    this.onArrival(conversation, message, mine);
  }

  /** @param {Message} message */
  #onChange(message) {
    this.store.conversation(message.room).applyChange(message);
    this.store.changed();
  }

  /** @param {string} room @param {string} user @param {boolean} here */
  #onMembership(room, user, here) {
    const conversation = this.store.conversation(room);
    const stranger = !this.store.people.has(user);
    conversation.setMember(user, here);
    if (here) this.#onPresence(user, true); // the presence event came before this room could receive it
    if (here && stranger) this.#fetchNames(room).catch(() => {});
    if (!here && user === this.store.me.id) this.store.remove(conversation);
    this.store.changed();
  }

  /** @param {string} room */
  async #fetchNames(room) {
    const requested = this.#clock;
    /** @type {{members: PersonFacts[]}} */
    const { members } = await this.connection.call("members", { room });
    for (const member of members) this.#updatePerson(member, requested);
  }

  /** @param {string} room @param {string} id @param {number} seq */
  #onRead(room, id, seq) {
    const conversation = this.store.conversation(room);
    if (id === this.store.me.id) conversation.markReadUpTo(seq, id);
    else conversation.readCursors.set(id, seq);
    this.store.changed();
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
    const { message } = await this.connection.call(event, { ...conversation.address, ...payload });
    conversation.applyChange(message);
    this.store.changed();
  }

  /**
   * Load older pages until the message with this seq is there, or there are no more.
   * @param {Conversation} conversation
   * @param {number} seq
   */
  async loadBackTo(conversation, seq) {
    if (!conversation.loaded) await (conversation.direct ? this.load(conversation) : this.join(conversation));
    while (conversation.hasOlder && conversation.firstSeq !== null && conversation.firstSeq > seq) {
      await this.loadOlder(conversation);
    }
  }

  /** @param {Conversation} conversation @param {boolean} typing */
  sendTyping(conversation, typing) {
    this.connection.call("typing", { ...conversation.address, typing }).catch(() => {});
  }

  /** @param {Conversation} conversation */
  async leave(conversation) {
    await this.connection.call("leave", { room: conversation.room });
    this.store.remove(conversation);
  }
}
