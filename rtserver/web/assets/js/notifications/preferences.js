// Owns the preferences dialog: which types are muted, and when it is quiet. In step with the user's other devices.
import { $, h, icon } from "../dom.js";
import { toast } from "../toast.js";
import { failure } from "../words.js";

const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const NIGHT = { from: "22:00", to: "07:00" };

export class Preferences {
  #now = { mutedTypes: [], mutedRooms: [], quietHours: null };

  constructor(connection) {
    this.connection = connection;
    this.dialog = $("preferences");
    connection.on("preferences", (preferences) => this.#take(preferences));
    connection.watch((state) => state === "online" && this.#ask("preferences", {}));
    $("open-preferences").addEventListener("click", () => this.dialog.showModal());
    $("close-preferences").addEventListener("click", () => this.dialog.close());
    $("mute-form").addEventListener("submit", (event) => (event.preventDefault(), this.#muteWritten()));
    $("quiet-form").addEventListener("change", () => this.#setQuiet());
    $("quiet-form").addEventListener("submit", (event) => event.preventDefault());
  }

  async mute(type) {
    const mutedTypes = [...new Set([...this.#now.mutedTypes, type])];
    if (await this.#ask("setPreferences", { mutedTypes })) toast(`Muted ${type}. The preferences take it back.`);
  }

  async #unmute(type) {
    await this.#ask("setPreferences", { mutedTypes: this.#now.mutedTypes.filter((other) => other !== type) });
    ($("muted").querySelector("button") ?? $("mute-type")).focus();
  }

  async #muteWritten() {
    const type = $("mute-type").value.trim();
    if (!type) return;
    await this.mute(type);
    $("mute-type").value = "";
  }

  #setQuiet() {
    const on = $("quiet-on").checked;
    const quietHours = on ? { from: $("quiet-from").value || NIGHT.from, to: $("quiet-to").value || NIGHT.to, timeZone: HERE } : null;
    this.#ask("setPreferences", { quietHours });
  }

  async #ask(event, payload) {
    try {
      const { preferences } = await this.connection.call(event, payload);
      this.#take(preferences);
      return true;
    } catch (error) {
      if (error.code !== "offline") toast(failure(error));
      return false;
    }
  }

  #take(preferences) {
    this.#now = preferences;
    const { mutedTypes, quietHours } = preferences;
    $("muted").replaceChildren(...(mutedTypes.length ? mutedTypes.map((type) => this.#row(type)) : [h("li", { class: "none" }, "Nothing is muted.")]));
    $("quiet-on").checked = quietHours !== null;
    $("quiet-from").value = quietHours?.from ?? NIGHT.from;
    $("quiet-to").value = quietHours?.to ?? NIGHT.to;
    $("quiet-from").disabled = $("quiet-to").disabled = quietHours === null;
    $("quiet-zone").textContent = `Times of ${quietHours?.timeZone ?? HERE}.`;
  }

  #row(type) {
    return h("li", {}, h("span", {}, type), h("button", { class: "icon-button", type: "button", "aria-label": `Unmute ${type}`, title: "Unmute", on: { click: () => this.#unmute(type) } }, icon("close")));
  }
}
