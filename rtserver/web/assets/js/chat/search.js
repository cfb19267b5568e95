// Owns the search dialog: asks the server while one types, and leads to what was found.
import { $, h } from "../dom.js";
import { exactTime } from "../time.js";
import { count, failure } from "../words.js";

const REST = 250; // ms without a key before it asks

export class Search {
  #timer = null;
  #asked = 0;

  constructor(connection, book, lead) {
    Object.assign(this, { connection, book, lead, dialog: $("search"), field: $("query") });
    $("open-search").addEventListener("click", () => this.open());
    $("close-search").addEventListener("click", () => this.dialog.close());
    this.field.addEventListener("input", () => this.#soon());
    $("search-form").addEventListener("submit", (event) => (event.preventDefault(), this.#ask()));
  }

  open() {
    this.dialog.showModal();
    this.field.select();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), REST);
  }

  async #ask() {
    clearTimeout(this.#timer);
    const query = this.field.value.trim();
    const number = ++this.#asked;
    if (!query) return this.#show("", []);
    try {
      const { messages, next } = await this.connection.call("search", { query });
      if (number === this.#asked) this.#show(next ? `The latest ${messages.length}` : messages.length ? `${count(messages.length, "message")} found` : "Nothing found", messages);
    } catch (error) {
      if (number === this.#asked) this.#show(failure(error), []);
    }
  }

  #show(words, messages) {
    $("search-state").textContent = words;
    $("found").replaceChildren(...messages.map((message) => h("li", {}, this.#row(message))));
  }

  #row(message) {
    const one = this.book.room(message.room);
    const place = one.direct ? this.book.title(one) : `# ${one.room}`;
    const go = () => (this.dialog.close(), this.lead(one, message));
    return h("button", { class: "side-item found", type: "button", on: { click: go } },
      h("span", { class: "where" }, h("strong", {}, message.from.name), ` in ${place}, `, h("time", { datetime: message.sentAt }, exactTime(message.sentAt))),
      h("span", { class: "what" }, message.text));
  }
}
