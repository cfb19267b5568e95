// Owns the table of clients: filters, paging, and the question before somebody is disconnected.
import { $, arrange, h, icon } from "../dom.js";
import { toast } from "../toast.js";
import { ago, exactTime } from "../time.js";
import { count, failure } from "../words.js";

const PAGE = 100;

export class Clients {
  #next = null;
  #mayAct = false;
  #asked = 0; // the newest request; answers of older ones are dropped

  constructor(connection) {
    this.connection = connection;
    $("filters").addEventListener("submit", (event) => (event.preventDefault(), this.load()));
    let typing = null;
    $("filters").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.load(), 250);
    });
    $("more").addEventListener("click", () => this.#page(this.#next, true));
  }

  allow(mayAct) {
    this.#mayAct = mayAct;
  }

  load() {
    return this.#page(null, false);
  }

  async #page(cursor, add) {
    const asked = ++this.#asked;
    try {
      const { clients, next, partial, missing } = await this.connection.call("clients", { ...filters(), limit: PAGE, ...(cursor ? { cursor } : {}) });
      if (asked === this.#asked) this.#show(clients, next, add, partial ? missing : null);
    } catch (error) {
      if (error.code !== "offline") toast(failure(error));
    }
  }

  #show(clients, next, add, missing) {
    this.#next = next;
    const rows = clients.map((client) => this.#row(client));
    arrange($("clients"), add ? [...$("clients").children, ...rows] : rows);
    const n = $("clients").children.length;
    $("more").hidden = !next;
    $("no-clients").hidden = n > 0;
    const without = missing && ` (without ${missing.join(", ") || "some servers"}, not answering)`;
    $("clients-said").textContent = `${next ? "More than " : ""}${count(n, "client")}${without ?? ""}`;
  }

  #row(client) {
    const rooms = client.rooms.filter((room) => !room.startsWith("user:"));
    const since = client.since ? h("time", { datetime: client.since, title: exactTime(client.since) }, ago(client.since)) : "–";
    const kick = h("button", { class: "button quiet small", type: "button", "aria-label": `Disconnect ${client.user ?? client.sid}`, on: { click: () => this.#ask(client) } }, icon("unplug"), "Disconnect");
    return h("tr", { dataset: { user: client.user ?? "", sid: client.sid } },
      h("th", { scope: "row" }, client.user ?? "–"),
      h("td", {}, client.namespace),
      h("td", { class: "wrap", title: rooms.join(", ") }, rooms.join(", ") || "–"),
      h("td", {}, client.transport ?? "–"),
      h("td", {}, client.address ?? "–"),
      h("td", {}, since),
      h("td", { class: "id" }, client.instance ?? "–"),
      h("td", { class: "id" }, client.sid),
      h("td", {}, this.#mayAct && kick));
  }

  #ask(client) {
    const dialog = $("confirm");
    const opener = document.activeElement;
    dialog.returnValue = "";
    $("confirm-words").textContent = `${client.user ?? "This client"} on ${client.namespace}. The client does not come back by itself.`;
    $("whole-user").hidden = !client.user;
    $("whole-user-words").textContent = `All of ${client.user ?? ""}`;
    dialog.querySelector("form").reset();
    dialog.addEventListener("close", () => {
      opener?.focus();
      if (dialog.returnValue === "go") this.#kick(client);
    }, { once: true });
    dialog.showModal();
  }

  async #kick(client) {
    const whole = new FormData($("confirm").querySelector("form")).get("what") === "user";
    const reason = $("reason").value.trim();
    const whom = whole ? { user: client.user } : { sid: client.sid };
    try {
      const { disconnected } = await this.connection.call("kick", { ...whom, ...(reason ? { reason } : {}) });
      toast(`Closed ${count(disconnected, "socket")}.`);
    } catch (error) {
      toast(failure(error));
    }
    this.load();
  }
}

function filters() {
  const given = { namespace: $("by-namespace").value.trim(), user: $("by-user").value.trim(), room: $("by-room").value.trim() };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
}
