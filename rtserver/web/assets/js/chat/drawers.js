// Owns the side panels as drawers on narrow screens: opening, closing, where the focus goes.
import { $ } from "../dom.js";

const wide = matchMedia("(min-width: 64.01rem)");
const phone = matchMedia("(max-width: 48rem)");

export class Drawers {
  #opener = null;

  constructor() {
    this.frame = $("chat");
    this.frame.dataset.members = wide.matches ? "open" : "closed";
    $("open-rooms").addEventListener("click", () => this.#toggle("rooms", $("open-rooms")));
    $("open-members").addEventListener("click", () => this.#toggle("members", $("open-members")));
    $("close-members").addEventListener("click", () => this.close("members"));
    $("veil").addEventListener("click", () => this.closeAll());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.closeAll());
    wide.addEventListener("change", () => this.#set("members", wide.matches ? "open" : "closed"));
    this.#set("members", this.frame.dataset.members);
  }

  #toggle(panel, opener) {
    if (this.frame.dataset[panel] === "open") return this.close(panel);
    this.#opener = opener;
    this.#set(panel, "open");
    if (!wide.matches) $(panel).querySelector("button:not([hidden])")?.focus();
  }

  #set(panel, state) {
    this.frame.dataset[panel] = state;
    $(`open-${panel}`).setAttribute("aria-expanded", String(state === "open"));
  }

  close(panel) {
    this.#set(panel, "closed");
    this.#opener?.focus();
    this.#opener = null;
  }

  /** Whatever covers the conversation goes away; a panel that stands beside it stays. */
  closeAll() {
    if (phone.matches && this.frame.dataset.rooms === "open") this.close("rooms");
    if (!wide.matches && this.frame.dataset.members === "open") this.close("members");
  }
}
