// Owns how one notification looks.
import { h, icon } from "../dom.js";
import { ago, exactTime } from "../time.js";

export function noteRow(note, { read, remove, mute, fresh }) {
  const row = h("li", { class: fresh ? "note arrives" : "note", dataset: { read: note.read, seen: note.seen, id: note.id } });
  const meta = h("p", { class: "note-meta" }, h("span", {}, note.type), h("time", { datetime: note.createdAt, title: exactTime(note.createdAt) }, ago(note.createdAt)));
  const group = note.count > 1 && h("span", { class: "badge", title: `${note.count} of them` }, h("span", { class: "visually-hidden" }, "Group of "), String(note.count));
  const body = h("div", {}, h("p", { class: "note-text" }, !note.read && h("span", { class: "visually-hidden" }, "Unread: "), note.message, group && " ", group), meta);
  if (isMention(note)) body.append(h("p", { class: "note-place" }, placeLink(note.data)));
  else if (note.data !== null && note.data !== undefined) body.append(h("p", { class: "note-data" }, words(note.data)));
  row.append(body, h("div", { class: "note-tools" }, !note.read && tool("check", "Mark as read", () => read(note)), tool("mute", `Mute ${note.type}`, () => mute(note)), tool("trash", "Delete", () => remove(note))));
  return row;
}

function tool(name, label, run) {
  return h("button", { class: "icon-button", type: "button", "aria-label": label, title: label, on: { click: run } }, icon(name));
}

/** The server's own notification of a mention says in `data` where it was. */
const isMention = (note) => note.type === "mention" && typeof note.data?.room === "string";

function placeLink({ room, from }) {
  const direct = room.startsWith("dm:") && from?.id;
  const place = direct ? `@${encodeURIComponent(from.id)}` : encodeURIComponent(room);
  return h("a", { href: `/chat${location.search}#${place}` }, direct ? "Open the conversation" : `Open # ${room}`);
}

/** `{order: 1042}` reads as "order: 1042"; anything deeper as JSON. */
function words(data) {
  const flat = typeof data === "object" && !Array.isArray(data) && Object.values(data).every((value) => typeof value !== "object");
  return flat ? Object.entries(data).map(([key, value]) => `${key}: ${value}`).join(" · ") : JSON.stringify(data);
}
