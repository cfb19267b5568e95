// Search dialog: asks the server while the user types, and opens what was found.
import { byId, dialog, form, h, input, onSubmit } from "../dom.js";
import { count, failure } from "../text_format.js";
import { exactTime } from "../time.js";

/** @typedef {import("../../../client/connection.js").Connection} Connection */
/** @typedef {import("../../../client/conversation.js").Conversation} Conversation */
/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("../../../client/store.js").Store} Store */

const DELAY = 250; // ms without a key before it asks

export class Search {
  /** @type {number | undefined} */
  #timer;
  #request = 0; // the newest one; answers of older ones are dropped

  /**
   * @param {Connection} connection
   * @param {Store} store
   * @param {(conversation: Conversation, message: Message) => void} onPick
   */
  constructor(connection, store, onPick) {
    this.connection = connection;
    this.store = store;
    this.onPick = onPick;
    this.dialog = dialog("search");
    this.field = input("query");
    byId("open-search").addEventListener("click", () => this.open());
    byId("close-search").addEventListener("click", () => this.dialog.close());
    this.field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(), DELAY);
    });
    onSubmit(form("search-form"), () => this.#ask());
  }

  open() {
    this.dialog.showModal();
    this.field.select();
  }

  async #ask() {
    clearTimeout(this.#timer);
    const query = this.field.value.trim();
    const request = ++this.#request;
    if (!query) {
      this.#show("", []);
      return;
    }
    try {
      const { messages, next } = await this.connection.call("search", { query });
      if (request === this.#request) this.#show(summary(messages.length, Boolean(next)), messages);
    } catch (error) {
      if (request === this.#request) this.#show(failure(error), []);
    }
  }

  /** @param {string} words @param {Message[]} messages */
  #show(words, messages) {
    byId("search-state").textContent = words;
    byId("found").replaceChildren(...messages.map((message) => h("li", {}, this.#row(message))));
  }

  /** @param {Message} message */
  #row(message) {
    const conversation = this.store.conversation(message.room);
    const title = this.store.title(conversation);
    const place = conversation.direct ? title : `# ${title}`;
    const click = () => {
      this.dialog.close();
      this.onPick(conversation, message);
    };
    const time = h("time", { datetime: message.sentAt }, exactTime(message.sentAt));
    return h(
      "button",
      { class: "side-item found", type: "button", on: { click } },
      h(
        "span",
        { class: "where" },
        h("strong", {}, h("bdi", {}, message.from.name)),
        " in ",
        h("bdi", {}, place),
        ", ",
        time,
      ),
      h("span", { class: "what", dir: "auto" }, message.text),
    );
  }
}

/** @param {number} found @param {boolean} more */
function summary(found, more) {
  if (more) return `The latest ${found}`;
  return found ? `${count(found, "message")} found` : "Nothing found";
}
