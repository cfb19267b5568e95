// Announce form: emits one event to all clients of some namespaces.
import { codeOf } from "../../../client/connection.js";
import { byId, form, h, onSubmit } from "../dom.js";
import { failure } from "../text_format.js";
import { toast } from "../toast.js";

/** @typedef {import("../../../client/connection.js").Connection} Connection */

/** @type {Record<string, string>} by code */
const PROBLEMS = {
  invalid_payload: "No event of this name can be announced: it is empty, too long or reserved.",
  not_found: "One of these namespaces does not exist.",
};

export class AnnounceForm {
  /** @type {Set<string>} */
  #known = new Set();

  /** @param {Connection} connection */
  constructor(connection) {
    this.connection = connection;
    onSubmit(form("announce"), () => this.#send());
  }

  /** Offer the namespaces that exist; /chat is ticked. @param {string[]} namespaces */
  offer(namespaces) {
    for (const name of namespaces) {
      if (this.#known.has(name)) continue;
      this.#known.add(name);
      const box = h("input", { type: "checkbox", name: "namespace", value: name, checked: name === "/chat" });
      byId("targets").append(h("label", {}, box, name));
      byId("namespaces").append(h("option", { value: name }));
    }
  }

  /** @param {boolean} mayAct */
  allow(mayAct) {
    for (const field of form("announce").elements) /** @type {HTMLInputElement} */ (field).disabled = !mayAct;
  }

  async #send() {
    const namespaces = new FormData(form("announce")).getAll("namespace");
    const data = parseJson(byId("data", HTMLTextAreaElement).value);
    const problem = data === undefined ? "The data is not valid JSON." : "";
    this.#showProblem(namespaces.length ? problem : "Choose at least one namespace.");
    if (!namespaces.length || data === undefined) return;
    try {
      const event = byId("event", HTMLInputElement).value.trim();
      await this.connection.call("announce", { namespaces, event, data });
      toast(`Announced to ${namespaces.join(", ")}.`);
    } catch (error) {
      this.#showProblem(PROBLEMS[codeOf(error) ?? ""] ?? failure(error));
    }
  }

  /** @param {string} text */
  #showProblem(text) {
    byId("announce-problem").textContent = text;
    byId("data").setAttribute("aria-invalid", String(text.includes("JSON")));
  }
}

/** The value, null for an empty text, undefined for invalid JSON. @param {string} text */
function parseJson(text) {
  try {
    return text.trim() ? JSON.parse(text) : null;
  } catch {
    return undefined;
  }
}
