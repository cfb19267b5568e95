// Traffic of a chat: requests to the server, and what its events change in the store.
// After every connect it fetches what was missed with `sync`, changes included, and joins the rooms again.
import { codeOf } from "./connection.js";
import { Presence } from "./presence.js";

/** @typedef {import("./connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./conversation.js").RoomSettings} RoomSettings */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./presence.js").PersonFacts} PersonFacts */
/** @typedef {{room: string, unread: number, mentions: number, lastMessage?: Message, lastRead?: number,
 *   rev: number}} RoomSummary */
/** @typedef {{changed: Message[], messages: Message[], lastSeq: number, rev: number, unread: number,
 *   lastRead: number, more: boolean, error?: {code: string}}} MissedPart */
/** @typedef {(conversation: Conversation, message: Message, mine: boolean) => void} OnArrival */

const REFUSED = ["forbidden", "not_found", "room_not_joined"];
const PAGE = 50;
const SYNC_ROOMS = 200;
const SYNC_LIMIT = 100; // messages of a room per answer
const GAP_PAUSE = 1000; // ms
const GAP_LIMIT = 500; // further behind than this, start again from the newest page

export class Sync {
  /** @type {Set<Conversation>} those whose gap is looked at in a moment */
  #filling = new Set();

  /** @param {Connection} connection @param {Store} store @param {{onArrival: OnArrival}} options */
  constructor(connection, store, { onArrival }) {
    const { socket } = connection;
    this.connection = connection;
    this.store = store;
    this.onArrival = onArrival;
    this.presence = new Presence(connection, store);
    socket.on("message", (message) => this.#onMessage(message));
    socket.on("messageEdited", (message) => this.#onChange(message));
    socket.on("messageDeleted", (message) => this.#onChange(message));
    socket.on("reaction", (reaction) => {
      store.conversation(reaction.room).applyReaction(reaction);
      store.changed();
    });
    socket.on("roomChanged", (settings) => {
      this.#applySettings(store.conversation(settings.room), settings);
    });
    socket.on("typing", ({ room, user, typing }) => store.setTyping(store.conversation(room), user, typing));
    socket.on("joined", ({ room, user }) => this.#onMembership(room, user, true));
    socket.on("left", ({ room, user }) => this.#onMembership(room, user, false));
    socket.on("read", ({ room, user, seq }) => this.#onRead(room, user, seq));
  }

  /** Bring everything up to date, and this connection into all rooms of the user; runs at each connect. */
  async catchUp() {
    for (const summary of await this.#summaries()) this.#applySummary(summary);
    const all = [...this.store.conversations.values()];
    const active = this.store.active;
    all.sort((a, b) => Number(b === active) - Number(a === active));
    await this.#fetchMissed(all.filter(({ member, direct, latest }) => member || (direct && latest)));
    for (const conversation of all) if (conversation.opened) await this.#refresh(conversation);
    await this.presence.fetch();
    this.store.changed();
  }

  /**
   * The rooms of the user, page by page. One that becomes active meanwhile moves to the front, so that it may be missing
   * in the pages that follow: the first page is read again after several.
   * @returns {Promise<RoomSummary[]>}
   */
  async #summaries() {
    /** @type {RoomSummary[]} */
    const all = [];
    /** @type {string | null} */
    let cursor = null;
    let pages = 0;
    do {
      /** @type {{rooms: RoomSummary[], next?: string | null}} */
      const { rooms, next } = await this.connection.call("rooms", cursor === null ? {} : { cursor });
      all.push(...rooms);
      cursor = next ?? null;
      pages += 1;
    } while (cursor !== null);
    if (pages > 1) all.push(...(await this.connection.call("rooms")).rooms);
    return all;
  }

  /** @param {RoomSummary} summary */
  #applySummary({ room, unread, mentions, lastMessage, lastRead, rev }) {
    const conversation = this.store.conversation(room);
    Object.assign(conversation, { unread, mentions, member: true });
    if (!conversation.loaded) conversation.rev = rev;
    conversation.lastRead = lastRead ?? conversation.lastRead;
    conversation.latest = lastMessage ?? null;
    if (conversation.peer === null) return;
    const name = lastMessage?.from.id === conversation.peer ? lastMessage.from.name : undefined;
    this.store.updatePerson({ id: conversation.peer, name });
  }

  /** Load it, or what of it has no events to miss. @param {Conversation} conversation */
  async #refresh(conversation) {
    if (!this.store.conversations.has(conversation.room)) return;
    try {
      if (!conversation.loaded) await this.load(conversation);
      else if (!conversation.direct) await this.#loadRoomFacts(conversation);
    } catch (error) {
      if (!REFUSED.includes(codeOf(error) ?? "")) throw error;
      this.store.remove(conversation);
    }
  }

  /**
   * Fetch the messages and changes since the connection was lost, for all of these, page by page.
   * @param {Conversation[]} conversations
   */
  async #fetchMissed(conversations) {
    for (let left = conversations; left.length; ) {
      const now = left.slice(0, SYNC_ROOMS);
      const rooms = Object.fromEntries(now.map(({ room, position }) => [room, position]));
      const answer = await this.connection.call("sync", { rooms, limit: SYNC_LIMIT, join: true });
      const unfinished = now.filter((conversation) => this.#applyMissed(conversation, answer.rooms[conversation.room]));
      left = [...unfinished, ...left.slice(SYNC_ROOMS)];
    }
    this.store.changed();
  }

  /**
   * Apply one room's part of the answer; returns whether there is more to fetch.
   * @param {Conversation} conversation
   * @param {MissedPart | undefined} part
   */
  #applyMissed(conversation, part) {
    if (!part || part.error) {
      if (REFUSED.includes(part?.error?.code ?? "")) this.store.remove(conversation); // no longer a member
      return false;
    }
    const tooFarBehind = part.lastSeq > conversation.position.seq + GAP_LIMIT;
    if (tooFarBehind) conversation.restart([]);
    else conversation.add(part.messages);
    for (const message of part.changed) conversation.applyChange(message);
    conversation.rev = Math.max(conversation.rev, part.rev);
    conversation.unread = part.unread;
    conversation.lastRead = part.lastRead;
    return part.more && !tooFarBehind;
  }

  /** Load the newest page; the user becomes a member of a room by it. @param {Conversation} conversation */
  async load(conversation) {
    conversation.opened = true;
    await (conversation.direct ? this.#loadDirect(conversation) : this.join(conversation));
  }

  /** Join a room and load its newest page. @param {Conversation} conversation */
  async join(conversation) {
    const { room } = conversation;
    conversation.beginMembersRequest();
    const requested = this.presence.clock;
    /** @type {{members: PersonFacts[], count: number, messages: Message[], more?: boolean, lastRead: number}} */
    const { members, count, messages, more, lastRead } = await this.connection.call("join", { room });
    for (const member of members) this.presence.update(member, requested);
    conversation.endMembersRequest(
      members.map((member) => member.id),
      count,
    );
    Object.assign(conversation, { lastRead, member: true, opened: true });
    const first = messages[0];
    if (conversation.loaded && first && first.seq > conversation.lastSeq + GAP_LIMIT) conversation.restart(messages);
    conversation.hasOlder = conversation.loaded ? conversation.hasOlder : (more ?? messages.length >= PAGE);
    if (conversation.loaded) conversation.add(messages);
    else conversation.addNewestPage(messages);
    this.#markLoaded(conversation);
    if (conversation.hasGap) await this.#fillGap(conversation);
    this.settings(conversation).catch(() => {}); // then they are not known
  }

  /** Members and settings as they are now. @param {Conversation} conversation */
  async #loadRoomFacts(conversation) {
    conversation.beginMembersRequest();
    const requested = this.presence.clock;
    /** @type {{members: PersonFacts[], count: number}} */
    const { members, count } = await this.connection.call("members", { room: conversation.room });
    for (const member of members) this.presence.update(member, requested);
    conversation.endMembersRequest(
      members.map((member) => member.id),
      count,
    );
    await this.settings(conversation);
  }

  /** @param {Conversation} conversation @returns {Promise<RoomSettings>} */
  async settings(conversation) {
    const { room } = await this.connection.call("room", { room: conversation.room });
    return this.#applySettings(conversation, room);
  }

  /** @param {Conversation} conversation @param {object} changes @returns {Promise<RoomSettings>} */
  async configure(conversation, changes) {
    const { room } = await this.connection.call("configure", { room: conversation.room, ...changes });
    return this.#applySettings(conversation, room);
  }

  /** @param {Conversation} conversation @param {RoomSettings} settings */
  #applySettings(conversation, settings) {
    conversation.settings = settings;
    this.store.changed();
    return settings;
  }

  /** @param {Conversation} conversation */
  async #loadDirect(conversation) {
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
    for (let added = 1; conversation.hasGap && added; ) {
      const { messages } = await this.#history(conversation, { after: conversation.contiguousSeq, limit: SYNC_LIMIT });
      added = conversation.add(messages).length;
    }
    this.store.changed();
  }

  /**
   * A gap usually closes by itself a moment later: the message comes from another server.
   * @param {Conversation} conversation
   */
  #fillGapSoon(conversation) {
    if (!conversation.hasGap || this.#filling.has(conversation)) return;
    this.#filling.add(conversation);
    setTimeout(() => {
      this.#filling.delete(conversation);
      this.#fillGap(conversation).catch(() => {}); // the next message or the next connect tries again
    }, GAP_PAUSE);
  }

  /** @param {Message} message */
  #onMessage(message) {
    const conversation = this.store.conversation(message.room);
    this.store.updatePerson(message.from);
    if (!conversation.add([message]).length) return; // also before the room is loaded: the answer may be older
    this.#fillGapSoon(conversation);
    this.store.setTyping(conversation, message.from.id, false);
    const mine = message.from.id === this.store.me.id;
    if (mine)
      conversation.unread = 0; // on another device: who writes has read
    else if (message.seq > conversation.lastRead) {
      conversation.unread += 1;
      conversation.mentions += message.mentions?.includes(this.store.me.id) ? 1 : 0;
    }
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
    if (here) this.presence.set(user, true); // the presence event came before this room could receive it
    if (here && stranger) this.#fetchNames(room).catch(() => {});
    if (user === this.store.me.id) this.#onOwnMembership(conversation, here);
    this.store.changed();
  }

