// Owns the log of what administrators and the server did.
import { $, h } from "../dom.js";

const KEEP = 200;
const BAD = new Set(["kick", "refused", "ban", "revoke"]);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hour12: false });

export function showEmptyLog() {
  $("log").replaceChildren(h("li", { class: "none", id: "log-none" }, "Nothing happened yet."));
}

export function log({ at, event, ...details }) {
  $("log-none")?.remove();
  const words = Object.entries(details).map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(", ") : value}`).join(" · ");
  const moment = h("time", { datetime: at }, clock.format(new Date(at)));
  $("log").prepend(h("li", { dataset: { tone: BAD.has(event) ? "bad" : "plain" } }, moment, h("span", { class: "kind" }, event), h("span", { class: "detail" }, words)));
  while ($("log").children.length > KEEP) $("log").lastElementChild.remove();
}
