// Owns the two side panels: conversations with their badges, and the members of the open one.
import { $, arrange, h } from "../dom.js";
import { avatar } from "../people.js";

const rows = new Map(); // key → {node, signature}

/** Reuse a row as long as what it shows stays the same, so that focus stays where it is. */
function row(key, shown, build) {
  const signature = JSON.stringify(shown);
  const known = rows.get(key);
  if (known?.signature === signature) return known.node;
  const node = build();
  if (known?.node.contains(document.activeElement)) queueMicrotask(() => node.firstElementChild?.focus());
  rows.set(key, { node, signature });
  return node;
}

export function showSide(book, open) {
  arrange($("room-list"), book.rooms.map((one) => roomRow(book, one, open)));
  arrange($("direct-list"), book.contacts.map((person) => directRow(book, person, open)));
  arrange($("member-list"), members(book).map((person) => memberRow(book, person, open)));
}

function roomRow(book, one, open) {
  const current = one === book.active;
  return row(`room:${one.room}`, [current, one.unread], () =>
    item({ name: one.room, unread: one.unread, current, onPick: () => open(one) }, h("span", { class: "hash", "aria-hidden": "true" }, "#")));
}

function directRow(book, person, open) {
  const one = book.conversations.get([...book.conversations.keys()].find((key) => book.conversations.get(key).peer === person.id));
  const current = one !== undefined && one === book.active;
  const unread = one?.unread ?? 0;
  return row(`direct:${person.id}`, [person, current, unread], () =>
    item({ name: person.name, unread, current, online: person.online, onPick: () => open(book.direct(person.id)) }, avatar(person, { small: true, online: person.online })));
}

function item({ name, unread, current, online, onPick }, sign) {
  const facts = [online === undefined ? null : presence(online), unread ? `${unread} unread` : null].filter(Boolean);
  const button = h("button", { class: "side-item", type: "button", dataset: { unread: unread > 0 }, on: { click: onPick } });
  if (current) button.setAttribute("aria-current", "true");
  button.append(sign, h("span", { class: "name" }, name, aside(facts)));
  if (unread) button.append(h("span", { class: "badge", "aria-hidden": "true" }, unread > 99 ? "99+" : String(unread)));
  return h("li", {}, button);
}

const presence = (online) => (online ? "online" : "offline");

/** What the eye sees as a dot or a badge, in words. */
function aside(facts) {
  return facts.length > 0 && h("span", { class: "visually-hidden" }, ` (${facts.join(", ")})`);
}

function members(book) {
  const one = book.active;
  if (!one) return [];
  const ids = one.direct ? [book.me.id, one.peer] : [...one.members];
  const people = ids.map((id) => book.person(id));
  return people.sort((a, b) => Number(b.online) - Number(a.online) || a.name.localeCompare(b.name));
}

function memberRow(book, person, open) {
  const me = person.id === book.me.id;
  return row(`member:${person.id}`, [person, me], () => {
    const words = h("span", { class: "name" }, me ? `${person.name} (you)` : person.name, aside([presence(person.online)]));
    const face = avatar(person, { small: true, online: person.online });
    if (me) return h("li", {}, h("div", { class: "side-item" }, face, words));
    return h("li", {}, h("button", { class: "side-item", type: "button", title: `Write to ${person.name}`, on: { click: () => open(book.direct(person.id)) } }, face, words));
  });
}
