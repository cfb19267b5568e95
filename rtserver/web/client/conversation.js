// One conversation's data: messages in order of seq, messages waiting to be sent, read cursors and typing people.
// Pure: no server, no page.

/** @typedef {import("./connection.js").CallError} CallError */
/** @typedef {{id: string, name: string}} Person */
/** @typedef {{emoji: string, count: number, users: string[]}} Reaction */
/**
 * A message as docs/events.md has it.
 * @typedef {object} Message
 * @property {string} id
 * @property {string} room
 * @property {number} seq
 * @property {number} [rev]
 * @property {Person} from
 * @property {string} text
 * @property {string} sentAt
 * @property {string | null} [nonce]
 * @property {string | null} [replyTo]
 * @property {string[]} [mentions]
 * @property {any} [data]
 * @property {Reaction[]} [reactions]
 * @property {string | null} [editedAt]
 * @property {string | null} [deletedAt]
 */
/**
 * What a message may have besides its text: `replyTo`, the id of a message; `mentions`, ids of users; `data`, any JSON.
 * @typedef {{replyTo?: string | undefined, mentions?: string[] | undefined, data?: unknown}} Extra
 */
/**
 * A message that the server has not yet confirmed. `error`: why it waits or has failed.
 * @typedef {Extra & {nonce: string, text: string, sentAt: string, state: "sending" | "waiting" | "failed",
 *   error: CallError | null, joined?: boolean}} Pending
 */
/** @typedef {{readOnly: boolean, meta?: Record<string, unknown>, [field: string]: unknown}} RoomSettings */

export class Conversation {
  /** @type {Message[]} */
  messages = [];
  /** @type {Pending[]} */
  pending = [];
  /** @type {Set<string>} ids */
  members = new Set();
  memberCount = 0; // of a large room `members` are the first ones
  /** @type {Map<string, number>} id → timer that ends it */
  typing = new Map();
  /** @type {Map<string, number>} id → the last seq that person has read */
  readCursors = new Map();
  unread = 0;
  mentions = 0; // how many of the unread messages mention this user, when the list was last fetched
  lastRead = 0; // own cursor
  rev = 0; // all changes of messages up to this revision are known
  /** @type {number | null} seq of the first message that was unread when the conversation was opened */
  unreadFrom = null;
  hasOlder = true; // older messages may exist
  loaded = false; // its newest page is there
  opened = false; // the front end wants it loaded, and again after each reconnect
  typingSigned = 0; // when the typing of this user was last announced; 0: it is over
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  typingTimer;
  member = false; // as far as is known; a direct conversation needs no membership
  /** @type {Message | null} for the order in the sidebar while nothing is loaded */
  latest = null;
  /** @type {RoomSettings | null} null: not known */
  settings = null;
  /** @type {[id: string, here: boolean][] | null} changes of membership while the members are being requested */
  #membershipChanges = null;

  /** @param {string} room @param {string | null} peer the other person of a direct conversation */
  constructor(room, peer = null) {
    this.room = room;
    this.peer = peer;
  }

  get direct() {
    return this.peer !== null;
  }

  /** The fields with which requests address it. */
  get address() {
    return this.peer === null ? { room: this.room } : { to: this.peer };
  }

  /** Whether only moderators may write here. */
  get readOnly() {
    return this.settings?.readOnly ?? false;
  }

  get firstSeq() {
    return this.messages[0]?.seq ?? null;
  }

  get lastSeq() {
    return this.messages.at(-1)?.seq ?? 0;
  }

  /** The last seq before the first gap: messages of two servers may overtake each other. */
  get contiguousSeq() {
    const { messages, firstSeq, lastSeq } = this;
    if (firstSeq === null || messages.length === lastSeq - firstSeq + 1) return lastSeq;
    const gap = messages.findIndex((message, index) => message.seq !== firstSeq + index);
    return firstSeq + gap - 1;
  }

  get hasGap() {
    return this.loaded && this.contiguousSeq < this.lastSeq;
  }

  /** What is known of it, for `sync`. */
  get position() {
    return { seq: this.loaded ? this.contiguousSeq : (this.latest?.seq ?? 0), rev: this.rev };
  }

