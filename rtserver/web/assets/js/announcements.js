// Announcements: what an admin or a backend sends to everybody, in a strip below the top bar until it is closed.
import { byId, h, icon } from "./dom.js";
import { withLinks } from "./links.js";

/** @typedef {import("../../client/connection.js").Announcement} Announcement */

const MOST = 3; // at once; the oldest give way
const LONGEST = 1000; // characters

/** @param {Announcement} announcement */
export function showAnnouncement({ event, data }) {
  const strip = h("div", { class: "banner announcement", role: "alert" });
  const close = () => strip.remove();
  const button = { class: "icon-button", type: "button", "aria-label": "Close the announcement", on: { click: close } };
  strip.append(
    icon("mega"),
    h("p", { dir: "auto" }, withLinks(textOf(event, data).slice(0, LONGEST))),
    h("button", button, icon("close")),
  );
  for (const old of [...document.querySelectorAll(".announcement")].slice(0, 1 - MOST)) old.remove();
  byId("banner").after(strip);
}

/** The text of the data, whatever its shape. @param {string} event @param {any} data */
function textOf(event, data) {
  const text = typeof data === "string" ? data : (data?.text ?? data?.message ?? data?.title);
  if (typeof text === "string" && text.trim()) return text;
  return data === undefined || data === null ? event : `${event}: ${JSON.stringify(data)}`;
}
