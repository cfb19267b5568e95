// Row of one notification.
import { h, icon } from "../dom.js";
import { withLinks } from "../links.js";
import { ago, exactTime } from "../time.js";

/** @typedef {import("../../../client/inbox.js").Note} Note */
/** @typedef {{read: () => void, mute: () => void, remove: () => void, arrived: boolean}} Options */

/** @param {Note} note @param {Options} options `arrived`: it came while the page was open */
export function noteRow(note, { read, mute, remove, arrived }) {
  const { read: isRead, seen, id } = note;
  const body = h("div", {}, noteText(note), noteMeta(note));
  if (isMention(note)) body.append(h("p", { class: "note-place" }, placeLink(note.data)));
  else if (note.data !== null && note.data !== undefined) {
    body.append(h("p", { class: "note-data", dir: "auto" }, withLinks(dataText(note.data))));
  }
  const tools = h(
    "div",
    { class: "note-tools" },
    !isRead && tool("check", "Mark as read", read),
    tool("mute", `Mute ${note.type}`, mute),
    tool("trash", "Delete", remove),
  );
  return h("li", { class: arrived ? "note arrives" : "note", dataset: { read: isRead, seen, id } }, body, tools);
}

/** @param {Note} note */
function noteText(note) {
  // A <bdi> has no say in the direction of the text around it.
  const unread = !note.read && h("bdi", { class: "visually-hidden" }, "Unread: ");
  const text = h("p", { class: "note-text", dir: "auto" }, unread, withLinks(note.message));
  if (note.count > 1) {
    const label = h("bdi", { class: "visually-hidden" }, "Group of ");
    text.append(" ", h("span", { class: "badge", title: `${note.count} of them` }, label, String(note.count)));
  }
  return text;
}

/** @param {Note} note */
function noteMeta({ type, createdAt }) {
  const time = h("time", { datetime: createdAt, title: exactTime(createdAt) }, ago(createdAt));
  return h("p", { class: "note-meta" }, h("bdi", { class: "note-type", title: type }, type), time);
}

/** @param {string} name @param {string} label @param {() => void} click */
function tool(name, label, click) {
  const props = { class: "icon-button", type: "button", "aria-label": label, title: label, on: { click } };
  return h("button", props, icon(name));
}

/** The server's own notification of a mention has its place in `data`. @param {Note} note */
const isMention = (note) => note.type === "mention" && typeof note.data?.room === "string";

/** @param {{room: string, from?: {id?: string}}} data */
function placeLink({ room, from }) {
  const peer = room.startsWith("dm:") ? from?.id : undefined;
  const place = peer ? `@${encodeURIComponent(peer)}` : encodeURIComponent(room);
  return h("a", { href: `/chat${location.search}#${place}` }, peer ? "Open the conversation" : `Open # ${room}`);
}

/** `{order: 1042}` reads as "order: 1042"; anything deeper as JSON. @param {any} data */
function dataText(data) {
  const isObject = typeof data === "object" && !Array.isArray(data);
  if (!isObject || Object.values(data).some((value) => typeof value === "object")) return JSON.stringify(data);
  const fields = Object.entries(data).map(([key, value]) => `${key}: ${value}`);
  return fields.join(" · ");
}
