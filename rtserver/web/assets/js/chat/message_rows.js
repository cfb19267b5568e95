// Rows of a conversation, laid out and drawn: day dividers, grouped messages, delivery states.
import { h, icon } from "../dom.js";
import { avatar } from "../people.js";
import { failure } from "../text_format.js";
import { dayKey, dayName, exactTime, shortTime, timeOfDay } from "../time.js";
import { attachmentNode } from "./attachment.js";
import { marked, quote } from "./message_text.js";
import { toolbar } from "./message_toolbar.js";
import { chips } from "./reactions.js";

/** @typedef {import("../../../client/conversation.js").Conversation} Conversation */
/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("../../../client/conversation.js").Pending} Pending */
/** @typedef {import("../../../client/conversation.js").Person} Person */
/** @typedef {import("../../../client/uploads.js").ShownAttachment} ShownAttachment */
/** @typedef {Message & {entry?: Pending}} Shown a message, or one that waits to be sent (`entry`) */
/**
 * @typedef {{key: string, kind: "day", at: string} | {key: string, kind: "unread"} | MessageLine} Line
 * @typedef {object} MessageLine
 * @property {string} key
 * @property {"message"} kind
 * @property {Shown} message
 * @property {boolean} follows shares the byline of the message above
 * @property {Message | null | undefined} original the message that it replies to
 */
/**
 * What a row needs to know and may do.
 * @typedef {object} RowActions
 * @property {Person} me
 * @property {(id: string) => string} nameOf
 * @property {(message: Message) => ShownAttachment | null} attachmentOf
 * @property {(entry: Pending) => void} retry
 * @property {(entry: Pending) => void} discard
 * @property {(message: Message, emoji: string, on: boolean) => void} react
 * @property {(message: Message) => void} reply
 * @property {(message: Message) => void} edit
 * @property {(message: Message) => void} remove
 */

const GROUP_WITHIN = 5 * 60_000; // ms: messages of one author closer than this share a byline

/**
 * The lines of a conversation, in order. Pure.
 * @param {Conversation} conversation
 * @param {Person} me
 */
export function layout(conversation, me) {
  /** @type {Line[]} */
  const lines = [];
  /** @type {Shown | null} */
  let previous = null;
  for (const message of shownMessages(conversation, me)) {
    const newDay = !previous || dayKey(previous.sentAt) !== dayKey(message.sentAt);
    const firstUnread = conversation.unreadFrom !== null && message.seq === conversation.unreadFrom;
    if (newDay) lines.push({ key: `day:${dayKey(message.sentAt)}`, kind: "day", at: message.sentAt });
    if (firstUnread) lines.push({ key: "fresh", kind: "unread" });
    const follows = !newDay && !firstUnread && previous !== null && sameGroup(previous, message);
    const key = message.nonce && message.from.id === me.id ? message.nonce : message.id;
    const original = message.replyTo ? conversation.find(message.replyTo) : null;
    lines.push({ key, kind: "message", message, follows, original });
    previous = message;
  }
  return lines;
}

/** @param {Conversation} conversation @param {Person} me @returns {Shown[]} */
function shownMessages({ room, messages, pending }, me) {
  const waiting = pending.map((entry) => ({ ...entry, id: entry.nonce, seq: Number.NaN, room, from: me, entry }));
  return [...messages, ...waiting];
}

/** @param {Message} previous @param {Message} message */
function sameGroup(previous, message) {
  const apart = new Date(message.sentAt).getTime() - new Date(previous.sentAt).getTime();
  return previous.from.id === message.from.id && apart < GROUP_WITHIN;
}

/** @param {Line} line @param {RowActions} actions */
export function draw(line, actions) {
  if (line.kind === "day") return h("li", { class: "divider" }, dayName(line.at));
  if (line.kind === "unread") return h("li", { class: "divider fresh" }, "New");
  return drawMessage(line, actions);
}

/** @param {MessageLine} line @param {RowActions} actions */
function drawMessage({ message, follows, original }, actions) {
  const { me } = actions;
  const state = message.entry?.state ?? "sent";
  const row = h("li", { class: follows ? "message follows" : "message", dataset: { state } });
  if (message.mentions?.includes(me.id)) row.dataset.mentioned = "me";
  const time = { class: "clock", datetime: message.sentAt, title: exactTime(message.sentAt) };
  const clock = h("time", time, (follows ? shortTime : timeOfDay)(message.sentAt));
  const author = h("span", { class: "visually-hidden" }, h("bdi", {}, nameOf(message.from)), ": ");
  const head = follows ? author : byline(message, me, clock);
  const reply = message.replyTo && !message.deletedAt ? quote(original) : "";
  const attachment = actions.attachmentOf(message);
  const text = attachment?.name === message.text ? "" : messageText(message, me); // sent without words of its own
  const body = h("div", {}, head, reply, text, attachment && attachmentNode(attachment), chips(message, actions) ?? "");
  if (message.entry && state !== "sending") body.append(delivery(message.entry, actions));
  row.append(follows ? clock : avatar(message.from), body);
  if (!message.entry && !message.deletedAt) row.append(toolbar(message, actions));
  return row;
}

/** @param {Message} message @param {Person} me */
function messageText(message, me) {
  if (message.deletedAt) return h("p", { class: "text gone" }, "Message deleted");
  const { editedAt } = message;
  const edited = editedAt ? h("span", { class: "edited", title: exactTime(editedAt) }, " (edited)") : null;
  return h("p", { class: "text", dir: "auto" }, ...marked(message, me), edited);
}

/** The author as shown; a person that was erased has no id. @param {Person} person */
const nameOf = ({ id, name }) => name || id || "Deleted user";

/** @param {Message} message @param {Person} me @param {HTMLElement} clock */
function byline({ from }, me, clock) {
  const you = from.id === me.id && h("span", { class: "you" }, "you");
  const name = nameOf(from);
  return h("div", { class: "byline" }, h("strong", { title: name }, h("bdi", {}, name)), you, clock);
}

/** @param {Pending} entry @param {RowActions} actions */
function delivery(entry, { retry, discard }) {
  const look = { class: "button quiet small", type: "button" };
  const discarding = h("button", { ...look, on: { click: () => discard(entry) } }, "Discard");
  if (entry.state === "waiting") return h("div", { class: "delivery" }, whyWaiting(entry), discarding);
  const retrying = h("button", { ...look, on: { click: () => retry(entry) } }, "Retry");
  return h("div", { class: "delivery" }, icon("warning"), `Not sent. ${failure(entry.error)}`, retrying, discarding);
}

/** @param {Pending} entry */
function whyWaiting({ error }) {
  if (error?.code !== "rate_limited") return error ? `Waiting: ${failure(error)}` : "Waiting to be sent";
  return `This room is slow: sent in ${Math.ceil(error.retryAfter ?? 1)} s`;
}

/** What a drawn line depends on: with the same signature it needs no new drawing. @param {Line} line */
export function signature(line) {
  if (line.kind === "day") return dayName(line.at);
  if (line.kind === "unread") return "unread";
  const { message, follows, original } = line;
  const quoted = message.replyTo && [original?.text, original?.deletedAt];
  const { text, from, sentAt, rev, entry } = message;
  return JSON.stringify([
    text,
    from.name,
    sentAt,
    rev,
    quoted,
    follows,
    entry?.state,
    entry?.error?.code,
    entry?.error?.retryAfter,
  ]);
}
