// Links in what people write: http and https addresses only, as elements made of text.
import { h } from "./dom.js";

// No spaces, quotes, angle brackets, or characters that turn the direction of text: these could disguise an address.
const ADDRESS = /\bhttps?:\/\/[^\s<>"'`\p{Cc}\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+/giu;
const TRAILING = /[.,;:!?…»”’*_~]+$/u;
const OPENING = { ")": "(", "]": "[", "}": "{" };

/**
 * `text` in pieces, addresses as links.
 * @param {string} text
 * @returns {(string | HTMLElement)[]}
 */
export function withLinks(text) {
  /** @type {(string | HTMLElement)[]} */
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    if (!isAddress(address)) continue;
    const props = { href: address, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr" };
    pieces.push(text.slice(end, match.index), h("a", props, address));
    end = match.index + address.length;
  }
  return [...pieces, text.slice(end)].filter((piece) => piece !== "");
}

/**
 * Without the punctuation of the sentence, and without a bracket that the address has not opened.
 * @param {string} found
 */
function trimmed(found) {
  let address = found;
  for (let before = ""; before !== address; ) {
    before = address;
    address = address.replace(TRAILING, "");
    const last = /** @type {keyof typeof OPENING} */ (address.at(-1));
    const opening = OPENING[last];
    if (opening && address.split(opening).length < address.split(last).length) address = address.slice(0, -1);
  }
  return address;
}

/** @param {string} address */
function isAddress(address) {
  return URL.canParse(address) && ["http:", "https:"].includes(new URL(address).protocol);
}
