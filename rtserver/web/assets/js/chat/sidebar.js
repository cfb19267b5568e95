// Sidebars: conversations with their badges on the left, members of the open conversation on the right.
import { directRoom } from "../../../client/conversation.js";
import { arrange, byId, h, input } from "../dom.js";
import { avatar } from "../people.js";

/** @typedef {import("../../../client/conversation.js").Conversation} Conversation */
/** @typedef {import("../../../client/store.js").KnownPerson} KnownPerson */
/** @typedef {import("../../../client/store.js").Store} Store */
/** @typedef {(conversation: Conversation) => void} Open */

const FILTER_FROM = 8; // conversations: fewer are seen at a glance

/** @type {Map<string, {node: HTMLElement, signature: string}>} */
const rows = new Map();

/**
 * The row of `key`, drawn anew only when `shown` has changed: so the focus stays where it is.
 * @param {string} key
 * @param {unknown[]} shown all that the row depends on
 * @param {() => HTMLElement} build
 */
function row(key, shown, build) {
  const signature = JSON.stringify(shown);
  const known = rows.get(key);
  if (known?.signature === signature) return known.node;
  const node = build();
  if (known?.node.contains(document.activeElement)) {
    queueMicrotask(() => /** @type {HTMLElement | null} */ (node.firstElementChild)?.focus());
  }
  rows.set(key, { node, signature });
  return node;
}

/** @param {Store} store @param {Open} open */
export function showSidebars(store, open) {
  const field = input("side-filter");
  byId("side-search").hidden = store.rooms.length + store.contacts.length < FILTER_FROM;
  const words = byId("side-search").hidden ? "" : field.value.trim().toLocaleLowerCase();
  /** @param {string} name */
  const matches = (name) => name.toLocaleLowerCase().includes(words);
  const rooms = store.rooms.filter(({ room }) => matches(room)).map((room) => roomRow(store, room, open));
  const people = store.contacts.filter(({ id, name }) => matches(name) || matches(id));
  const contacts = people.map((person) => contactRow(store, person, open));
  const members = membersOf(store).map((person) => memberRow(store, person, open));
  arrange(byId("room-list"), rooms);
  arrange(byId("direct-list"), contacts);
  arrange(byId("member-list"), members);
  byId("side-none").hidden = words === "" || rooms.length + contacts.length > 0;
}

/** @param {Store} store @param {Conversation} conversation @param {Open} open */
function roomRow(store, conversation, open) {
  const current = conversation === store.active;
  const { room: name, unread } = conversation;
  return row(`room:${name}`, [current, unread], () => {
    const hash = h("span", { class: "hash", "aria-hidden": "true" }, "#");
    return conversationItem({ name, unread, current, onPick: () => open(conversation) }, hash);
  });
}

/** @param {Store} store @param {KnownPerson} person @param {Open} open */
function contactRow(store, person, open) {
  const conversation = store.conversations.get(directRoom(store.me.id, person.id));
  const current = conversation !== undefined && conversation === store.active;
  const unread = conversation?.unread ?? 0;
  return row(`direct:${person.id}`, [person, current, unread], () => {
    const { name, online } = person;
    const onPick = () => open(store.directConversation(person.id));
    return conversationItem({ name, unread, current, online, onPick }, avatar(person, { small: true, online }));
  });
}

/**
 * @param {{name: string, unread: number, current: boolean, online?: boolean, onPick: () => void}} item
 * @param {HTMLElement} sign
 */
function conversationItem({ name, unread, current, online, onPick }, sign) {
  const facts = [];
  if (online !== undefined) facts.push(presence(online));
  if (unread) facts.push(`${unread} unread`);
  const props = { class: "side-item", type: "button", dataset: { unread: unread > 0 }, on: { click: onPick } };
  const button = h("button", props);
  if (current) button.setAttribute("aria-current", "true");
  button.append(sign, h("span", { class: "name", title: name }, h("bdi", {}, name), hiddenText(facts)));
  if (unread) button.append(h("span", { class: "badge", "aria-hidden": "true" }, unread > 99 ? "99+" : String(unread)));
  return h("li", {}, button);
}

/** @param {boolean} online */
const presence = (online) => (online ? "online" : "offline");

/** Dots and badges as text, for screen readers. @param {string[]} facts */
function hiddenText(facts) {
  return facts.length > 0 && h("span", { class: "visually-hidden" }, ` (${facts.join(", ")})`);
}

/** @param {Store} store */
function membersOf(store) {
  const conversation = store.active;
  if (!conversation) return [];
  const ids = conversation.peer === null ? [...conversation.members] : [store.me.id, conversation.peer];
  const people = ids.map((id) => store.person(id));
  return people.sort((a, b) => Number(b.online) - Number(a.online) || a.name.localeCompare(b.name));
}

/** @param {Store} store @param {KnownPerson} person @param {Open} open */
function memberRow(store, person, open) {
  const me = person.id === store.me.id;
  return row(`member:${person.id}`, [person, me], () => {
    const label = me ? `${person.name} (you)` : person.name;
    const name = h("span", { class: "name", title: label }, h("bdi", {}, label), hiddenText([presence(person.online)]));
    const face = avatar(person, { small: true, online: person.online });
    if (me) return h("li", {}, h("div", { class: "side-item" }, face, name));
    const click = () => open(store.directConversation(person.id));
    const props = { class: "side-item", type: "button", title: `Write to ${person.name}`, on: { click } };
    return h("li", {}, h("button", props, face, name));
  });
}
