// Owns the list that completes `@` to somebody of the room, over the message box.
import { $, h } from "../dom.js";
import { avatar } from "../people.js";

const SHOWN = 6;
const BEGUN = /(^|\s)@([\p{L}\p{N}_.-]*)$/u;

export class Mentions {
  #found = [];
  #at = 0;

  /** `people()`: who may be mentioned, as {id, name}. */
  constructor(box, people) {
    this.box = box;
    this.people = people;
    this.list = $("mentions");
    box.addEventListener("blur", () => this.close());
  }

  /** After each change of the text. */
  look() {
    const begun = BEGUN.exec(this.box.value.slice(0, this.box.selectionStart));
    const word = begun?.[2].toLowerCase();
    const fits = ({ id, name }) => [id, name].some((one) => one.toLowerCase().startsWith(word));
    this.#found = begun ? this.people().filter(fits).slice(0, SHOWN) : [];
    this.#at = 0;
    this.#show();
  }

  close() {
    this.#found = [];
    this.#show();
  }

  /** Whether the list has taken this key. */
  key(event) {
    const size = this.#found.length;
    if (!size || event.isComposing) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#at = (this.#at + (event.key === "ArrowDown" ? 1 : size - 1)) % size;
    else if (event.key === "Enter" || event.key === "Tab") return event.preventDefault(), this.#take(this.#found[this.#at]), true;
    else if (event.key === "Escape") this.#found = [];
    else return false;
    event.preventDefault();
    this.#show();
    return true;
  }

  #take({ id }) {
    const end = this.box.selectionStart;
    const begin = end - BEGUN.exec(this.box.value.slice(0, end))[2].length;
    this.box.setRangeText(`${id} `, begin, end, "end");
    this.box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #show() {
    this.list.hidden = !this.#found.length;
    this.list.replaceChildren(...this.#found.map((person, at) => this.#option(person, at)));
    if (this.list.hidden) this.box.removeAttribute("aria-activedescendant");
    else this.box.setAttribute("aria-activedescendant", `mention-${this.#at}`);
  }

  #option(person, at) {
    // The box keeps the focus: a press would take it away and close the list.
    const take = (event) => (event.preventDefault(), this.#take(person));
    return h("li", { id: `mention-${at}`, role: "option", "aria-selected": String(at === this.#at), on: { mousedown: take } },
      avatar(person, { small: true }), h("span", {}, person.name), h("span", { class: "id" }, `@${person.id}`));
  }
}
