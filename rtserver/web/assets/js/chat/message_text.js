// Content of a message: its text with the mentions marked, and the quote above a reply. Text nodes only.
import { h } from "../dom.js";

/** @typedef {import("./conversation.js").Message} Message */
/** @typedef {import("./conversation.js").Person} Person */

const QUOTE = 120; // characters

/**
 * The text in pieces, with the `@id` of each mentioned person marked.
 * @param {Message} message
 * @param {Person} me
 * @returns {(string | HTMLElement)[]}
 */
export function markMentions(message, me) {
  const ids = [...(message.mentions ?? [])].sort((a, b) => b.length - a.length);
  if (!ids.length) return [message.text];
  const pattern = new RegExp(`@(${ids.map(escapePattern).join("|")})(?![\\p{L}\\p{N}_])`, "gu");
  /** @type {(string | HTMLElement)[]} */
  const pieces = [];
  let end = 0;
  for (const match of message.text.matchAll(pattern)) {
    const mention = h("span", { class: match[1] === me.id ? "mention me" : "mention" }, match[0]);
    pieces.push(message.text.slice(end, match.index), mention);
    end = match.index + match[0].length;
  }
  return [...pieces, message.text.slice(end)].filter((piece) => piece !== "");
}

/** @param {string} id */
const escapePattern = (id) => id.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** The quote above a reply; null: the message is not loaded. @param {Message | null | undefined} original */
export function quote(original) {
  const text = !original ? "An earlier message" : original.deletedAt ? "Message deleted" : original.text;
  const name = original && !original.deletedAt ? h("strong", {}, original.from.name) : null;
  const shortened = text.length > QUOTE ? `${text.slice(0, QUOTE)}…` : text;
  return h("blockquote", { class: "quote" }, name, h("span", {}, shortened));
}
