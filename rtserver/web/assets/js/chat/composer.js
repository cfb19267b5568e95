// Message box: grows with its text, sends on Enter, and reports that the user is typing.
// It writes a new message, a reply to one, or the new text of one's own.
import { button, byId, form, h, icon, onSubmit } from "../dom.js";
import { Mentions } from "./mentions.js";
import { quote } from "./message_text.js";

/** @typedef {import("../../../client/conversation.js").Conversation} Conversation */
/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("../../../client/conversation.js").Person} Person */
/** @typedef {import("./drafts.js").Drafts} Drafts */
/** @typedef {{kind: "reply" | "edit", message: Message}} Reference the message that is answered or edited */
/**
 * @typedef {object} Actions
 * @property {(conversation: Conversation, text: string, replyTo: string | undefined) => void} send
 * @property {(conversation: Conversation, message: Message, text: string) => void} edit
 * @property {(conversation: Conversation) => void} typing at every keystroke
 * @property {(conversation: Conversation) => void} stopTyping
 * @property {() => Person[]} people who may be mentioned
 * @property {(conversation: Conversation) => Message | null} lastOwn
 */

const MAX_HEIGHT = 160; // px

export class Composer {
  /** @type {Conversation | null} */
  #conversation = null;
  /** @type {Reference | null} */
  #reference = null;

  /** @param {Actions} actions @param {Drafts} drafts */
  constructor(actions, drafts) {
    this.box = byId("text", HTMLTextAreaElement);
    this.actions = actions;
    this.drafts = drafts;
    this.mentions = new Mentions(this.box, actions.people);
    onSubmit(form("composer"), () => this.#submit());
    this.box.addEventListener("input", () => this.#onInput());
    this.box.addEventListener("keydown", (event) => {
      if (!this.mentions.handleKey(event)) this.#onKey(event);
    });
  }

  /**
   * Show `conversation`; drafts stay with their conversations.
   * @param {Conversation} conversation
   * @param {string} title
   */
  show(conversation, title) {
    const place = conversation.direct ? title : `#${title}`;
    const readOnly = conversation.readOnly;
    this.box.placeholder = readOnly ? "Only moderators write here" : `Message ${place}`;
    this.box.readOnly = readOnly;
    button("send").disabled = readOnly;
    byId("text-label").textContent = `Message to ${title}`;
    if (conversation === this.#conversation) return;
    this.#stopTyping();
    this.#conversation = conversation;
    this.#refer(null);
    this.#setText(this.#draft);
  }

  focus() {
    if (matchMedia("(pointer: fine)").matches) this.box.focus();
  }

  /** @param {Message} message */
  startReply(message) {
    this.#refer({ kind: "reply", message });
    this.box.focus();
  }

  /** @param {Message} message */
  startEdit(message) {
    this.#refer({ kind: "edit", message });
    this.#setText(message.text);
    this.box.focus();
    this.box.setSelectionRange(message.text.length, message.text.length);
  }

  /** Show what is answered or edited, with a button to stop. @param {Reference | null} reference */
  #refer(reference) {
    if (this.#reference?.kind === "edit" && reference?.kind !== "edit") this.#setText(this.#draft);
    this.#reference = reference;
    const strip = byId("about");
    strip.hidden = !reference;
    if (!reference) {
      strip.replaceChildren();
      return;
    }
    const { kind, message } = reference;
    const words = kind === "edit" ? "Editing your message" : `Replying to ${message.from.name}`;
    const stop = () => {
      this.#refer(null);
      this.box.focus();
    };
    const props = { class: "icon-button", type: "button", "aria-label": `Stop: ${words}`, on: { click: stop } };
    const text = h("div", {}, h("strong", {}, words), kind === "reply" ? quote(message) : "");
    strip.replaceChildren(text, h("button", props, icon("close")));
  }

  /**
   * On a keyboard Enter sends; on a touch screen it makes a new line and the button sends.
   * @param {KeyboardEvent} event
   */
  #onKey(event) {
    const touch = matchMedia("(pointer: coarse)").matches;
    if (event.key === "Escape" && this.#reference) {
      event.preventDefault();
      this.#refer(null);
    } else if (event.key === "ArrowUp" && !this.box.value) {
      this.#editLast(event);
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !touch) {
      event.preventDefault();
      this.#submit();
    }
  }

  /** @param {KeyboardEvent} event */
  #editLast(event) {
    const message = this.#conversation && this.actions.lastOwn(this.#conversation);
    if (!message) return;
    event.preventDefault();
    this.startEdit(message);
  }

  #submit() {
    const text = this.box.value.trim();
    const conversation = this.#conversation;
    const reference = this.#reference;
    if (!text || !conversation || conversation.readOnly) return;
    if (reference?.kind !== "edit") {
      this.drafts.write(conversation.room, "");
      this.#setText("");
    }
    this.#refer(null);
    this.box.focus();
    if (reference?.kind === "edit") this.actions.edit(conversation, reference.message, text);
    else this.actions.send(conversation, text, reference?.message.id);
  }

  /** @param {string} text */
  #setText(text) {
    this.box.value = text;
    this.mentions.close();
    this.#grow();
  }

  #onInput() {
    this.#grow();
    this.mentions.update();
    if (!this.#conversation || this.#reference?.kind === "edit") return;
    this.drafts.write(this.#conversation.room, this.box.value);
    if (this.box.value.trim()) this.actions.typing(this.#conversation);
    else this.#stopTyping();
  }

  get #draft() {
    return this.#conversation ? this.drafts.read(this.#conversation.room) : "";
  }

  #stopTyping() {
    if (this.#conversation) this.actions.stopTyping(this.#conversation);
  }

  #grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, MAX_HEIGHT)}px`;
  }
}
