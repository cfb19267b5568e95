// Chat page: puts its parts together and follows the address (#room, #@person).
import { Alerts } from "../alerts.js";
import { codeOf, connect } from "../connection.js";
import { byId, form, h, input, onSubmit } from "../dom.js";
import { startSignedIn } from "../sign_in.js";
import { count, failure } from "../text_format.js";
import { toast } from "../toast.js";
import { showConnectionProblems, showStatus, watchBell } from "../topbar.js";
import { Composer } from "./composer.js";
import { Drawers } from "./drawers.js";
import { MessageList } from "./message_list.js";
import { Outbox } from "./outbox.js";
import { Search } from "./search.js";
import { showSidebars } from "./sidebar.js";
import { Store } from "./store.js";
import { FIRST_ROOM, Sync } from "./sync.js";

/** @typedef {import("../connection.js").Connection} Connection */
/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./conversation.js").Message} Message */

const OFFLINE = "The connection is lost. You can go on writing; messages are sent as soon as it is back.";
const ROOM_NAME = /^[\p{L}\p{N}\-_.:@/#]{1,200}$/u;
const ANNOUNCED_FOR = 10_000; // ms

startSignedIn(async (user, users) => {
  const connection = await connect("/chat", user);
  const people = users.map(({ id, name }) => ({ id, name }));
  const page = new ChatPage(connection, new Store({ id: user.id, name: user.name }, people));
  showStatus(connection);
  showConnectionProblems(connection, { offline: OFFLINE });
  connection.watch((state) => state === "online" && page.onConnected());
  await watchBell(user);
});

class ChatPage {
  /** @param {Connection} connection @param {Store} store */
  constructor(connection, store) {
    this.store = store;
    this.sync = new Sync(connection, store, {
      onArrival: (conversation, message, mine) => this.#onArrival(conversation, message, mine),
    });
    this.outbox = new Outbox(connection, store, { join: (conversation) => this.sync.join(conversation) });
    this.drawers = new Drawers();
    this.composer = this.#composer();
    this.list = this.#messageList();
    this.search = new Search(connection, store, (conversation, message) => this.#openAt(conversation, message));
    this.alerts = new Alerts();
    this.alerts.control(byId("mute"));
    store.addEventListener("change", () => this.#show());
    addEventListener("hashchange", () => this.#followAddress());
    document.addEventListener("visibilitychange", () => this.list.show());
    this.#watchNewRoomForm();
    byId("leave-room").addEventListener("click", () => this.#leave());
    this.#followAddress();
  }

  #composer() {
    return new Composer({
      send: (conversation, text, replyTo) => {
        this.list.toEnd();
        this.list.atEnd = true;
        this.outbox.send(conversation, text, replyTo);
      },
      edit: (conversation, message, text) => this.#report(this.sync.edit(conversation, message, text)),
      typing: (conversation, typing) => this.sync.sendTyping(conversation, typing),
      people: () => this.#mentionable(),
      lastOwn: (conversation) => conversation.lastEditableOf(this.store.me.id),
    });
  }

  #messageList() {
    return new MessageList(this.store, {
      loadOlder: (conversation) => this.#report(this.sync.loadOlder(conversation)),
      markRead: (conversation) => this.sync.markRead(conversation),
      retry: (conversation, entry) => this.outbox.deliver(conversation, entry),
      discard: (conversation, entry) => this.outbox.discard(conversation, entry),
      react: (conversation, message, emoji, on) => this.#report(this.sync.react(conversation, message, emoji, on)),
      remove: (conversation, message) => this.#report(this.sync.remove(conversation, message)),
      reply: (_, message) => this.composer.startReply(message),
      edit: (_, message) => this.composer.startEdit(message),
    });
  }

  async onConnected() {
    try {
      await this.sync.catchUp();
      if (!this.store.active || !this.store.conversations.has(this.store.active.room)) this.open(this.#home());
      await this.outbox.flush();
    } catch (error) {
      if (codeOf(error) !== "offline") toast(failure(error));
    }
  }

  /** @param {Conversation} conversation */
  open(conversation) {
    const { peer, room } = conversation;
    const hash = peer === null ? `#${encodeURIComponent(room)}` : `#@${encodeURIComponent(peer)}`;
    if (location.hash !== hash) history.pushState(null, "", hash);
    this.store.open(conversation);
    this.drawers.closeAll();
    this.composer.show(conversation, this.store.title(conversation));
    this.composer.focus();
    if (!conversation.direct || conversation.loaded) return;
    this.sync.load(conversation).catch((error) => {
      if (codeOf(error) !== "offline") toast(failure(error));
    });
  }

  /** Wait for a request and show its failure. @param {Promise<unknown>} request */
  async #report(request) {
    try {
      await request;
    } catch (error) {
      toast(failure(error));
    }
  }

  /** @param {Conversation} conversation @param {Message} message */
  async #openAt(conversation, message) {
    this.open(conversation);
    await this.#report(this.sync.loadBackTo(conversation, message.seq));
    queueMicrotask(() => this.list.point(message.id));
  }

  #mentionable() {
    const { active, me } = this.store;
    if (!active) return [];
    const ids = active.peer === null ? [...active.members] : [active.peer];
    return ids.filter((id) => id !== me.id).map((id) => this.store.person(id));
  }

  /** The conversation to open where the address names none. */
  #home() {
    return this.store.conversations.get(FIRST_ROOM) ?? this.store.rooms[0] ?? this.store.conversation(FIRST_ROOM);
  }

  #followAddress() {
    const place = decodeURIComponent(location.hash.slice(1));
    const person = place.startsWith("@") ? place.slice(1) : null;
    if (person !== null && person !== this.store.me.id) {
      this.open(this.store.directConversation(person));
      return;
    }
    const conversation = place ? this.store.conversations.get(place) : undefined;
    if (conversation) this.open(conversation);
    else if (place && person === null && !this.store.active) this.store.open(this.store.conversation(place));
  }

  #show() {
    const { store } = this;
    const { active } = store;
    showSidebars(store, (conversation) => this.open(conversation));
    if (active) this.#showHead(active);
    showTyping(active ? [...active.typing.keys()].map((id) => store.person(id).name) : []);
    const unread = store.unread ? `(${store.unread}) ` : "";
    document.title = `${unread}${active ? store.title(active) : "Chat"} · rtserver`;
    this.list.show();
  }

  /** @param {Conversation} conversation */
  #showHead(conversation) {
    const title = this.store.title(conversation);
    this.composer.show(conversation, title);
    byId("title").textContent = conversation.direct ? title : `# ${title}`;
    byId("subtitle").textContent = this.#subtitle(conversation);
    byId("leave-room").hidden = conversation.direct || !conversation.loaded;
  }

  /** @param {Conversation} conversation */
  #subtitle({ peer, loaded, members, topic }) {
    if (peer !== null) return this.store.person(peer).online ? "Online" : "Offline";
    if (!loaded) return "";
    const online = [...members].filter((id) => this.store.person(id).online).length;
    return `${topic && `${topic} · `}${count(members.size, "member")}, ${online} online`;
  }

  /** @param {Conversation} conversation @param {Message} message @param {boolean} mine */
  #onArrival(conversation, { from, text, mentions }, mine) {
    if (mine) return;
    const active = conversation === this.store.active;
    const addressed = conversation.direct || mentions?.includes(this.store.me.id);
    if (addressed || active) this.alerts.ring(`${from.name}: ${text.slice(0, 60)}`);
    if (active) this.list.countMissed();
    if (!active && !conversation.direct) return;
    const line = h("p", {}, `${from.name}${active ? "" : " (direct message)"}: ${text}`);
    byId("announcer").append(line);
    setTimeout(() => line.remove(), ANNOUNCED_FOR);
  }

  #watchNewRoomForm() {
    const newRoom = form("new-room");
    byId("new-room-toggle").addEventListener("click", () => {
      this.#showNewRoomForm(Boolean(newRoom.hidden));
      if (!newRoom.hidden) byId("room-name").focus();
    });
    onSubmit(newRoom, () => this.#join(input("room-name").value.trim().replace(/^#/, "")));
  }

  /** @param {boolean} open */
  #showNewRoomForm(open) {
    byId("new-room").hidden = !open;
    byId("new-room-toggle").setAttribute("aria-expanded", String(open));
  }

  /** @param {string} room */
  async #join(room) {
    const problem = byId("room-problem");
    problem.textContent = ROOM_NAME.test(room) ? "" : "Use letters, digits and - _ . : @ / # only.";
    if (problem.textContent) return;
    const known = this.store.conversations.has(room);
    const conversation = this.store.conversation(room);
    try {
      if (!known) await this.sync.join(conversation);
      form("new-room").reset();
      this.#showNewRoomForm(false);
      this.open(conversation);
    } catch (error) {
      this.store.remove(conversation);
      problem.textContent = failure(error);
    }
  }

  async #leave() {
    const conversation = this.store.active;
    if (!conversation) return;
    try {
      await this.sync.leave(conversation);
      this.open(this.#home());
      toast(`You left ${conversation.room}.`);
    } catch (error) {
      toast(failure(error));
    }
  }
}

/** @param {string[]} names */
function showTyping(names) {
  const some = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing` : "";
  const words = names.length > 2 ? "Several people are typing" : some;
  const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
  const line = byId("typing");
  if (line.dataset.words === words) return;
  line.dataset.words = words;
  line.replaceChildren(...(words ? [dots, words] : []));
}
