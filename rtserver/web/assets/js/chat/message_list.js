// Message list on screen: draws only what changed, and stays at the end or where the reader is.
import { arrange, button, byId, h, icon } from "../dom.js";
import { skeletons } from "../skeleton.js";
import { count } from "../text_format.js";
import { draw, layout, signature } from "./message_rows.js";
import { resetTabStop, watchToolbars } from "./message_toolbar.js";

/** @typedef {import("../../../client/conversation.js").Conversation} Conversation */
/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("../../../client/conversation.js").Pending} Pending */
/** @typedef {import("../../../client/uploads.js").ShownAttachment} ShownAttachment */
/** @typedef {import("./message_rows.js").Line} Line */
/** @typedef {import("./message_rows.js").RowActions} RowActions */
/** @typedef {import("../../../client/store.js").Store} Store */
/**
 * @typedef {object} Actions
 * @property {(conversation: Conversation) => Promise<void>} loadOlder
 * @property {(conversation: Conversation) => void} markRead
 * @property {(conversation: Conversation, entry: Pending) => void} retry
 * @property {(conversation: Conversation, entry: Pending) => void} discard
 * @property {(conversation: Conversation, message: Message, emoji: string, on: boolean) => void} react
 * @property {(conversation: Conversation, message: Message) => void} reply
 * @property {(conversation: Conversation, message: Message) => void} edit
 * @property {(conversation: Conversation, message: Message) => void} remove
 * @property {(message: Message) => ShownAttachment | null} attachmentOf
 */

const NEAR_END = 80; // px
const AT_END = 2; // px; positions are fractions
const NEAR_START = 300; // px
const SEEN_NAMES = 5;
const SKELETONS = 6;
const POINTED_FOR = 2500; // ms

export class MessageList {
  /** @type {Map<string, {node: HTMLElement, signature: string}>} by key of the line */
  #drawn = new Map();
  /** @type {Conversation | null} the conversation on screen */
  #shown = null;
  /** @type {string | null} key of its first message: changes when older ones arrive above */
  #first = null;
  #loading = false;
  #missed = 0;
  #lastTop = 0;
  atEnd = true;