  /** Merge messages from anywhere, in any order; returns those that were not known. @param {Message[]} incoming */
  add(incoming) {
    const known = new Set(this.messages.map((message) => message.id));
    const added = incoming.filter((message) => !known.has(message.id));
    if (!added.length) return added;
    this.messages = [...this.messages, ...added].sort((a, b) => a.seq - b.seq);
    const confirmed = new Set(added.map((message) => message.nonce).filter(Boolean));
    this.pending = this.pending.filter((entry) => !confirmed.has(entry.nonce));
    this.latest = this.messages.at(-1) ?? null;
    return added;
  }

  /**
   * Add the newest page, when it is loaded for the first time. Older messages that arrived before lie behind a gap and
   * are dropped.
   * @param {Message[]} page
   */
  addNewestPage(page) {
    const first = page[0]?.seq ?? 0;
    this.messages = this.messages.filter((message) => message.seq >= first);
    this.add(page);
  }

  /**
   * Replace a message by its present state: edited, deleted or with other reactions. Changes may arrive out of order.
   * @param {Message} message
   */
  applyChange(message) {
    this.messages = this.messages.map((old) => (old.id === message.id && isNewer(message, old) ? message : old));
    if (message.rev === this.rev + 1) this.rev = message.rev; // behind a gap there are changes to ask for
  }

  /** @param {{id: string, rev: number, reactions: Reaction[]}} reaction */
  applyReaction({ id, rev, reactions }) {
    const message = /** @type {Message} */ (this.find(id) ?? {}); // an unknown one still counts in `rev`
    this.applyChange({ ...message, id, rev, reactions });
  }

  /** The newest message by `id` that can still be changed. @param {string} id */
  lastEditableOf(id) {
    return this.messages.findLast((message) => message.from.id === id && !message.deletedAt) ?? null;
  }

  /** @param {string} id */
  find(id) {
    return this.messages.find((message) => message.id === id) ?? null;
  }

  /** Too far behind to fill the gap: begin again from the newest page. @param {Message[]} messages */
  restart(messages) {
    this.messages = [];
    this.loaded = messages.length > 0;
    this.hasOlder = true;
    this.add(messages);
  }

  /** @param {number} seq @param {string} me */
  markReadUpTo(seq, me) {
    this.lastRead = Math.max(this.lastRead, seq);
    const left = this.messages.filter((message) => isUnread(message, this.lastRead, me)).length;
    this.unread = this.loaded || seq >= this.lastSeq ? left : this.unread;
    if (!this.unread) this.mentions = 0;
  }

  /** The members are being requested: changes of membership from now on are newer than the answer. */
  beginMembersRequest() {
    this.#membershipChanges = [];
  }

  /** @param {string[]} ids @param {number} count of all members */
  endMembersRequest(ids, count) {
    this.members = new Set(ids);
    this.memberCount = count;
    const changes = this.#membershipChanges ?? [];
    this.#membershipChanges = null;
    for (const [id, here] of changes) this.setMember(id, here);
  }

  /** @param {string} id @param {boolean} here */
  setMember(id, here) {
    this.#membershipChanges?.push([id, here]);
    if (here === this.members.has(id)) return;
    this.memberCount += here ? 1 : -1;
    if (here) this.members.add(id);
    else this.members.delete(id);
  }

  /** People who have read the newest message, if it is one of `me`. @param {string} me */
  readersOfLast(me) {
    const last = this.messages.at(-1);
    if (!last || last.from.id !== me) return [];
    return [...this.readCursors].filter(([id, seq]) => id !== me && seq >= last.seq).map(([id]) => id);
  }
}

/** @param {Message} message @param {Message} old */
const isNewer = (message, old) => (message.rev ?? 0) > (old.rev ?? 0);
/** @param {Message} message @param {number} lastRead @param {string} me */
const isUnread = ({ seq, from, deletedAt }, lastRead, me) => seq > lastRead && from.id !== me && !deletedAt;
/** @param {string} id */
const escapeId = (id) => id.replaceAll("%", "%25").replaceAll(":", "%3A");
/** @param {string} id */
const unescapeId = (id) => id.replaceAll("%3A", ":").replaceAll("%25", "%");

/** The room of a direct conversation: both ids, sorted, `%` and `:` in them escaped. @param {[string, string]} ids */
export function directRoom(...ids) {
  return `dm:${ids.sort().map(escapeId).join(":")}`;
}

/** The peer of `me` in a direct room, or null for any other room. @param {string} room @param {string} me */
export function peerOf(room, me) {
  if (!room.startsWith("dm:")) return null;
  const [a = null, b = null] = room.slice(3).split(":").map(unescapeId);
  if (a === me) return b;
  return b === me ? a : null;
}
