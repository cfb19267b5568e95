// Preferences dialog: muted types and quiet hours, in step with the user's other devices.
import { byId, dialog, form, h, icon, input, onSubmit } from "../dom.js";
import { failure } from "../text_format.js";
import { toast } from "../toast.js";

/** @typedef {import("../../../client/notifications.js").Notifications} Notifications */
/** @typedef {import("../../../client/notifications.js").Preferences} Values */

const TIME_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const NIGHT = { from: "22:00", to: "07:00" };

export class Preferences {
  /** @type {Values} */
  #values = { mutedTypes: [], mutedRooms: [], quietHours: null };

  /** @param {Notifications} notifications */
  constructor(notifications) {
    this.notifications = notifications;
    this.dialog = dialog("preferences");
    notifications.on("preferences", (preferences) => this.#show(preferences));
    byId("open-preferences").addEventListener("click", () => this.dialog.showModal());
    byId("close-preferences").addEventListener("click", () => this.dialog.close());
    onSubmit(form("mute-form"), () => this.#muteEntered());
    form("quiet-form").addEventListener("change", () => this.#setQuietHours());
    onSubmit(form("quiet-form"), () => {});
  }

  /** @param {string} type */
  async mute(type) {
    const mutedTypes = [...new Set([...this.#values.mutedTypes, type])];
    if (await this.#set({ mutedTypes })) toast(`Muted ${type}. The preferences take it back.`);
  }

  /** @param {string} type */
  async #unmute(type) {
    const mutedTypes = this.#values.mutedTypes.filter((other) => other !== type);
    await this.#set({ mutedTypes });
    (byId("muted").querySelector("button") ?? byId("mute-type")).focus();
  }

  async #muteEntered() {
    const field = input("mute-type");
    const type = field.value.trim();
    if (!type) return;
    await this.mute(type);
    field.value = "";
  }

  #setQuietHours() {
    const from = input("quiet-from").value || NIGHT.from;
    const to = input("quiet-to").value || NIGHT.to;
    const quietHours = input("quiet-on").checked ? { from, to, timeZone: TIME_ZONE } : null;
    this.#set({ quietHours });
  }

  /** Whether it worked; a failure is shown. @param {Partial<Values>} changes */
  async #set(changes) {
    try {
      await this.notifications.setPreferences(changes);
      return true;
    } catch (error) {
      toast(failure(error));
      this.#show(this.#values);
      return false;
    }
  }

  /** @param {Values} values */
  #show(values) {
    this.#values = values;
    const { mutedTypes, quietHours } = values;
    const rows = mutedTypes.map((type) => this.#row(type));
    byId("muted").replaceChildren(...(rows.length ? rows : [h("li", { class: "none" }, "Nothing is muted.")]));
    input("quiet-on").checked = quietHours !== null;
    input("quiet-from").value = quietHours?.from ?? NIGHT.from;
    input("quiet-to").value = quietHours?.to ?? NIGHT.to;
    input("quiet-from").disabled = quietHours === null;
    input("quiet-to").disabled = quietHours === null;
    byId("quiet-zone").textContent = `Times of ${quietHours?.timeZone ?? TIME_ZONE}.`;
  }

  /** @param {string} type */
  #row(type) {
    const props = {
      class: "icon-button",
      type: "button",
      "aria-label": `Unmute ${type}`,
      title: "Unmute",
      on: { click: () => this.#unmute(type) },
    };
    return h("li", {}, h("bdi", {}, type), h("button", props, icon("close")));
  }
}
