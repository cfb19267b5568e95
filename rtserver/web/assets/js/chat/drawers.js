// Side panels as drawers on narrow screens: opening, closing, and the focus.
import { byId } from "../dom.js";

/** @typedef {"rooms" | "members"} Panel */

const wide = matchMedia("(min-width: 64.01rem)");
const phone = matchMedia("(max-width: 48rem)");

export class Drawers {
  /** @type {HTMLElement | null} the button that gets the focus back */
  #opener = null;

  constructor() {
    this.frame = byId("chat");
    byId("open-rooms").addEventListener("click", () => this.#toggle("rooms", byId("open-rooms")));
    byId("open-members").addEventListener("click", () => this.#toggle("members", byId("open-members")));
    byId("close-members").addEventListener("click", () => this.close("members"));
    byId("veil").addEventListener("click", () => this.closeAll());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.closeAll());
    wide.addEventListener("change", () => this.#set("members", wide.matches ? "open" : "closed"));
    this.#set("members", wide.matches ? "open" : "closed");
  }

  /** @param {Panel} panel @param {HTMLElement} opener */
  #toggle(panel, opener) {
    if (this.frame.dataset[panel] === "open") {
      this.close(panel);
      return;
    }
    this.#opener = opener;
    this.#set(panel, "open");
    if (!wide.matches) /** @type {HTMLElement | null} */ (byId(panel).querySelector("button:not([hidden])"))?.focus();
  }

  /** @param {Panel} panel @param {"open" | "closed"} state */
  #set(panel, state) {
    this.frame.dataset[panel] = state;
    byId(`open-${panel}`).setAttribute("aria-expanded", String(state === "open"));
  }

  /** @param {Panel} panel */
  close(panel) {
    this.#set(panel, "closed");
    this.#opener?.focus();
    this.#opener = null;
  }

  /** Close the panels that cover the conversation; a panel beside it stays. */
  closeAll() {
    if (phone.matches && this.frame.dataset.rooms === "open") this.close("rooms");
    if (!wide.matches && this.frame.dataset.members === "open") this.close("members");
  }
}
