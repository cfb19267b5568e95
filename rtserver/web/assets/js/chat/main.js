// Chat page: puts its parts together and follows the address (#room, #@person).
import { Chat } from "../../../client/chat.js";
import { codeOf } from "../../../client/connection.js";
import { Alerts } from "../alerts.js";
import { showAnnouncement } from "../announcements.js";
import { ask } from "../confirm.js";
import { byId, h } from "../dom.js";
import { PATH } from "../server_path.js";
import { startSignedIn } from "../sign_in.js";
import { siteStorage } from "../storage.js";
import { count, failure } from "../text_format.js";
import { toast } from "../toast.js";
import { showConnectionProblems, showStatus, watchBell } from "../topbar.js";
import { Attach } from "./attach.js";
import { Composer } from "./composer.js";
import { Drafts } from "./drafts.js";
import { Drawers } from "./drawers.js";
import { MessageList } from "./message_list.js";
import { NewRoomForm, problemOf } from "./new_room.js";
import { Search } from "./search.js";
import { showSidebars } from "./sidebar.js";

/** @typedef {import("../../../client/chat.js").Arrival} Arrival */
/** @typedef {import("../../../client/conversation.js").Conversation} Conversation */
/** @typedef {import("../../../client/conversation.js").Message} Message */

const FIRST_ROOM = "general"; // of a user who is in no room yet
const OFFLINE = "The connection is lost. You can go on writing; messages are sent as soon as it is back.";
const ANNOUNCED_FOR = 10_000; // ms

const drawers = new Drawers(); // at once: the question for the user is not to stand before an open panel

startSignedIn(async (user, users) => {
  const people = users.map(({ id, name }) => ({ id, name }));
  const me = { id: user.id, name: user.name };
  const chat = await Chat.connect("", { path: PATH, user: me, token: user.token, people, storage: siteStorage() });
  const page = new ChatPage(chat, drawers);
  showStatus(chat.connection);
  showConnectionProblems(chat.connection, { offline: OFFLINE });
  (await watchBell(user)).on("announcement", showAnnouncement);
  await chat.ready;
  await page.start();
});

class ChatPage {
  #question = ""; // the room of the address that the user was asked about

