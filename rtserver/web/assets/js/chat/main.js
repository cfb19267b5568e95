// Owns the chat page: puts its parts together and follows the address (#room, #@person).
import { connect } from "../api.js";
import { Alerts } from "../alerts.js";
import { $, h } from "../dom.js";
import { start } from "../start.js";
import { toast } from "../toast.js";
import { showStatus, showTrouble, watchBell } from "../topbar.js";
import { count, failure } from "../words.js";
import { Book } from "./book.js";
import { Composer } from "./composer.js";
import { Drawers } from "./drawers.js";
import { MessageList } from "./messages.js";
import { Outbox } from "./outbox.js";
import { Search } from "./search.js";
import { showSide } from "./side.js";
import { FIRST_ROOM, Sync } from "./sync.js";

const OFFLINE = "The connection is lost. You can go on writing; messages are sent as soon as it is back.";
const ROOM_NAME = /^[\p{L}\p{N}\-_.:@/#]{1,200}$/u;

start(async (user, users) => {
  const connection = await connect("/chat", user);
  const book = new Book({ id: user.id, name: user.name }, users.map(({ id, name }) => ({ id, name })));
  const page = new ChatPage(connection, book);
  showStatus(connection);
  showTrouble(connection, { offline: OFFLINE });
  connection.watch((state) => state === "online" && page.connected());
  await watchBell(user);
});

class ChatPage {
  constructor(connection, book) {
    this.book = book;
    this.sync = new Sync(connection, book, { onArrival: (...what) => this.#arrived(...what) });
    this.outbox = new Outbox(connection, book, { join: (one) => this.sync.join(one) });
    this.drawers = new Drawers();
    this.composer = new Composer({
      send: (one, text, replyTo) => (this.list.toEnd(), (this.list.atEnd = true), this.outbox.send(one, text, replyTo)),
      edit: (...what) => this.#do(this.sync.edit(...what)),
      typing: (one, on) => this.sync.typing(one, on),
      people: () => this.#mentionable(),
      lastOwn: (one) => one.lastOf(book.me.id),
    });
    this.list = new MessageList(book, {
      older: (one) => this.sync.older(one).catch((error) => toast(failure(error))),
      retry: (one, entry) => this.outbox.deliver(one, entry),
      discard: (one, entry) => this.outbox.discard(one, entry),
      seen: (one) => this.sync.markRead(one),
      react: (...what) => this.#do(this.sync.react(...what)),
      remove: (...what) => this.#do(this.sync.remove(...what)),
      reply: (one, message) => this.composer.reply(message),
      edit: (one, message) => this.composer.rewrite(message),
    });
    this.search = new Search(connection, book, (one, message) => this.#lead(one, message));
    this.alerts = new Alerts();
    this.alerts.control($("mute"));
    book.addEventListener("change", () => this.#show());
    addEventListener("hashchange", () => this.#follow());
    document.addEventListener("visibilitychange", () => this.list.show());
    this.#newRoomForm();
    $("leave-room").addEventListener("click", () => this.#leave());
    this.#follow();
  }

  async connected() {
    try {
      await this.sync.catchUp();
      if (!this.book.conversations.has(this.book.active?.room)) this.open(this.#home());
      await this.outbox.flush();
    } catch (error) {
      if (error.code !== "offline") toast(failure(error));
    }
  }

  open(one) {
    const hash = one.direct ? `#@${encodeURIComponent(one.peer)}` : `#${encodeURIComponent(one.room)}`;
    if (location.hash !== hash) history.pushState(null, "", hash);
    this.book.open(one);
    this.drawers.closeAll();
    this.composer.show(one, this.book.title(one));
    this.composer.focus();
    if (one.direct && !one.loaded) this.sync.load(one).catch((error) => error.code !== "offline" && toast(failure(error)));
  }

  async #do(change) {
    try {
      await change;
    } catch (error) {
      toast(failure(error));
    }
  }

  async #lead(one, message) {
    this.open(one);
    await this.#do(this.sync.reach(one, message.seq));
    queueMicrotask(() => this.list.point(message.id));
  }

  #mentionable() {
    const one = this.book.active;
    const ids = !one ? [] : one.direct ? [one.peer] : [...one.members];
    return ids.filter((id) => id !== this.book.me.id).map((id) => this.book.person(id));
  }

  #home() {
    return this.book.conversations.get(FIRST_ROOM) ?? this.book.rooms[0] ?? this.book.room(FIRST_ROOM);
  }

  #follow() {
    const place = decodeURIComponent(location.hash.slice(1));
    if (place.startsWith("@") && place.slice(1) !== this.book.me.id) return this.open(this.book.direct(place.slice(1)));
    const one = place ? this.book.conversations.get(place) : null;
    if (one) return this.open(one);
    if (place && !place.startsWith("@") && !this.book.active) this.book.open(this.book.room(place));
  }

  #show() {
    const { book } = this;
    const one = book.active;
    showSide(book, (other) => this.open(other));
    if (one) {
      this.composer.show(one, book.title(one));
      $("title").textContent = one.direct ? book.title(one) : `# ${one.room}`;
      $("subtitle").textContent = one.direct ? (book.person(one.peer).online ? "Online" : "Offline") : this.#membersLine(one);
      $("leave-room").hidden = one.direct || !one.loaded;
    }
    showTyping(one ? [...one.typing.keys()].map((id) => book.person(id).name) : []);
    document.title = `${book.unread ? `(${book.unread}) ` : ""}${one ? book.title(one) : "Chat"} · rtserver`;
    this.list.show();
  }

  #membersLine(one) {
    const online = [...one.members].filter((id) => this.book.person(id).online).length;
    return one.loaded ? `${one.topic && `${one.topic} · `}${count(one.members.size, "member")}, ${online} online` : "";
  }

  #arrived(one, message, mine) {
    if (mine) return;
    const called = one.direct || message.mentions?.includes(this.book.me.id);
    if (called || one === this.book.active) this.alerts.ring(`${message.from.name}: ${message.text.slice(0, 60)}`);
    if (one === this.book.active) this.list.missed();
    if (one !== this.book.active && !one.direct) return;
    const place = one === this.book.active ? "" : " (direct message)";
    const line = h("p", {}, `${message.from.name}${place}: ${message.text}`);
    $("announcer").append(line);
    setTimeout(() => line.remove(), 10_000);
  }

  #newRoomForm() {
    const form = $("new-room");
    const toggle = $("new-room-toggle");
    toggle.addEventListener("click", () => {
      form.hidden = !form.hidden;
      toggle.setAttribute("aria-expanded", String(!form.hidden));
      if (!form.hidden) $("room-name").focus();
    });
    form.addEventListener("submit", (event) => (event.preventDefault(), this.#join($("room-name").value.trim().replace(/^#/, ""))));
  }

  async #join(name) {
    const problem = $("room-problem");
    problem.textContent = ROOM_NAME.test(name) ? "" : "Use letters, digits and - _ . : @ / # only.";
    if (problem.textContent) return;
    const known = this.book.conversations.has(name);
    const one = this.book.room(name);
    try {
      if (!known) await this.sync.join(one);
      $("new-room").reset();
      $("new-room").hidden = true;
      $("new-room-toggle").setAttribute("aria-expanded", "false");
      this.open(one);
    } catch (error) {
      this.book.forget(one);
      problem.textContent = failure(error);
    }
  }

  async #leave() {
    const one = this.book.active;
    try {
      await this.sync.leave(one);
      this.open(this.#home());
      toast(`You left ${one.room}.`);
    } catch (error) {
      toast(failure(error));
    }
  }
}

function showTyping(names) {
  const words = names.length > 2 ? "Several people are typing" : names.length ? `${names.join(" and ")} ${names.length > 1 ? "are" : "is"} typing` : "";
  const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
  const line = $("typing");
  if (line.dataset.words === words) return;
  line.dataset.words = words;
  line.replaceChildren(...(words ? [dots, words] : []));
}
