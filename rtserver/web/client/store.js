// Store of a chat: all conversations and people that are known, and which conversation is on screen.
// Views listen to its `change` event.
import { Conversation, directRoom, peerOf } from "./conversation.js";
import { Emitter } from "./emitter.js";

/** @typedef {import("./conversation.js").Person} Person */
/** @typedef {Person & {online: boolean}} KnownPerson */

const TYPING_TIMEOUT = 6000; // ms after the last sign of typing

/** @extends {Emitter<{change: []}>} */
export class Store extends Emitter {
  /** @type {Map<string, Conversation>} by room */
  conversations = new Map();
  /** @type {Map<string, KnownPerson>} by id */
  people = new Map();
  /** @type {Conversation | null} the one on screen, if the front end has set it by `open` */
  active = null;
  #changeQueued = false;

  /** @param {Person} me @param {Person[]} people */
  constructor(me, people) {
    super();
    this.me = me;
    for (const person of [me, ...people]) this.updatePerson(person);
  }

  /** Emit one `change` for everything that happens in this turn of the event loop. */
  changed() {
    if (this.#changeQueued) return;
    this.#changeQueued = true;
    queueMicrotask(() => {
      this.#changeQueued = false;
      this.emit("change");
    });
  }

  /**
   * What is left out stays as it was.
   * @param {{id: string, name?: string | undefined, online?: boolean | undefined}} person
   */
  updatePerson({ id, name, online }) {
    const known = this.person(id);
    this.people.set(id, { id, name: name ?? known.name, online: online ?? known.online });
    this.changed();
  }

  /** @param {string} id @returns {KnownPerson} */
  person(id) {
    return this.people.get(id) ?? { id, name: id, online: false };
  }

  /** The conversation of `room`, made where it is not known. @param {string} room */
  conversation(room) {
    const known = this.conversations.get(room);
    if (known) return known;
    const made = new Conversation(room, peerOf(room, this.me.id));
    this.conversations.set(room, made);
    this.changed();
    return made;
  }

  /** @param {string} id of the other person */
  directConversation(id) {
    return this.conversation(directRoom(this.me.id, id));
  }

  /** @param {Conversation} conversation */
  remove(conversation) {
    this.conversations.delete(conversation.room);
    this.changed();
  }

  /** @param {Conversation} conversation */
  title(conversation) {
    return conversation.peer === null ? conversation.room : this.person(conversation.peer).name;
  }

  /** The rooms, those with the latest messages first. */
  get rooms() {
    const rooms = [...this.conversations.values()].filter((conversation) => !conversation.direct);
    return rooms.sort((a, b) => lastTime(b).localeCompare(lastTime(a)) || a.room.localeCompare(b.room));
  }

  /** All other people: those with a direct conversation first, the latest on top, then the rest by name. */
  get contacts() {
    const others = [...this.people.values()].filter((person) => person.id !== this.me.id);
    /** @param {Person} person */
    const last = (person) => this.conversations.get(directRoom(this.me.id, person.id))?.latest?.sentAt ?? "";
    return others.sort((a, b) => last(b).localeCompare(last(a)) || a.name.localeCompare(b.name));
  }

  get unread() {
    return [...this.conversations.values()].reduce((sum, conversation) => sum + conversation.unread, 0);
  }

  /** @param {Conversation} conversation */
  open(conversation) {
    if (this.active && this.active !== conversation) this.active.unreadFrom = null;
    this.active = conversation;
    this.markFirstUnread(conversation);
    this.changed();
  }

  /** Remember where the unread messages begin, for the dividing line. @param {Conversation} conversation */
  markFirstUnread(conversation) {
    if (!conversation.unread || !conversation.loaded) return;
    const fromOthers = conversation.messages.filter((message) => message.from.id !== this.me.id);
    conversation.unreadFrom = fromOthers.at(-conversation.unread)?.seq ?? null;
  }

  /** @param {Conversation} conversation @param {string} id @param {boolean} typing */
  setTyping(conversation, id, typing) {
    clearTimeout(conversation.typing.get(id));
    conversation.typing.delete(id);
    const end = () => {
      conversation.typing.delete(id);
      this.changed();
    };
    if (typing) conversation.typing.set(id, setTimeout(end, TYPING_TIMEOUT));
    this.changed();
  }
}

/** @param {Conversation} conversation */
const lastTime = ({ latest }) => latest?.sentAt ?? "";
