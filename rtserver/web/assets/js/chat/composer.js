// Owns the message box: growing with its text, sending on Enter, telling others that one types.
import { $ } from "../dom.js";

const REPEAT = 3000; // ms between two signs of typing
const IDLE = 4000; // ms without a key until typing is over

export class Composer {
  #conversation = null;
  #lastSign = 0;
  #idle = null;

  constructor({ send, typing }) {
    this.box = $("text");
    this.send = send;
    this.typing = typing;
    $("composer").addEventListener("submit", (event) => (event.preventDefault(), this.#submit()));
    this.box.addEventListener("input", () => this.#typed());
    this.box.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Move to another conversation; what was begun in each stays there. */
  show(conversation, title) {
    const place = conversation.direct ? title : `#${title}`;
    this.box.placeholder = `Message ${place}`;
    $("text-label").textContent = `Message to ${title}`;
    if (conversation === this.#conversation) return;
    this.#quiet();
    this.#conversation = conversation;
    this.box.value = conversation.draft;
    this.#grow();
  }

  focus() {
    if (matchMedia("(pointer: fine)").matches) this.box.focus();
  }

  /** On a keyboard Enter sends; on a touch screen it makes a new line and the button sends. */
  #key(event) {
    const touch = matchMedia("(pointer: coarse)").matches;
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const text = this.box.value.trim();
    if (!text || !this.#conversation) return;
    this.#quiet();
    this.box.value = this.#conversation.draft = "";
    this.#grow();
    this.box.focus();
    this.send(this.#conversation, text);
  }

  #typed() {
    this.#grow();
    if (!this.#conversation) return;
    this.#conversation.draft = this.box.value;
    if (!this.box.value.trim()) return this.#quiet();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#quiet(), IDLE);
    if (Date.now() - this.#lastSign < REPEAT) return;
    this.#lastSign = Date.now();
    this.typing(this.#conversation, true);
  }

  #quiet() {
    clearTimeout(this.#idle);
    if (this.#lastSign) this.typing(this.#conversation, false);
    this.#lastSign = 0;
  }

  #grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, 160)}px`;
  }
}
