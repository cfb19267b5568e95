// Table of clients: filters, paging, and the dialog before a client is disconnected.
import { codeOf } from "../../../client/connection.js";
import { arrange, button, byId, dialog, form, h, icon, input, onSubmit } from "../dom.js";
import { count, failure } from "../text_format.js";
import { ago, exactTime } from "../time.js";
import { toast } from "../toast.js";

/** @typedef {import("../../../client/connection.js").Connection} Connection */
/**
 * A client as `clients` of docs/events.md has it.
 * @typedef {object} Client
 * @property {string} sid
 * @property {string} namespace
 * @property {string[]} rooms
 * @property {string | null} user
 * @property {string | null} transport
 * @property {string | null} address
 * @property {string | null} since
 * @property {string | null} instance
 */

const PAGE = 100;
const FILTER_DELAY = 250; // ms without a key before the filters apply

export class Clients {
  /** @type {string | null} cursor of the next page */
  #next = null;
  #mayAct = false;
  #request = 0; // the newest one; answers of older ones are dropped

  /** @param {Connection} connection */
  constructor(connection) {
    this.connection = connection;
    onSubmit(form("filters"), () => this.load());
    /** @type {number | undefined} */
    let delay;
    byId("filters").addEventListener("input", () => {
      clearTimeout(delay);
      delay = setTimeout(() => this.load(), FILTER_DELAY);
    });
    byId("more").addEventListener("click", () => this.#loadPage(this.#next, true));
  }

  /** @param {boolean} mayAct */
  allow(mayAct) {
    this.#mayAct = mayAct;
  }

  load() {
    return this.#loadPage(null, false);
  }

  /** @param {string | null} cursor @param {boolean} append to the rows that are there */
  async #loadPage(cursor, append) {
    const request = ++this.#request;
    try {
      const payload = { ...filters(), limit: PAGE, ...(cursor ? { cursor } : {}) };
      const { clients, next, partial, missing } = await this.connection.call("clients", payload);
      if (request === this.#request) this.#show(clients, next, append, partial ? missing : null);
    } catch (error) {
      if (codeOf(error) !== "offline") toast(failure(error));
    }
  }

  /**
   * @param {Client[]} clients
   * @param {string | null} next
   * @param {boolean} append
   * @param {string[] | null} missing instances that have not answered
   */
  #show(clients, next, append, missing) {
    this.#next = next;
    const rows = clients.map((client) => this.#row(client));
    arrange(byId("clients"), append ? [...byId("clients").children, ...rows] : rows);
    const n = byId("clients").children.length;
    button("more").hidden = !next;
    byId("no-clients").hidden = n > 0;
    const without = missing ? ` (without ${missing.join(", ") || "some servers"}, not answering)` : "";
    byId("clients-said").textContent = `${next ? "More than " : ""}${count(n, "client")}${without}`;
  }

  /** @param {Client} client */
  #row(client) {
    const rooms = client.rooms.filter((room) => !room.startsWith("user:")).join(", ");
    return h(
      "tr",
      { dataset: { user: client.user ?? "", sid: client.sid } },
      h("th", { scope: "row" }, client.user ?? "–"),
      h("td", {}, client.namespace),
      h("td", { class: "wrap", title: rooms }, rooms || "–"),
      h("td", {}, client.transport ?? "–"),
      h("td", {}, client.address ?? "–"),
      h("td", {}, since(client)),
      h("td", { class: "id" }, client.instance ?? "–"),
      h("td", { class: "id" }, client.sid),
      h("td", {}, this.#mayAct && this.#disconnectButton(client)),
    );
  }

  /** @param {Client} client */
  #disconnectButton(client) {
    const props = {
      class: "button quiet small",
      type: "button",
      "aria-label": `Disconnect ${client.user ?? client.sid}`,
      on: { click: () => this.#confirm(client) },
    };
    return h("button", props, icon("unplug"), "Disconnect");
  }

  /** @param {Client} client */
  #confirm(client) {
    const confirm = dialog("confirm");
    const opener = document.activeElement;
    confirm.returnValue = "";
    byId("confirm-words").textContent =
      `${client.user ?? "This client"} on ${client.namespace}. The client does not come back by itself.`;
    byId("whole-user").hidden = !client.user;
    byId("whole-user-words").textContent = `All of ${client.user ?? ""}`;
    confirmForm().reset();
    const onClose = () => {
      if (opener instanceof HTMLElement) opener.focus();
      if (confirm.returnValue === "go") this.#disconnect(client);
    };
    confirm.addEventListener("close", onClose, { once: true });
    confirm.showModal();
  }

  /** @param {Client} client */
  async #disconnect(client) {
    const wholeUser = new FormData(confirmForm()).get("what") === "user";
    const reason = input("reason").value.trim();
    const target = wholeUser ? { user: client.user } : { sid: client.sid };
    try {
      const { disconnected } = await this.connection.call("kick", { ...target, ...(reason ? { reason } : {}) });
      toast(`Closed ${count(disconnected, "socket")}.`);
    } catch (error) {
      toast(failure(error));
    }
    this.load();
  }
}

const confirmForm = () => /** @type {HTMLFormElement} */ (dialog("confirm").querySelector("form"));

/** @param {Client} client */
function since(client) {
  if (!client.since) return "–";
  return h("time", { datetime: client.since, title: exactTime(client.since) }, ago(client.since));
}

function filters() {
  const values = {
    namespace: input("by-namespace").value.trim(),
    user: input("by-user").value.trim(),
    room: input("by-room").value.trim(),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value));
}
