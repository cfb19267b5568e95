// Owns one conversation's data: its messages in order of seq, what waits to be sent, who read and who types.
// Pure: no server, no page.

export class Conversation {
  messages = [];
  pending = []; // what this tab sent and the server has not yet confirmed
  members = new Set(); // ids
  typing = new Map(); // id → timer that ends it
  seen = new Map(); // id → the last seq that person has read
  unread = 0;
  lastRead = 0; // own cursor
  rev = 0; // how far the changes of its messages are known
  freshFrom = null; // seq of the first message that was unread when the conversation was opened
  more = true; // older messages may exist
  loaded = false;
  latest = null; // for order in the side bar when nothing is loaded yet
  draft = "";
  readOnly = false; // but for moderators
  topic = "";
  #turnover = null; // who came and went while the members were asked for

  constructor(room, peer = null) {
    this.room = room;
    this.peer = peer;
  }

  get direct() {
    return this.peer !== null;
  }

  /** How the server wants it addressed. */
  get address() {
    return this.direct ? { to: this.peer } : { room: this.room };
  }

  get firstSeq() {
    return this.messages[0]?.seq ?? null;
  }

  get lastSeq() {
    return this.messages.at(-1)?.seq ?? 0;
  }

  /** Merge messages from anywhere, in any order; returns those that were not known. */
  add(incoming) {
    const known = new Set(this.messages.map((message) => message.id));
    const fresh = incoming.filter((message) => !known.has(message.id));
    if (!fresh.length) return fresh;
    this.messages = [...this.messages, ...fresh].sort((a, b) => a.seq - b.seq);
    const confirmed = new Set(fresh.map((message) => message.nonce).filter(Boolean));
    this.pending = this.pending.filter((entry) => !confirmed.has(entry.nonce));
    this.latest = this.messages.at(-1);
    return fresh;
  }

  /** The newest page has been loaded: what arrived before and is older lies behind a gap. */
  begin(page) {
    const first = page[0]?.seq ?? 0;
    this.messages = this.messages.filter((message) => message.seq >= first);
    this.add(page);
  }

  /** A message as it is now: edited, deleted or with other reactions. Changes may overtake each other on the way. */
  change(message) {
    this.messages = this.messages.map((old) => (old.id === message.id && newer(message, old) ? message : old));
    if (message.rev === this.rev + 1) this.rev = message.rev; // behind a gap there are changes to ask for
  }

  react({ id, rev, reactions }) {
    this.change({ ...this.find(id), id, rev, reactions });
  }

  /** The newest one by `id` that can still be changed. */
  lastOf(id) {
    return this.messages.findLast((message) => message.from.id === id && !message.deletedAt) ?? null;
  }

  find(id) {
    return this.messages.find((message) => message.id === id) ?? null;
  }

  /** Too far behind to fill the gap: begin again from the newest page. */
  restart(messages) {
    this.messages = [];
    this.loaded = messages.length > 0;
    this.more = true;
    this.add(messages);
  }

  /** A gap lies between what is here and a message with this seq. */
  misses(seq) {
    return this.loaded && this.lastSeq > 0 && seq > this.lastSeq + 1;
  }

  readUpTo(seq, me) {
    this.lastRead = Math.max(this.lastRead, seq);
    const left = this.messages.filter((message) => message.seq > this.lastRead && message.from.id !== me).length;
    this.unread = this.loaded || seq >= this.lastSeq ? left : this.unread;
  }

  /** The members are being asked for: who comes or goes from now on is newer than the answer. */
  membersAsked() {
    this.#turnover = [];
  }

  membersAnswered(ids) {
    this.members = new Set(ids);
    const turnover = this.#turnover ?? [];
    this.#turnover = null;
    for (const [id, here] of turnover) this.moved(id, here);
  }

  /** Somebody came or went. */
  moved(id, here) {
    this.#turnover?.push([id, here]);
    if (here) this.members.add(id);
    else this.members.delete(id);
  }

  /** People whose cursor stands exactly at the newest message. */
  readersOfLast(me) {
    const last = this.messages.at(-1);
    if (!last || last.from.id !== me) return [];
    return [...this.seen].filter(([id, seq]) => id !== me && seq >= last.seq).map(([id]) => id);
  }
}

const newer = (message, old) => (message.rev ?? 0) > (old.rev ?? 0);
const escape = (id) => id.replaceAll("%", "%25").replaceAll(":", "%3A");
const unescape = (id) => id.replaceAll("%3A", ":").replaceAll("%25", "%");

/** The room of a direct conversation: both ids, sorted, with `%` and `:` inside them escaped. */
export function directRoom(a, b) {
  return `dm:${[a, b].sort().map(escape).join(":")}`;
}

/** The other one of a direct message room, or null when it is no such room of mine. */
export function peerOf(room, me) {
  if (!room.startsWith("dm:")) return null;
  const [a, b] = room.slice(3).split(":").map(unescape);
  if (a === me) return b;
  return b === me ? a : null;
}
