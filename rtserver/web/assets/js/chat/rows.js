// Owns how the lines of a conversation are laid out and drawn: day separators, grouped messages, delivery states.
import { h, icon } from "../dom.js";
import { avatar } from "../people.js";
import { chips } from "./reactions.js";
import { marked, quote } from "./text.js";
import { dayKey, dayName, exactTime, shortTime, timeOfDay } from "../time.js";
import { tools } from "./tools.js";

const GROUP_WITHIN = 5 * 60_000; // messages of one author closer than this share a byline

/** The lines of a conversation, in order: {key, kind, …}. Pure. */
export function layout(one, me) {
  const lines = [];
  let before = null;
  for (const message of [...one.messages, ...one.pending.map((entry) => asMessage(entry, me))]) {
    const newDay = !before || dayKey(before.sentAt) !== dayKey(message.sentAt);
    const fresh = one.freshFrom !== null && message.seq === one.freshFrom;
    if (newDay) lines.push({ key: `day:${dayKey(message.sentAt)}`, kind: "day", at: message.sentAt });
    if (fresh) lines.push({ key: "fresh", kind: "fresh" });
    const follows = !newDay && !fresh && grouped(before, message);
    const key = message.nonce && message.from.id === me.id ? message.nonce : message.id;
    lines.push({ key, kind: "message", message, follows, original: message.replyTo && one.find(message.replyTo) });
    before = message;
  }
  return lines;
}

function asMessage(entry, me) {
  return { ...entry, id: entry.nonce, from: me, entry };
}

function grouped(before, message) {
  return before.from.id === message.from.id && new Date(message.sentAt) - new Date(before.sentAt) < GROUP_WITHIN;
}

export function draw(line, actions) {
  if (line.kind === "day") return h("li", { class: "divider" }, dayName(line.at));
  if (line.kind === "fresh") return h("li", { class: "divider fresh" }, "New");
  const { me } = actions;
  const { message, follows, original } = line;
  const state = message.entry?.state ?? "sent";
  const row = h("li", { class: follows ? "message follows" : "message", dataset: { state } });
  if (message.mentions?.includes(me.id)) row.dataset.mentioned = "me";
  const clock = h("time", { class: "clock", datetime: message.sentAt, title: exactTime(message.sentAt) }, (follows ? shortTime : timeOfDay)(message.sentAt));
  const head = follows ? h("span", { class: "visually-hidden" }, `${message.from.name}: `) : byline(message, me, clock);
  const body = h("div", {}, head, message.replyTo && !message.deletedAt ? quote(original) : "", words(message, me), chips(message, actions) ?? "");
  if (message.entry && state !== "sending") body.append(delivery(message.entry, actions.retry, actions.discard));
  row.append(follows ? clock : avatar(message.from), body);
  if (!message.entry && !message.deletedAt) row.append(tools(message, actions));
  return row;
}

function words(message, me) {
  if (message.deletedAt) return h("p", { class: "text gone" }, "Message deleted");
  const edited = message.editedAt && h("span", { class: "edited", title: exactTime(message.editedAt) }, " (edited)");
  return h("p", { class: "text" }, ...marked(message, me), edited);
}

function byline({ from }, me, clock) {
  return h("div", { class: "byline" }, h("strong", {}, from.name || from.id), from.id === me.id && h("span", { class: "you" }, "you"), clock);
}

function delivery(entry, retry, discard) {
  if (entry.state === "waiting") return h("div", { class: "delivery" }, entry.reason || "Waiting to be sent");
  return h("div", { class: "delivery" }, icon("warning"), `Not sent. ${entry.reason}`,
    h("button", { class: "button quiet small", type: "button", on: { click: () => retry(entry) } }, "Retry"),
    h("button", { class: "button quiet small", type: "button", on: { click: () => discard(entry) } }, "Discard"));
}

/** What a drawn line depends on: the same signature needs no new drawing. */
export function signature({ kind, at, message, follows, original }) {
  if (kind !== "message") return kind === "day" ? dayName(at) : kind;
  const quoted = message.replyTo && [original?.text, original?.deletedAt];
  return JSON.stringify([message.text, message.from.name, message.sentAt, message.rev, quoted, follows, message.entry?.state, message.entry?.reason]);
}
