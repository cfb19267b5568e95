// Owns what stands in a message: its text with the mentions marked, the quoted message above it. Text nodes only.
import { h } from "../dom.js";

const QUOTE = 120; // characters

/** The text in pieces, `@id` of those who were mentioned among them. */
export function marked(message, me) {
  const ids = [...(message.mentions ?? [])].sort((a, b) => b.length - a.length);
  if (!ids.length) return [message.text];
  const pattern = new RegExp(`@(${ids.map(escaped).join("|")})(?![\\p{L}\\p{N}_])`, "gu");
  const pieces = [];
  let at = 0;
  for (const found of message.text.matchAll(pattern)) {
    pieces.push(message.text.slice(at, found.index), h("span", { class: found[1] === me.id ? "mention me" : "mention" }, found[0]));
    at = found.index + found[0].length;
  }
  return [...pieces, message.text.slice(at)].filter((piece) => piece !== "");
}

const escaped = (id) => id.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");

export function quote(original) {
  const words = !original ? "An earlier message" : original.deletedAt ? "Message deleted" : original.text;
  const name = original && !original.deletedAt ? h("strong", {}, original.from.name) : null;
  return h("blockquote", { class: "quote" }, name, h("span", {}, words.length > QUOTE ? `${words.slice(0, QUOTE)}…` : words));
}
