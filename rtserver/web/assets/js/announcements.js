// Announcements: what an admin or a backend sends to everybody, in a strip below the top bar until it is closed.
import { byId, h, icon } from "./dom.js";
import { withLinks } from "./links.js";

/** @typedef {import("../../client/connection.js").Announcement} Announcement */

const MOST = 3; // at once; the oldest give way
const LONGEST = 1000; // characters

/** @param {Announcement} announcement */
export function showAnnouncement({ event, data }) {
  const text = textOf(event, data).slice(0, LONGEST);
  const shown = [...document.querySelectorAll(".announcement")];
  if (shown.some((other) => other.textContent === text)) return; // one for each namespace that this page is in
  const strip = h("div", { class: "banner announcement", role: "alert" });
  const close = () => strip.remove();
  const button = { class: "icon-button", type: "button", "aria-label": "Close the announcement", on: { click: close } };
  strip.append(icon("mega"), h("p", { dir: "auto" }, withLinks(text)), h("button", button, icon("close")));
  for (const old of shown.slice(MOST - 1)) old.remove();
  byId("banner").after(strip);
}

/** The text of the data, whatever its shape. @param {string} event @param {any} data */
function textOf(event, data) {
  const text = typeof data === "string" ? data : (data?.text ?? data?.message ?? data?.title);
  if (typeof text === "string" && text.trim()) return text;
  return data === undefined || data === null ? event : `${event}: ${JSON.stringify(data)}`;
}
