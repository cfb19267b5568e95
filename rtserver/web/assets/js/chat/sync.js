// Owns the traffic of the chat page: what is asked of the server, and what its events do to the book.
// After every (re)connect it fetches what was missed with `sync`, changes included, and joins the rooms again.

const PAGE = 50;
const SYNC_ROOMS = 200;
const GAP_LIMIT = 500; // further behind than this, start again from the newest page
export const FIRST_ROOM = "general";

export class Sync {
  #heard = new Map(); // id → when its presence was last heard of, by #clock
  #clock = 0;

  constructor(connection, book, { onArrival }) {
    this.connection = connection;
    this.book = book;
    this.onArrival = onArrival;
    this.reading = new Set();
    connection.on("message", (message) => this.#arrived(message));
    connection.on("messageEdited", (message) => (book.room(message.room).change(message), book.changed()));
    connection.on("messageDeleted", (message) => (book.room(message.room).change(message), book.changed()));
    connection.on("reaction", (reaction) => (book.room(reaction.room).react(reaction), book.changed()));
    connection.on("roomChanged", (settings) => this.#set(book.room(settings.room), settings));
    connection.on("typing", ({ room, user, typing }) => book.typing(book.room(room), user, typing));
    connection.on("presence", ({ user, online }) => this.#hear(user, online));
    connection.on("joined", ({ room, user }) => this.#membership(room, user, true));
    connection.on("left", ({ room, user }) => this.#membership(room, user, false));
    connection.on("read", ({ room, user, seq }) => this.#seen(room, user, seq));
  }

  /** Bring everything up to date; runs at each connect. */
  async catchUp() {
    const { rooms } = await this.connection.call("rooms");
    for (const { room, unread, lastMessage, lastRead, rev } of rooms) {
      const one = this.book.room(room);
      one.unread = unread;
      if (!one.loaded) one.rev = rev;
      one.lastRead = lastRead ?? one.lastRead;
      one.latest = lastMessage ?? null;
      if (one.direct) this.book.meet({ id: one.peer, name: lastMessage?.from.id === one.peer ? lastMessage.from.name : undefined });
    }
    if (!rooms.some(({ room }) => !room.startsWith("dm:"))) this.book.room(FIRST_ROOM);
    const first = this.book.active;
    const all = [...this.book.conversations.values()].sort((a, b) => (b === first) - (a === first));
    await this.#missed(all.filter((one) => one.loaded && one.lastSeq));
    for (const one of all) await this.#refresh(one);
    await this.#presence();
    this.book.changed();
  }

  async #refresh(one) {
    try {
      if (!one.direct) await this.join(one);
      else if (one === this.book.active && !one.loaded) await this.load(one);
    } catch (error) {
      if (error.code !== "forbidden" && error.code !== "not_found") throw error;
      this.book.forget(one);
    }
  }

  /** What was said and changed in all of these since the connection was lost, page by page. */
  async #missed(all) {
    for (let left = all.slice(0, SYNC_ROOMS); left.length; ) {
      const asked = Object.fromEntries(left.map((one) => [one.room, { seq: one.lastSeq, rev: one.rev }]));
      const { rooms } = await this.connection.call("sync", { rooms: asked, limit: 100 });
      left = left.filter((one) => this.#caughtUp(one, rooms[one.room]));
    }
    this.book.changed();
  }

  /** Take in one room's part of the answer; whether there is more to ask for. */
  #caughtUp(one, found) {
    if (!found || found.error) return false;
    const behind = found.lastSeq > one.lastSeq + GAP_LIMIT;
    if (behind) one.restart([]);
    else one.add(found.messages);
    for (const message of found.changed) one.change(message);
    one.rev = Math.max(one.rev, found.rev);
    one.unread = found.unread;
    one.lastRead = found.lastRead;
    return found.more && !behind;
  }

  async join(one) {
    one.membersAsked();
    const asked = this.#clock;
    const { members, messages, lastRead } = await this.connection.call("join", { room: one.room });
    for (const member of members) this.#learn(member, asked);
    one.membersAnswered(members.map((member) => member.id));
    one.lastRead = lastRead;
    if (one.loaded && messages.length && messages[0].seq > one.lastSeq + GAP_LIMIT) one.restart(messages);
    else if (one.loaded && messages.length && one.misses(messages[0].seq)) await this.#fillGap(one);
    one.more = one.loaded ? one.more : messages.length >= PAGE;
    if (one.loaded) one.add(messages);
    else one.begin(messages);
    this.#ready(one);
    this.connection.call("room", { room: one.room }).then(({ room }) => this.#set(one, room), () => {}); // not known, then
  }

  #set(one, { readOnly, meta }) {
    one.readOnly = readOnly;
    one.topic = typeof meta?.topic === "string" ? meta.topic : "";
    this.book.changed();
  }

  /** The newest page of a direct conversation. */
  async load(one) {
    const { messages, more } = await this.connection.call("history", { ...one.address, limit: PAGE });
    one.begin(messages);
    one.more = more;
    for (const { from } of messages) this.book.meet(from);
    this.#ready(one);
  }

  #ready(one) {
    const first = !one.loaded;
    one.loaded = true;
    if (first && one === this.book.active) this.book.markFresh(one);
    this.book.changed();
  }

  async older(one) {
    const { messages, more } = await this.connection.call("history", { ...one.address, before: one.firstSeq, limit: PAGE });
    one.add(messages);
    one.more = more;
    this.book.changed();
  }

  async #fillGap(one) {
    for (let more = true; more; ) {
      const answer = await this.connection.call("history", { ...one.address, after: one.lastSeq, limit: 100 });
      const fresh = one.add(answer.messages);
      more = answer.more && fresh.length > 0;
    }
    this.book.changed();
  }

  async #presence() {
    const users = [...this.book.people.keys()];
    const asked = this.#clock;
    const { online } = await this.connection.call("online", { users });
    for (const id of users) this.#learn({ id, online: online.includes(id) }, asked);
  }

  #hear(id, online) {
    this.#heard.set(id, ++this.#clock);
    this.book.meet({ id, online });
  }

