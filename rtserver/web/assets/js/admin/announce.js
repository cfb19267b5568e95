// Owns the form that emits one event to everybody in some namespaces.
import { $, h } from "../dom.js";
import { toast } from "../toast.js";
import { failure } from "../words.js";

export class Announce {
  #known = new Set();

  constructor(connection) {
    this.connection = connection;
    $("announce").addEventListener("submit", (event) => (event.preventDefault(), this.#send()));
  }

  /** Offer the namespaces that exist; the first one is ticked. */
  offer(namespaces) {
    for (const name of namespaces) {
      if (this.#known.has(name)) continue;
      this.#known.add(name);
      const box = h("input", { type: "checkbox", name: "namespace", value: name, checked: name === "/chat" });
      $("targets").append(h("label", {}, box, name));
      $("namespaces").append(h("option", { value: name }));
    }
  }

  allow(mayAct) {
    for (const field of $("announce").elements) field.disabled = !mayAct;
  }

  async #send() {
    const namespaces = new FormData($("announce")).getAll("namespace");
    const data = parsed($("data").value);
    this.#complain(!namespaces.length ? "Choose at least one namespace." : data === undefined ? "The data is not valid JSON." : "");
    if (!namespaces.length || data === undefined) return;
    try {
      await this.connection.call("announce", { namespaces, event: $("event").value.trim(), data });
      toast(`Announced to ${namespaces.join(", ")}.`);
    } catch (error) {
      this.#complain(failure(error));
    }
  }

  #complain(text) {
    $("announce-problem").textContent = text;
    $("data").setAttribute("aria-invalid", String(text.includes("JSON")));
  }
}

/** The value, null for nothing, undefined for what is not JSON. */
function parsed(text) {
  try {
    return text.trim() ? JSON.parse(text) : null;
  } catch {
    return undefined;
  }
}