  /** @param {Store} store @param {Actions} actions */
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    watchToolbars(byId("messages"));
    this.scroller = byId("scroller");
    this.scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    byId("to-bottom").addEventListener("click", () => {
      this.toEnd();
      byId("text").focus();
    });
    const resized = new ResizeObserver(() => this.atEnd && this.toEnd());
    resized.observe(this.scroller);
    resized.observe(byId("messages")); // pictures grow when they have loaded
  }

  show() {
    const conversation = this.store.active;
    if (conversation !== this.#shown) this.#switch(conversation);
    if (!conversation) {
      if (!byId("messages").childElementCount) byId("messages").replaceChildren(...skeletons(SKELETONS));
      return;
    }
    const lines = layout(conversation, this.store.me);
    const heightBefore = this.scroller.scrollHeight;
    const first = lines.find((line) => line.kind === "message")?.key ?? null;
    const grewAbove = this.#first !== null && first !== this.#first && this.#drawn.has(this.#first);
    this.#first = first;
    const nodes = lines.map((line) => this.#node(line, conversation));
    arrange(byId("messages"), [top(conversation), ...nodes, ...this.#end(conversation, lines)]);
    this.#prune(lines);
    resetTabStop(byId("messages"));
    if (this.atEnd) this.toEnd();
    else if (grewAbove) this.scroller.scrollTop += this.scroller.scrollHeight - heightBefore;
    this.#showEndButton();
    this.#onLook();
  }

  /** @param {Conversation | null} conversation */
  #switch(conversation) {
    this.#shown = conversation;
    this.#drawn.clear();
    this.#first = null;
    this.#missed = 0;
    this.atEnd = true;
  }

  /** @param {Line} line @param {Conversation} conversation */
  #node(line, conversation) {
    const wanted = signature(line);
    const known = this.#drawn.get(line.key);
    if (known?.signature === wanted) return known.node;
    const node = draw(line, this.#rowActions(conversation));
    if (known?.node.contains(document.activeElement)) {
      queueMicrotask(() => /** @type {HTMLElement | null} */ (node.querySelector(".tool"))?.focus());
    }
    this.#drawn.set(line.key, { node, signature: wanted });
    return node;
  }

  /** @param {Conversation} conversation @returns {RowActions} */
  #rowActions(conversation) {
    const { retry, discard, react, reply, edit, remove, attachmentOf } = this.actions;
    return {
      attachmentOf,
      me: this.store.me,
      nameOf: (id) => this.store.person(id).name,
      retry: (entry) => retry(conversation, entry),
      discard: (entry) => discard(conversation, entry),
      react: (message, emoji, on) => react(conversation, message, emoji, on),
      reply: (message) => reply(conversation, message),
      edit: (message) => edit(conversation, message),
      remove: (message) => remove(conversation, message),
    };
  }

  /** @param {Line[]} lines */
  #prune(lines) {
    const alive = new Set(lines.map((line) => line.key));
    for (const key of this.#drawn.keys()) if (!alive.has(key)) this.#drawn.delete(key);
  }

  /** @param {Conversation} conversation @param {Line[]} lines */
  #end(conversation, lines) {
    if (!conversation.loaded) return skeletons(SKELETONS);
    if (!lines.length) return [emptyRow(conversation, this.store.title(conversation))];
    const readers = conversation.pending.length ? [] : conversation.readersOfLast(this.store.me.id);
    if (!readers.length) return [];
    const names = readers.slice(0, SEEN_NAMES).map((id) => this.store.person(id).name);
    const more =
      readers.length > names.length ? ` and ${count(readers.length - names.length, "more person", "more")}` : "";
    return [h("li", { class: "seen", dir: "auto" }, `Seen by ${names.join(", ")}${more}`)];
  }

  /** Scroll to a message that is loaded, and highlight it for a moment. @param {string} id */
  point(id) {
    if (!this.#shown) return;
    const lines = layout(this.#shown, this.store.me);
    const line = lines.find((other) => other.kind === "message" && other.message.id === id);
    const row = line && this.#drawn.get(line.key)?.node;
    if (!row) return;
    this.atEnd = false;
    row.scrollIntoView({ block: "center" });
    row.classList.add("pointed");
    setTimeout(() => row.classList.remove("pointed"), POINTED_FOR);
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#missed = 0;
  }

  /** Count a message of another person that arrived while the reader was further up. */
  countMissed() {
    if (!this.atEnd) this.#missed += 1;
    this.#showEndButton();
  }

  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    // A reader who scrolls up is let go at the first step: the browser animates the rest, and new content must not end it.
    const goesUp = scrollTop < this.#lastTop;
    this.#lastTop = scrollTop;
    this.atEnd = scrollHeight - scrollTop - clientHeight < (goesUp ? AT_END : NEAR_END);
    if (this.atEnd) this.#missed = 0;
    this.#showEndButton();
    this.#onLook();
    if (scrollTop < NEAR_START) this.#loadOlder();
  }

  async #loadOlder() {
    const conversation = this.#shown;
    if (this.#loading || !conversation?.loaded || !conversation.hasOlder || !conversation.messages.length) return;
    this.#loading = true;
    try {
      await this.actions.loadOlder(conversation);
    } finally {
      this.#loading = false;
    }
  }

  #showEndButton() {
    const toBottom = button("to-bottom");
    toBottom.hidden = this.atEnd;
    toBottom.replaceChildren(icon("down"), this.#missed ? count(this.#missed, "new message") : "Latest");
  }

  /** Mark the conversation as read while its end is in view; load older messages until the list can be scrolled. */
  #onLook() {
    const conversation = this.#shown;
    if (!conversation?.loaded) return;
    if (this.atEnd && document.visibilityState === "visible") this.actions.markRead(conversation);
    if (conversation.hasOlder && this.scroller.scrollHeight <= this.scroller.clientHeight) this.#loadOlder();
  }
}

/** @param {Conversation} conversation */
function top({ direct, loaded, hasOlder, messages }) {
  const begin = direct ? "The beginning of your conversation" : "The beginning of this room";
  const words = !loaded ? "" : hasOlder ? "Loading earlier messages" : messages.length ? begin : "";
  return h("li", { class: "older", hidden: words === "" }, words);
}

/** @param {Conversation} conversation @param {string} title */
function emptyRow({ direct }, title) {
  const words = direct
    ? `Only you and ${title} can read what is written here.`
    : "Say hello. Everybody who joins this room can read it.";
  return h("li", { class: "blank" }, icon("chat"), h("strong", {}, "No messages yet"), h("span", {}, words));
}