  /** @param {Chat} chat @param {Drawers} drawers */
  constructor(chat, drawers) {
    this.chat = chat;
    this.store = chat.store;
    this.drawers = drawers;
    this.composer = this.#composer();
    this.list = this.#messageList();
    this.search = new Search(chat.connection, this.store, (conversation, message) =>
      this.#openAt(conversation, message),
    );
    this.newRoom = new NewRoomForm((room) => this.#join(room));
    this.alerts = new Alerts();
    this.alerts.control(byId("mute"));
    new Attach(chat);
    chat.on("change", () => this.#show());
    chat.on("message", (arrival) => this.#onArrival(arrival));
    chat.on("error", (error) => toast(failure(error)));
    chat.on("announcement", showAnnouncement);
    addEventListener("hashchange", () => this.#followAddress());
    document.addEventListener("visibilitychange", () => this.list.show());
    byId("side-filter").addEventListener("input", () => this.#show());
    byId("leave-room").addEventListener("click", () => this.#leave());
    this.#show();
  }

  /** The first connection is up to date: open what the address names. */
  async start() {
    if (!this.store.rooms.length) await this.#report(this.chat.open(FIRST_ROOM));
    await this.#followAddress();
  }

  #composer() {
    /** @type {import("./composer.js").Actions} */
    const actions = {
      send: (conversation, text, replyTo) => {
        this.list.toEnd();
        this.list.atEnd = true;
        this.chat.send(conversation, text, { replyTo });
      },
      edit: (_, message, text) => this.#report(this.chat.edit(message, text)),
      typing: (conversation) => this.chat.typing(conversation),
      stopTyping: (conversation) => this.chat.stopTyping(conversation),
      people: () => this.#mentionable(),
      lastOwn: (conversation) => conversation.lastEditableOf(this.store.me.id),
    };
    return new Composer(actions, new Drafts(this.store.me.id));
  }

  #messageList() {
    return new MessageList(this.store, {
      loadOlder: async (conversation) => void (await this.#report(this.chat.older(conversation))),
      markRead: (conversation) => this.chat.read(conversation),
      retry: (conversation, entry) => this.chat.retry(conversation, entry),
      discard: (conversation, entry) => this.chat.discard(conversation, entry),
      react: (_, message, emoji, on) => this.#report(this.chat.react(message, emoji, on)),
      remove: (_, message) => this.#remove(message),
      reply: (_, message) => this.composer.startReply(message),
      edit: (_, message) => this.composer.startEdit(message),
      attachmentOf: (message) => this.chat.attachmentOf(message),
    });
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
    if (conversation.loaded) return;
    this.chat.open(room).catch((error) => {
      if (codeOf(error) !== "offline") toast(failure(error));
    });
  }

  /** Wait for a request and show its failure; returns whether it worked. @param {Promise<unknown>} request */
  async #report(request) {
    try {
      await request;
      return true;
    } catch (error) {
      toast(failure(error));
      return false;
    }
  }

  /** @param {Conversation} conversation @param {Message} message */
  async #openAt(conversation, message) {
    this.open(conversation);
    await this.#report(this.chat.loadBackTo(conversation, message.seq));
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

  async #followAddress() {
    const place = placeOf(location.hash);
    if (/^@./u.test(place) && place !== `@${this.store.me.id}`) {
      this.open(this.store.directConversation(place.slice(1)));
      return;
    }
    const known = this.store.conversations.get(place);
    if (known?.direct || known?.member) this.open(known);
    else if (place && place === this.store.active?.room) return;
    else if (!(await this.#joinAsked(place))) this.open(this.store.active ?? this.#home());
  }

  /**
   * Ask before the address of a link makes the user a member of a room, or even makes the room.
   * @param {string} room
   */
  async #joinAsked(room) {
    if (!room || room.startsWith("@") || room === this.#question) return false;
    if (problemOf(room)) {
      toast("The address names no room that can exist.");
      return false;
    }
    this.#question = room;
    const text = "You are not in this room. If there is none of this name, it is created.";
    const yes = await ask({ title: `Join # ${room}?`, text, action: "Join" });
    this.#question = "";
    return yes && (await this.#report(this.#join(room)));
  }

  #show() {
    const { store } = this;
    const { active } = store;
    showSidebars(store, (conversation) => this.open(conversation));
    if (active && !store.conversations.has(active.room)) {
      this.#onRemoved(active);
      return;
    }
    if (active) this.#showHead(active);
    showUnreadElsewhere(store.unread - (active?.unread ?? 0));
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
    byId("title").title = title;
    byId("subtitle").textContent = this.#subtitle(conversation);
    byId("leave-room").hidden = conversation.direct || !conversation.loaded;
  }

  /** @param {Conversation} conversation */
  #subtitle({ peer, loaded, members, memberCount, settings }) {
    if (peer !== null) return this.store.person(peer).online ? "Online" : "Offline";
    if (!loaded) return "";
    const online = [...members].filter((id) => this.store.person(id).online).length;
    const topic = typeof settings?.meta?.topic === "string" ? `${settings.meta.topic} · ` : "";
    return `${topic}${count(memberCount, "member")}, ${online} online`;
  }

  /** @param {Arrival} arrival */
  #onArrival({ conversation, message: { from, text, mentions }, mine }) {
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

  /** Throws CallError. @param {string} room */
  async #join(room) {
    this.open(await this.chat.open(room));
  }

  async #leave() {
    const conversation = this.store.active;
    if (!conversation) return;
    const text = "Its messages no longer reach you, until you join again. What others wrote stays.";
    if (!(await ask({ title: `Leave # ${conversation.room}?`, text, action: "Leave", danger: true }))) return;
    if (await this.#report(this.chat.leave(conversation))) toast(`You left # ${conversation.room}.`);
  }

  /** @param {Message} message */
  async #remove(message) {
    const text = "Everybody in the conversation sees that there was one. This cannot be taken back.";
    if (await ask({ title: "Delete this message?", text, action: "Delete", danger: true })) {
      await this.#report(this.chat.remove(message));
    }
  }

  /**
   * The user left the room that is on screen, here or elsewhere, or was taken out.
   * @param {Conversation} conversation
   */
  #onRemoved({ room }) {
    this.store.active = null;
    history.replaceState(null, "", location.pathname + location.search);
    this.open(this.#home());
    byId("announcer").append(h("p", {}, `You are no longer in ${room}.`));
  }
}

/** The room or `@person` of an address. What is no proper encoding is taken as it is. @param {string} hash */
function placeOf(hash) {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return hash.slice(1);
  }
}

/** On a phone the list is out of sight: the button that opens it shows what has come. @param {number} unread */
function showUnreadElsewhere(unread) {
  byId("elsewhere").hidden = unread <= 0;
  byId("elsewhere").textContent = unread > 99 ? "99+" : String(unread);
  byId("open-rooms").setAttribute(
    "aria-label",
    unread > 0 ? `Show conversations, ${unread} unread` : "Show conversations",
  );
}

/** @param {string[]} names */
function showTyping(names) {
  const some = names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing` : "";
  const words = names.length > 2 ? "Several people are typing" : some;
  const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
  const line = byId("typing");
  if (line.dataset.words === words) return;
  line.dataset.words = words;
  line.replaceChildren(...(words ? [dots, h("span", { dir: "auto" }, words)] : []));
}