  /** What an answer says of a person; what was heard since it was `asked` for is newer. */
  #learn({ id, name, online }, asked) {
    const older = this.#heard.get(id) > asked;
    this.book.meet({ id, name, online: older ? undefined : online });
  }

  #arrived(message) {
    const one = this.book.room(message.room);
    this.book.meet({ id: message.from.id, name: message.from.name });
    if (one.misses(message.seq)) this.#fillGap(one).catch(() => {});
    if (!one.add([message]).length) return; // also before the room is loaded: the answer may be older
    this.book.typing(one, message.from.id, false);
    const mine = message.from.id === this.book.me.id;
    if (!mine) one.unread += 1;
    this.book.changed();
    this.onArrival(one, message, mine);
  }

  #membership(room, user, here) {
    const one = this.book.room(room);
    const stranger = !this.book.people.has(user);
    one.moved(user, here);
    if (here) this.#hear(user, true); // presence was told before this room could hear it
    if (here && stranger) this.#names(room).catch(() => {});
    if (!here && user === this.book.me.id) this.book.forget(one);
    this.book.changed();
  }

  async #names(room) {
    const asked = this.#clock;
    const { members } = await this.connection.call("members", { room });
    for (const member of members) this.#learn(member, asked);
  }

  #seen(room, id, seq) {
    const one = this.book.room(room);
    if (id === this.book.me.id) one.readUpTo(seq, id);
    else one.seen.set(id, seq);
    this.book.changed();
  }

  /** The reader has everything of this conversation before their eyes. */
  async markRead(one) {
    const seq = one.lastSeq;
    if (!one.loaded || seq <= one.lastRead && !one.unread || this.reading.has(one)) return;
    this.reading.add(one);
    try {
      await this.connection.call("read", { ...one.address, seq });
      one.readUpTo(seq, this.book.me.id);
      this.book.changed();
    } catch {
      // Not read as far as the server knows; the next look at the conversation tries again.
    } finally {
      this.reading.delete(one);
    }
  }

  edit = (one, { id }, text) => this.#change(one, "edit", { id, text });
  remove = (one, { id }) => this.#change(one, "delete", { id });
  react = (one, { id }, emoji, on) => this.#change(one, "react", { id, emoji, on });

  async #change(one, event, what) {
    const { message } = await this.connection.call(event, { ...one.address, ...what });
    one.change(message);
    this.book.changed();
  }

  /** Load what is older until the message with this seq is there, or there is no more. */
  async reach(one, seq) {
    if (!one.loaded) await (one.direct ? this.load(one) : this.join(one));
    while (one.more && one.firstSeq !== null && one.firstSeq > seq) await this.older(one);
  }

  typing(one, on) {
    this.connection.call("typing", { ...one.address, typing: on }).catch(() => {});
  }

  async leave(one) {
    await this.connection.call("leave", { room: one.room });
    this.book.forget(one);
  }
}
