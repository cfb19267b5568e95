// Owns the message box: growing with its text, sending on Enter, telling others that one types. What it writes is a
// new message, an answer to one, or the new text of one's own.
import { $, h, icon } from "../dom.js";
import { Mentions } from "./mentions.js";
import { quote } from "./text.js";

const REPEAT = 3000; // ms between two signs of typing
const IDLE = 4000; // ms without a key until typing is over

export class Composer {
  #conversation = null;
  #about = null; // {kind: "reply" | "edit", message}
  #lastSign = 0;
  #idle = null;

  constructor({ send, edit, typing, people, lastOwn }) {
    this.box = $("text");
    this.send = send;
    this.edit = edit;
    this.typing = typing;
    this.lastOwn = lastOwn;
    this.mentions = new Mentions(this.box, people);
    $("composer").addEventListener("submit", (event) => (event.preventDefault(), this.#submit()));
    this.box.addEventListener("input", () => this.#typed());
    this.box.addEventListener("keydown", (event) => this.mentions.key(event) || this.#key(event));
  }

  /** Move to another conversation; what was begun in each stays there. */
  show(conversation, title) {
    const place = conversation.direct ? title : `#${title}`;
    const shut = conversation.readOnly;
    this.box.placeholder = shut ? "Only moderators write here" : `Message ${place}`;
    this.box.readOnly = shut;
    $("send").disabled = shut;
    $("text-label").textContent = `Message to ${title}`;
    if (conversation === this.#conversation) return;
    this.#quiet();
    this.#conversation = conversation;
    this.#turn(null);
    this.#write(conversation.draft);
  }

  focus() {
    if (matchMedia("(pointer: fine)").matches) this.box.focus();
  }

  reply(message) {
    this.#turn({ kind: "reply", message });
    this.box.focus();
  }

  rewrite(message) {
    this.#turn({ kind: "edit", message });
    this.#write(message.text);
    this.box.focus();
    this.box.setSelectionRange(message.text.length, message.text.length);
  }

  /** What the box is about to do, and the way back. */
  #turn(about) {
    if (this.#about?.kind === "edit" && about?.kind !== "edit") this.#write(this.#conversation?.draft ?? "");
    this.#about = about;
    const strip = $("about");
    strip.hidden = !about;
    if (!about) return strip.replaceChildren();
    const words = about.kind === "edit" ? "Editing your message" : `Replying to ${about.message.from.name}`;
    const back = h("button", { class: "icon-button", type: "button", "aria-label": `Stop: ${words}`, on: { click: () => (this.#turn(null), this.box.focus()) } }, icon("close"));
    strip.replaceChildren(h("div", {}, h("strong", {}, words), about.kind === "reply" ? quote(about.message) : ""), back);
  }

  /** On a keyboard Enter sends; on a touch screen it makes a new line and the button sends. */
  #key(event) {
    const touch = matchMedia("(pointer: coarse)").matches;
    if (event.key === "Escape" && this.#about) return event.preventDefault(), this.#turn(null);
    if (event.key === "ArrowUp" && !this.box.value) return this.#editLast(event);
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
    event.preventDefault();
    this.#submit();
  }

  #editLast(event) {
    const message = this.#conversation && this.lastOwn(this.#conversation);
    if (!message) return;
    event.preventDefault();
    this.rewrite(message);
  }

  #submit() {
    const text = this.box.value.trim();
    const [one, about] = [this.#conversation, this.#about];
    if (!text || !one || one.readOnly) return;
    this.#quiet();
    if (about?.kind !== "edit") this.#write((one.draft = ""));
    this.#turn(null);
    this.box.focus();
    if (about?.kind === "edit") this.edit(one, about.message, text);
    else this.send(one, text, about?.message.id);
  }

  #write(text) {
    this.box.value = text;
    this.mentions.close();
    this.#grow();
  }

  #typed() {
    this.#grow();
    this.mentions.look();
    if (!this.#conversation || this.#about?.kind === "edit") return;
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
