// Owns the message list on screen: drawing only what changed, staying at the end or where the reader is.
import { $, arrange, h, icon } from "../dom.js";
import { count } from "../words.js";
import { draw, layout, signature } from "./rows.js";
import { settle, watchTools } from "./tools.js";

const NEAR_END = 80; // px

export class MessageList {
  #drawn = new Map(); // key → {node, signature}
  #shown = null; // the conversation on screen
  #first = null; // key of its first message, to notice older ones arriving above
  #loading = false;
  #missed = 0;
  atEnd = true;

  constructor(book, actions) {
    this.book = book;
    this.actions = actions; // older, retry, discard, seen; react, reply, edit, remove
    watchTools($("messages"));
    this.scroller = $("scroller");
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    $("to-bottom").addEventListener("click", () => (this.toEnd(), $("text").focus()));
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(this.scroller);
  }

  show() {
    const one = this.book.active;
    if (one !== this.#shown) this.#switch(one);
    if (!one) return;
    const lines = layout(one, this.book.me);
    const heightBefore = this.scroller.scrollHeight;
    const first = lines.find((line) => line.kind === "message")?.key ?? null;
    const grewAbove = this.#first !== null && first !== this.#first && this.#drawn.has(this.#first);
    this.#first = first;
    arrange($("messages"), [this.#top(one), ...lines.map((line) => this.#node(line, one)), ...this.#end(one, lines)]);
    this.#prune(lines);
    settle($("messages"));
    if (this.atEnd) this.toEnd();
    else if (grewAbove) this.scroller.scrollTop += this.scroller.scrollHeight - heightBefore;
    this.#button();
    this.#look();
  }

  #switch(one) {
    this.#shown = one;
    this.#drawn.clear();
    this.#first = null;
    this.#missed = 0;
    this.atEnd = true;
  }

  #node(line, one) {
    const wanted = signature(line);
    const known = this.#drawn.get(line.key);
    if (known?.signature === wanted) return known.node;
    const node = draw(line, this.#bound(one));
    if (known?.node.contains(document.activeElement)) queueMicrotask(() => node.querySelector(".tool")?.focus());
    this.#drawn.set(line.key, { node, signature: wanted });
    return node;
  }

  /** What a row may ask for, about this conversation. */
  #bound(one) {
    const asked = ["retry", "discard", "react", "reply", "edit", "remove"];
    const bound = Object.fromEntries(asked.map((name) => [name, (...what) => this.actions[name](one, ...what)]));
    return { ...bound, me: this.book.me, names: (id) => this.book.person(id).name };
  }

  #prune(lines) {
    const alive = new Set(lines.map((line) => line.key));
    for (const key of this.#drawn.keys()) if (!alive.has(key)) this.#drawn.delete(key);
  }

  #top(one) {
    const begin = one.direct ? "The beginning of your conversation" : "The beginning of this room";
    const words = !one.loaded ? "Loading" : one.more ? "Loading earlier messages" : one.messages.length ? begin : "";
    return h("li", { class: "older", hidden: words === "" }, words);
  }

  #end(one, lines) {
    if (one.loaded && !lines.length) return [blank(one, this.book.title(one))];
    const readers = one.pending.length ? [] : one.readersOfLast(this.book.me.id);
    if (!readers.length) return [];
    return [h("li", { class: "seen" }, `Seen by ${readers.map((id) => this.book.person(id).name).join(", ")}`)];
  }

  /** Bring a message that is here before the reader's eyes. */
  point(id) {
    const line = layout(this.#shown, this.book.me).find(({ message }) => message?.id === id);
    const row = line && this.#drawn.get(line.key)?.node;
    if (!row) return;
    this.atEnd = false;
    row.scrollIntoView({ block: "center" });
    row.classList.add("pointed");
    setTimeout(() => row.classList.remove("pointed"), 2500);
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#missed = 0;
  }

  /** A message of somebody else came while the reader was further up. */
  missed() {
    if (!this.atEnd) this.#missed += 1;
    this.#button();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (this.atEnd) this.#missed = 0;
    this.#button();
    this.#look();
    if (scrollTop < 300) this.#older();
  }

  async #older() {
    const one = this.#shown;
    if (this.#loading || !one?.loaded || !one.more || !one.messages.length) return;
    this.#loading = true;
    try {
      await this.actions.older(one);
    } finally {
      this.#loading = false;
    }
  }

  #button() {
    const button = $("to-bottom");
    button.hidden = this.atEnd;
    button.replaceChildren(icon("down"), this.#missed ? count(this.#missed, "new message") : "Latest");
  }

  /** Tell when the end of the open conversation is before the reader's eyes. */
  #look() {
    const one = this.#shown;
    if (one?.loaded && this.atEnd && document.visibilityState === "visible") this.actions.seen(one);
    if (one?.loaded && one.more && this.scroller.scrollHeight <= this.scroller.clientHeight) this.#older();
  }
}

function blank(one, title) {
  const words = one.direct ? `Only you and ${title} can read what is written here.` : "Say hello. Everybody who joins this room can read it.";
  return h("li", { class: "blank" }, icon("chat"), h("strong", {}, "No messages yet"), h("span", {}, words));
}
