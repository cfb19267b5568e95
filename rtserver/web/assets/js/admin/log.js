// Log of what administrators and the server did.
import { byId, h } from "../dom.js";

const KEPT = 200; // entries
const BAD = new Set(["kick", "refused", "ban", "revoke"]);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hour12: false });

export function showEmptyLog() {
  byId("log").replaceChildren(h("li", { class: "none", id: "log-none" }, "Nothing happened yet."));
}

/** @param {{at: string, event: string, [detail: string]: unknown}} entry */
export function addLogEntry({ at, event, ...details }) {
  document.getElementById("log-none")?.remove();
  const text = Object.entries(details)
    .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(", ") : value}`)
    .join(" · ");
  const log = byId("log");
  const entry = h(
    "li",
    { dataset: { tone: BAD.has(event) ? "bad" : "plain" } },
    h("time", { datetime: at }, clock.format(new Date(at))),
    h("span", { class: "kind" }, event),
    h("span", { class: "detail" }, text),
  );
  log.prepend(entry);
  while (log.children.length > KEPT) log.lastElementChild?.remove();
}
