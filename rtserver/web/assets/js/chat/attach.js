// Attaching files: a button, pasted and dropped files. Only where the server takes files.
import { button, byId, input } from "../dom.js";
import { failure } from "../text_format.js";
import { toast } from "../toast.js";

/** @typedef {import("../../../client/chat.js").Chat} Chat */

export class Attach {
  #uploading = 0;

  /** @param {Chat} chat */
  constructor(chat) {
    this.chat = chat;
    this.field = input("file");
    chat.uploads.enabled().then((enabled) => enabled && this.#enable());
  }

  #enable() {
    button("attach").hidden = false;
    button("attach").addEventListener("click", () => this.field.click());
    this.field.addEventListener("change", () => {
      this.#sendAll(this.field.files);
      this.field.value = "";
    });
    byId("text").addEventListener("paste", ({ clipboardData }) => this.#sendAll(clipboardData?.files));
    const area = byId("composer");
    area.addEventListener("dragover", (event) => event.preventDefault());
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#sendAll(event.dataTransfer?.files);
    });
  }

  /** @param {FileList | null | undefined} files */
  async #sendAll(files) {
    const conversation = this.chat.store.active;
    if (!conversation || conversation.readOnly) return;
    for (const file of [...(files ?? [])]) {
      this.#count(1);
      try {
        const attachment = await this.chat.uploads.upload(file);
        this.chat.send(conversation, file.name, { data: { attachment } }); // a failure is shown with the message
      } catch (error) {
        toast(`${file.name} was not sent. ${failure(error)}`);
      } finally {
        this.#count(-1);
      }
    }
  }

  /** @param {number} more */
  #count(more) {
    this.#uploading += more;
    byId("uploading").hidden = this.#uploading === 0;
  }
}
