// Owns how the lines of a conversation are laid out and drawn: day separators, grouped messages, delivery states.
import { h, icon } from "../dom.js";
import { avatar } from "../people.js";
import { dayKey, dayName, exactTime, shortTime, timeOfDay } from "../time.js";

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
    lines.push({ key: message.nonce && message.from.id === me.id ? message.nonce : message.id, kind: "message", message, follows });
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

export function draw(line, { me, retry, discard }) {
  if (line.kind === "day") return h("li", { class: "divider" }, dayName(line.at));
  if (line.kind === "fresh") return h("li", { class: "divider fresh" }, "New");
  const { message, follows } = line;
  const state = message.entry?.state ?? "sent";
  const row = h("li", { class: follows ? "message follows" : "message", dataset: { state } });
  const clock = h("time", { class: "clock", datetime: message.sentAt, title: exactTime(message.sentAt) }, (follows ? shortTime : timeOfDay)(message.sentAt));
  const text = h("p", { class: "text" }, message.text);
  const body = h("div", {}, ...(follows ? [h("span", { class: "visually-hidden" }, `${message.from.name}: `)] : [byline(message, me, clock)]), text);
  if (message.entry && state !== "sending") body.append(delivery(message.entry, retry, discard));
  row.append(follows ? clock : avatar(message.from), body);
  return row;
}

function byline({ from }, me, clock) {
  return h("div", { class: "byline" }, h("strong", {}, from.name || from.id), from.id === me.id && h("span", { class: "you" }, "you"), clock);
}

function delivery(entry, retry, discard) {
  if (entry.state === "waiting") return h("div", { class: "delivery" }, "Waiting to be sent");
  return h("div", { class: "delivery" }, icon("warning"), `Not sent. ${entry.reason}`,
    h("button", { class: "button quiet small", type: "button", on: { click: () => retry(entry) } }, "Retry"),
    h("button", { class: "button quiet small", type: "button", on: { click: () => discard(entry) } }, "Discard"));
}

/** What a drawn line depends on: the same signature needs no new drawing. */
export function signature({ kind, at, message, follows }) {
  if (kind !== "message") return kind === "day" ? dayName(at) : kind;
  return JSON.stringify([message.text, message.from.name, message.sentAt, follows, message.entry?.state, message.entry?.reason]);
}