  /** On another device, or by somebody else. @param {Conversation} conversation @param {boolean} here */
  #onOwnMembership(conversation, here) {
    if (!here) this.store.remove(conversation);
    else if (!conversation.member) this.#enter(conversation).catch(() => {}); // the next connect tries again
  }

  /** Bring this connection into a room that the user has become a member of. @param {Conversation} conversation */
  async #enter({ room }) {
    for (const summary of await this.#summaries()) if (summary.room === room) this.#applySummary(summary);
    await this.#fetchMissed([this.store.conversation(room)]);
  }

  /** @param {string} room */
  async #fetchNames(room) {
    const requested = this.presence.clock;
    /** @type {{members: PersonFacts[]}} */
    const { members } = await this.connection.call("members", { room });
    for (const member of members) this.presence.update(member, requested);
  }

  /** @param {string} room @param {string} id @param {number} seq */
  #onRead(room, id, seq) {
    const conversation = this.store.conversation(room);
    if (id === this.store.me.id) conversation.markReadUpTo(seq, id);
    else conversation.readCursors.set(id, seq);
    this.store.changed();
  }

  /**
   * Load older pages until the message with this seq is there, or there are no more.
   * @param {Conversation} conversation
   * @param {number} seq
   */
  async loadBackTo(conversation, seq) {
    if (!conversation.loaded) await this.load(conversation);
    while (conversation.hasOlder && conversation.firstSeq !== null && conversation.firstSeq > seq) {
      await this.loadOlder(conversation);
    }
  }
}
