// Owns all conversations and people this tab knows, and which one is open. Tells its views when something changed.
import { Conversation, directRoom, peerOf } from "./conversation.js";

const TYPING_LASTS = 6000; // ms after the last sign of it

export class Book extends EventTarget {
  conversations = new Map();
  people = new Map(); // id → {id, name, online}
  active = null;
  #told = false;

  constructor(me, people) {
    super();
    this.me = me;
    for (const person of [me, ...people]) this.meet(person);
  }

  /** One `change` for everything that happened in this turn. */
  changed() {
    if (this.#told) return;
    this.#told = true;
    queueMicrotask(() => {
      this.#told = false;
      this.dispatchEvent(new Event("change"));
    });
  }

  meet({ id, name, online }) {
    const known = this.people.get(id) ?? { id, name: id, online: false };
    this.people.set(id, { id, name: name ?? known.name, online: online ?? known.online });
    this.changed();
  }

  person(id) {
    return this.people.get(id) ?? { id, name: id, online: false };
  }

  room(name) {
    if (!this.conversations.has(name)) {
      this.conversations.set(name, new Conversation(name, peerOf(name, this.me.id)));
      this.changed();
    }
    return this.conversations.get(name);
  }

  direct(id) {
    return this.room(directRoom(this.me.id, id));
  }

  forget(conversation) {
    this.conversations.delete(conversation.room);
    this.changed();
  }

  title(conversation) {
    return conversation.direct ? this.person(conversation.peer).name : conversation.room;
  }

  get rooms() {
    return [...this.conversations.values()].filter((one) => !one.direct).sort((a, b) => a.room.localeCompare(b.room));
  }

  /** Everybody one can write to: those written with first, then the rest by name. */
  get contacts() {
    const others = [...this.people.values()].filter((person) => person.id !== this.me.id);
    const last = (person) => this.conversations.get(directRoom(this.me.id, person.id))?.latest?.sentAt ?? "";
    return others.sort((a, b) => last(b).localeCompare(last(a)) || a.name.localeCompare(b.name));
  }

  get unread() {
    return [...this.conversations.values()].reduce((sum, one) => sum + one.unread, 0);
  }

  open(conversation) {
    if (this.active && this.active !== conversation) this.active.freshFrom = null;
    this.active = conversation;
    this.markFresh(conversation);
    this.changed();
  }

  /** Remember where the unread messages begin, for the dividing line. */
  markFresh(conversation) {
    if (!conversation.unread || !conversation.loaded) return;
    conversation.freshFrom = conversation.messages.filter((one) => one.from.id !== this.me.id).at(-conversation.unread)?.seq ?? null;
  }

  typing(conversation, id, on) {
    clearTimeout(conversation.typing.get(id));
    conversation.typing.delete(id);
    const end = () => (conversation.typing.delete(id), this.changed());
    if (on) conversation.typing.set(id, setTimeout(end, TYPING_LASTS));
    this.changed();
  }
}
