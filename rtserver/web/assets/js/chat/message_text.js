// Content of a message: its text with mentions and links marked, and the quote above a reply. Text nodes only.
import { h } from "../dom.js";
import { withLinks } from "../links.js";

/** @typedef {import("../../../client/conversation.js").Message} Message */
/** @typedef {import("../../../client/conversation.js").Person} Person */

const QUOTE = 120; // characters

/**
 * The text in pieces, with the `@id` of each mentioned person marked, and addresses as links.
 * @param {Message} message
 * @param {Person} me
 * @returns {(string | HTMLElement)[]}
 */
export function marked(message, me) {
  return withLinks(message.text).flatMap((piece) =>
    typeof piece === "string" ? markMentions(piece, message, me) : piece,
  );
}

/**
 * @param {string} text
 * @param {Message} message
 * @param {Person} me
 * @returns {(string | HTMLElement)[]}
 */
function markMentions(text, message, me) {
  const ids = [...(message.mentions ?? [])].sort((a, b) => b.length - a.length);
  if (!ids.length) return [text];
  const pattern = new RegExp(`@(${ids.map(escapePattern).join("|")})(?![\\p{L}\\p{N}_])`, "gu");
  /** @type {(string | HTMLElement)[]} */
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const mention = h("span", { class: match[1] === me.id ? "mention me" : "mention" }, match[0]);
    pieces.push(text.slice(end, match.index), mention);
    end = match.index + match[0].length;
  }
  return [...pieces, text.slice(end)].filter((piece) => piece !== "");
}

/** @param {string} id */
const escapePattern = (id) => id.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** The quote above a reply; null: the message is not loaded. @param {Message | null | undefined} original */
export function quote(original) {
  const text = !original ? "An earlier message" : original.deletedAt ? "Message deleted" : original.text;
  const name = original && !original.deletedAt ? h("strong", {}, h("bdi", {}, original.from.name)) : null;
  const shortened = text.length > QUOTE ? `${text.slice(0, QUOTE)}…` : text;
  return h("blockquote", { class: "quote" }, name, h("span", { dir: "auto" }, shortened));
}
