// Completion of `@` to a member of the room, in a list over the message box.
import { byId, h } from "../dom.js";
import { avatar } from "../people.js";

/** @typedef {import("../../../client/conversation.js").Person} Person */

const MAX_OPTIONS = 6;
const BEGUN = /(^|\s)@([\p{L}\p{N}_.-]*)$/u;

export class Mentions {
  /** @type {Person[]} */
  #options = [];
  #selected = 0; // index

  /** @param {HTMLTextAreaElement} box @param {() => Person[]} people who may be mentioned */
  constructor(box, people) {
    this.box = box;
    this.people = people;
    this.list = byId("mentions");
    box.addEventListener("blur", () => this.close());
  }

  /** The `@word` before the cursor without its `@`, or null. */
  #begun() {
    return BEGUN.exec(this.box.value.slice(0, this.box.selectionStart))?.[2] ?? null;
  }

  /** To be called after each change of the text. */
  update() {
    const begun = this.#begun();
    const word = begun?.toLowerCase() ?? "";
    /** @param {Person} person */
    const fits = ({ id, name }) => id.toLowerCase().startsWith(word) || name.toLowerCase().startsWith(word);
    this.#options = begun === null ? [] : this.people().filter(fits).slice(0, MAX_OPTIONS);
    this.#selected = 0;
    this.#show();
  }

  close() {
    this.#options = [];
    this.#show();
  }

  /** Whether the list has used this key. @param {KeyboardEvent} event */
  handleKey(event) {
    const size = this.#options.length;
    if (!size || event.isComposing) return false;
    if (event.key === "ArrowDown") this.#selected = (this.#selected + 1) % size;
    else if (event.key === "ArrowUp") this.#selected = (this.#selected + size - 1) % size;
    else if (event.key === "Enter" || event.key === "Tab") this.#complete(this.#options[this.#selected]);
    else if (event.key === "Escape") this.#options = [];
    else return false;
    event.preventDefault();
    this.#show();
    return true;
  }

  /** @param {Person | undefined} person */
  #complete(person) {
    const begun = this.#begun();
    if (!person || begun === null) return;
    const end = this.box.selectionStart;
    this.box.setRangeText(`${person.id} `, end - begun.length, end, "end");
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #show() {
    this.list.hidden = !this.#options.length;
    this.list.replaceChildren(...this.#options.map((person, index) => this.#option(person, index)));
    if (this.list.hidden) this.box.removeAttribute("aria-activedescendant");
    else this.box.setAttribute("aria-activedescendant", `mention-${this.#selected}`);
  }

  /** @param {Person} person @param {number} index */
  #option(person, index) {
    // The box keeps the focus: a press would take it away and close the list.
    /** @param {Event} event */
    const mousedown = (event) => {
      event.preventDefault();
      this.#complete(person);
    };
    const selected = String(index === this.#selected);
    return h(
      "li",
      { id: `mention-${index}`, role: "option", "aria-selected": selected, on: { mousedown } },
      avatar(person, { small: true }),
      h("span", { class: "name" }, h("bdi", {}, person.name)),
      h("span", { class: "id" }, `@${person.id}`),
    );
  }
}
